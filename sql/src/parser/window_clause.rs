//! ksqlDB's windows: `FROM stream WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k` → `FROM TUMBLE(stream, SIZE => INTERVAL '1' HOUR) GROUP BY window_start,
//! window_end, k`, and `WINDOWSTART`, `WINDOWEND` → `window_start`, `window_end`.
//!
//! Always true: the time is the stream's declared event time, as in ksqlDB; words of a quoted identifier are never taken for the clause.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::SourceText;
use super::query::is_word;
use crate::error::{Result, SqlError};
use crate::suggest;

/// Rewrites all window clauses among the tokens of a query.
pub(super) fn as_functions(
    source: &SourceText,
    mut tokens: Vec<TokenWithSpan>,
) -> Result<Vec<TokenWithSpan>> {
    let mut any = false;
    while let Some(at) = clause(&tokens) {
        rewrite(source, &mut tokens, at)?;
        any = true;
    }
    if any {
        for token in &mut tokens {
            if is_word(token, "WINDOWSTART") {
                token.token = word("window_start");
            } else if is_word(token, "WINDOWEND") {
                token.token = word("window_end");
            }
        }
    }
    Ok(tokens)
}

/// Where the next clause begins. `WINDOW w AS (…)` of SQL is none.
fn clause(tokens: &[TokenWithSpan]) -> Option<usize> {
    tokens.windows(3).position(|three| {
        is_word(&three[0], "WINDOW")
            && matches!(three[1].token, Token::Word(_))
            && three[2].token == Token::LParen
    })
}

fn rewrite(source: &SourceText, tokens: &mut Vec<TokenWithSpan>, at: usize) -> Result<()> {
    let place = |token: &TokenWithSpan| source.place_of(token);
    let kind = &tokens[at + 1];
    let function = if is_word(kind, "TUMBLING") {
        "TUMBLE"
    } else if is_word(kind, "HOPPING") {
        "HOP"
    } else {
        let name = kind.token.to_string();
        return Err(SqlError::syntax(format!("unknown kind of window `{name}`"))
            .with_hint(suggest::hint(
                &name.to_uppercase(),
                ["TUMBLING", "HOPPING"],
                "kinds",
            ))
            .with_place(place(kind)));
    };
    let close = closing(tokens, at + 2)
        .ok_or_else(|| SqlError::syntax("WINDOW … ( is not closed").with_place(place(&tokens[at])))?;
    let arguments = arguments(source, &tokens[at + 3..close], function)?;
    let named = named_source(tokens, at).ok_or_else(|| {
        SqlError::syntax("WINDOW stands behind the one stream it is for")
            .with_hint("write FROM stream WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY …")
            .with_place(place(&tokens[at]))
    })?;
    let group = group_by(tokens, close + 1).ok_or_else(|| {
        SqlError::syntax("WINDOW needs a GROUP BY behind it")
            .with_hint("without GROUP BY use TUMBLE(stream, column, INTERVAL '1' HOUR) in FROM")
            .with_place(place(&tokens[at]))
    })?;
    let span = tokens[at].span;
    let spanned = |token: Token| TokenWithSpan { token, span };
    let keys = [
        word("window_start"),
        Token::Comma,
        word("window_end"),
        Token::Comma,
    ];
    tokens.splice(group..group, keys.map(spanned));
    let mut call = vec![
        spanned(word(function)),
        spanned(Token::LParen),
        tokens[named].clone(),
    ];
    for (name, length) in arguments {
        call.extend([Token::Comma, word(name), Token::RArrow, word("INTERVAL"), length].map(spanned));
    }
    call.push(spanned(Token::RParen));
    // An alias stands between the stream and the clause, and stays behind the call.
    tokens.drain(at..=close);
    tokens.splice(named..=named, call);
    Ok(())
}

/// Where the name of the stream stands: `FROM name`, `FROM name alias` or `FROM name AS alias` in front of the clause.
fn named_source(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let is_name = |index: usize| matches!(tokens[index].token, Token::Word(_));
    let behind_from = |index: usize| index >= 1 && is_name(index) && is_word(&tokens[index - 1], "FROM");
    [1, 2, 3]
        .into_iter()
        .filter_map(|back| at.checked_sub(back))
        .find(|index| behind_from(*index))
        .filter(|index| at - index != 3 || is_word(&tokens[index + 1], "AS"))
}

/// The arguments of the function: (name, literal of the interval).
fn arguments(
    source: &SourceText,
    tokens: &[TokenWithSpan],
    function: &str,
) -> Result<Vec<(&'static str, Token)>> {
    let mut found = Vec::new();
    for part in tokens.split(|token| token.token == Token::Comma) {
        let Some(first) = part.first() else { continue };
        let (name, length) = if is_word(first, "SIZE") {
            ("SIZE", &part[1..])
        } else if is_word(first, "ADVANCE")
            && part.get(1).is_some_and(|t| is_word(t, "BY"))
            && function == "HOP"
        {
            ("SLIDE", &part[2..])
        } else if is_word(first, "GRACE") && part.get(1).is_some_and(|t| is_word(t, "PERIOD")) {
            ("GRACE", &part[2..])
        } else if is_word(first, "RETENTION") {
            return Err(
                SqlError::unsupported("RETENTION is not supported: windows are kept")
                    .with_hint("leave it out")
                    .with_place(source.place_of(first)),
            );
        } else {
            let wanted = if function == "HOP" {
                "SIZE n unit, ADVANCE BY n unit or GRACE PERIOD n unit"
            } else {
                "SIZE n unit or GRACE PERIOD n unit"
            };
            return Err(
                SqlError::syntax(format!("expected {wanted}, found `{}`", first.token))
                    .with_place(source.place_of(first)),
            );
        };
        let [number, unit] = length else {
            return Err(SqlError::syntax(format!("{name} needs a number and a unit"))
                .with_hint("write SIZE 30 SECONDS, SIZE 1 HOUR or SIZE 7 DAYS")
                .with_place(source.place_of(first)));
        };
        found.push((
            name,
            Token::SingleQuotedString(format!("{} {}", number.token, unit.token)),
        ));
    }
    Ok(found)
}

/// The parenthesis that closes the one at `open`.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return Some(index),
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The place behind `GROUP BY` of the same query.
fn group_by(tokens: &[TokenWithSpan], from: usize) -> Option<usize> {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return None,
            Token::RParen => depth -= 1,
            _ if depth == 0 && is_word(token, "UNION") => return None,
            _ if depth == 0 && is_word(token, "GROUP") => {
                return tokens
                    .get(index + 1)
                    .filter(|t| is_word(t, "BY"))
                    .map(|_| index + 2);
            }
            _ => {}
        }
    }
    None
}

fn word(text: &str) -> Token {
    let keyword = if text == "INTERVAL" {
        Keyword::INTERVAL
    } else {
        Keyword::NoKeyword
    };
    Token::Word(Word {
        value: text.to_owned(),
        quote_style: None,
        keyword,
    })
}
