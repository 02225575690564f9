//! Queries: `EMIT …` is cut off, Flink's `TABLE(TUMBLE(TABLE t, DESCRIPTOR(c), …))` is reduced to `TUMBLE(t, c, …)`,
//! ksqlDB's window clause likewise (`window_clause.rs`), the rest is sqlparser's.

use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::source_text::DIALECT;
use super::{ParsedQuery, SourceText, window_clause};
use crate::catalog::Emit;
use crate::error::{Result, SqlError};
use crate::suggest;

/// Reads one query from all of `tokens`.
pub(super) fn parse_query(source: &SourceText, tokens: Vec<TokenWithSpan>) -> Result<ParsedQuery> {
    let (body, emit, limit_after_emit) = split_emit(source, &tokens)?;
    let body = window_clause::as_functions(source, plain_windows(body))?;
    let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(body);
    let query = parser.parse_query().map_err(|e| {
        let place = source.place_of(&parser.peek_token());
        source.parser_error(e).with_place(place)
    })?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let error = SqlError::syntax(format!("`{}` is not expected here", next.token));
        return Err(with_keyword_hint(error, &next.token).with_place(source.place_of(&next)));
    }
    Ok(ParsedQuery {
        query,
        emit,
        limit_after_emit,
        source: source.clone(),
        tokens,
    })
}

/// Takes `EMIT CHANGES [LIMIT n]` or `EMIT FINAL` off the end.
fn split_emit<'a>(
    source: &SourceText,
    tokens: &'a [TokenWithSpan],
) -> Result<(&'a [TokenWithSpan], Option<Emit>, Option<u64>)> {
    let Some(at) = tokens.iter().rposition(|t| is_word(t, "EMIT")) else {
        return Ok((tokens, None, None));
    };
    // `emit` may be a column or an alias: only at the end, with its own words behind it, is it ours.
    let tail = &tokens[at + 1..];
    let emit = match tail.first() {
        Some(t) if is_word(t, "CHANGES") => Emit::Changes,
        Some(t) if is_word(t, "FINAL") => Emit::Final,
        Some(TokenWithSpan {
            token: Token::Word(word),
            ..
        }) if tail.len() == 1 => {
            let error = SqlError::syntax(format!("unknown EMIT mode `{}`", word.value))
                .with_hint(suggest::hint(&word.value, ["CHANGES", "FINAL"], "modes"));
            return Err(error.with_place(source.place_of(&tail[0])));
        }
        _ => return Ok((tokens, None, None)),
    };
    let limit = match &tail[1..] {
        [] => None,
        [
            limit,
            TokenWithSpan {
                token: Token::Number(number, _),
                ..
            },
        ] if is_word(limit, "LIMIT") => number.parse().ok(),
        [unexpected, ..] => {
            return Err(
                SqlError::syntax(format!("`{}` is not expected behind EMIT", unexpected.token))
                    .with_hint("EMIT CHANGES may be followed by LIMIT n only")
                    .with_place(source.place_of(unexpected)),
            );
        }
    };
    Ok((&tokens[..at], Some(emit), limit))
}

/// `TABLE(TUMBLE(…))` → `TUMBLE(…)`, and `TABLE name` as its first argument → `name`.
fn plain_windows(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let is_window = |t: Option<&TokenWithSpan>| {
        t.is_some_and(|t| ["TUMBLE", "HOP", "CUMULATE"].iter().any(|name| is_word(t, name)))
    };
    let mut plain = Vec::with_capacity(tokens.len());
    // Depths of the parentheses opened by a dropped `TABLE(`; their closing ones are dropped too.
    let mut dropped_at = Vec::new();
    let mut depth = 0;
    let mut i = 0;
    while i < tokens.len() {
        let token = &tokens[i];
        if is_word(token, "TABLE")
            && tokens.get(i + 1).is_some_and(|t| t.token == Token::LParen)
            && is_window(tokens.get(i + 2))
        {
            dropped_at.push(depth);
            depth += 1;
            i += 2;
            continue;
        }
        let after_open = i >= 2 && tokens[i - 1].token == Token::LParen && is_window(tokens.get(i - 2));
        if is_word(token, "TABLE") && after_open {
            i += 1;
            continue;
        }
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth -= 1;
                if dropped_at.last() == Some(&depth) {
                    dropped_at.pop();
                    i += 1;
                    continue;
                }
            }
            _ => {}
        }
        plain.push(token.clone());
        i += 1;
    }
    plain
}

/// A misspelt clause is often taken for an alias, and the parser stumbles one word later.
fn with_keyword_hint(error: SqlError, found: &Token) -> SqlError {
    const CLAUSES: [&str; 10] = [
        "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "EMIT", "UNION", "JOIN", "FROM", "SELECT",
    ];
    match found {
        Token::Word(word) => match suggest::near(&word.value, CLAUSES) {
            Some(clause) if !clause.eq_ignore_ascii_case(&word.value) => {
                error.with_hint(format!("did you mean {clause}?"))
            }
            Some("EMIT") => error.with_hint("EMIT CHANGES or EMIT FINAL stands at the very end of the query"),
            _ => error.with_hint("check the word before it, and that statements end with `;`"),
        },
        _ => error,
    }
}

pub(super) fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    match &token.token {
        Token::Word(w) => w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word),
        _ => false,
    }
}
