//! Chooses a statement by its leading words.

use datafusion::sql::sqlparser::ast::SetExpr;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::Cursor;
use super::{
    CreateMaterializedView, CreateView, Drop, Insert, ObjectKind, ParsedQuery, Select, SourceText, Statement,
    StatementKind, WithOptions, create_stream, query,
};
use crate::error::{Result, SqlError};
use crate::suggest;

/// The words a statement may begin with, for hints.
const BEGINNINGS: [&str; 9] = [
    "SELECT", "CREATE", "DROP", "SHOW", "DESCRIBE", "EXPLAIN", "INSERT", "WITH", "VALUES",
];

/// Cuts at semicolons and parses each statement.
pub(super) fn parse_all(source: &SourceText, tokens: Vec<TokenWithSpan>) -> Result<Vec<Statement>> {
    tokens
        .split(|t| t.token == Token::SemiColon)
        .filter(|tokens| tokens.iter().any(|t| t.token != Token::EOF))
        .map(|tokens| {
            let tokens: Vec<_> = tokens.iter().filter(|t| t.token != Token::EOF).cloned().collect();
            parse_one(source, tokens)
        })
        .collect()
}

fn parse_one(source: &SourceText, tokens: Vec<TokenWithSpan>) -> Result<Statement> {
    let mut cursor = Cursor::new(source, &tokens);
    let kind = match &cursor.peek().token {
        Token::Word(word) => match word.value.to_uppercase().as_str() {
            "CREATE" => parse_create(&mut cursor)?,
            "DROP" => parse_drop(&mut cursor)?,
            "SHOW" => parse_show(&mut cursor)?,
            "DESCRIBE" | "DESC" => {
                cursor.advance();
                let name = cursor.identifier("the name of a stream or view")?;
                cursor.expect_end()?;
                StatementKind::Describe(name)
            }
            "EXPLAIN" => {
                cursor.advance();
                parse_explain(source, &cursor)?
            }
            "INSERT" => parse_insert(&mut cursor)?,
            "SELECT" | "WITH" | "VALUES" => StatementKind::Select(Select {
                query: query::parse_query(source, tokens.clone())?,
            }),
            other => return Err(unknown_beginning(&cursor, other)),
        },
        Token::LParen => StatementKind::Select(Select {
            query: query::parse_query(source, tokens.clone())?,
        }),
        other => return Err(unknown_beginning(&cursor, &other.to_string())),
    };
    Ok(Statement {
        kind,
        source: source.clone(),
        tokens,
    })
}

fn unknown_beginning(cursor: &Cursor<'_>, found: &str) -> SqlError {
    let place = cursor.source().place_of(&cursor.peek());
    let known_elsewhere = [
        "COPY", "UPDATE", "DELETE", "SET", "ALTER", "TRUNCATE", "MERGE", "ATTACH", "GRANT",
    ];
    if known_elsewhere.contains(&found) {
        return SqlError::unsupported(format!("{found} is not supported"))
            .with_place(place)
            .with_hint(format!("statements begin with {}", BEGINNINGS[..7].join(", ")));
    }
    SqlError::syntax(format!("no statement begins with `{found}`"))
        .with_place(place)
        .with_hint(suggest::hint(found, BEGINNINGS, "statements"))
}

fn parse_create(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    cursor.advance();
    if cursor.take(&["STREAM"]) {
        let stream = create_stream::parse(cursor)?;
        cursor.expect_end()?;
        return Ok(StatementKind::CreateStream(stream));
    }
    if cursor.take(&["MATERIALIZED"]) {
        cursor.expect(&["VIEW"])?;
        let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
        let name = cursor.identifier("the name of the view")?;
        let options = WithOptions::parse(cursor)?;
        let query = parse_as(cursor)?;
        return Ok(StatementKind::CreateMaterializedView(CreateMaterializedView {
            name,
            if_not_exists,
            options,
            query,
        }));
    }
    if cursor.take(&["VIEW"]) {
        let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
        let name = cursor.identifier("the name of the view")?;
        let query = parse_as(cursor)?;
        return Ok(StatementKind::CreateView(CreateView {
            name,
            if_not_exists,
            query,
        }));
    }
    let error = cursor.expected("STREAM, MATERIALIZED VIEW or VIEW");
    Err(match cursor.peek().token {
        Token::Word(word) if ["TABLE", "EXTERNAL"].contains(&word.value.to_uppercase().as_str()) => error
            .with_hint("rows live in topics: use CREATE STREAM over a topic, or CREATE MATERIALIZED VIEW"),
        Token::Word(word) => match suggest::near(&word.value, ["STREAM", "MATERIALIZED", "VIEW"]) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error,
        },
        _ => error,
    })
}

fn parse_as(cursor: &mut Cursor<'_>) -> Result<ParsedQuery> {
    cursor.expect(&["AS"])?;
    if cursor.at_end() {
        return Err(cursor.expected("a query"));
    }
    query::parse_query(cursor.source(), cursor.rest().to_vec())
}

fn parse_drop(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    cursor.advance();
    let kind = if cursor.take(&["STREAM"]) {
        ObjectKind::Stream
    } else if cursor.take(&["MATERIALIZED", "VIEW"]) {
        ObjectKind::MaterializedView
    } else if cursor.take(&["VIEW"]) {
        ObjectKind::View
    } else {
        return Err(cursor.expected("STREAM, MATERIALIZED VIEW or VIEW"));
    };
    let if_exists = cursor.take(&["IF", "EXISTS"]);
    let name = cursor.identifier("a name")?;
    cursor.expect_end()?;
    Ok(StatementKind::Drop(Drop {
        kind,
        name,
        if_exists,
    }))
}

fn parse_show(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    cursor.advance();
    if cursor.take(&["FUNCTIONS"]) {
        cursor.expect_end()?;
        return Ok(StatementKind::ShowFunctions);
    }
    let kind = if cursor.take(&["STREAMS"]) {
        ObjectKind::Stream
    } else if cursor.take(&["VIEWS"]) || cursor.take(&["MATERIALIZED", "VIEWS"]) {
        ObjectKind::MaterializedView
    } else if cursor.take(&["TABLES"]) {
        ObjectKind::Table
    } else {
        let error = cursor.expected("STREAMS, VIEWS, TABLES or FUNCTIONS");
        return Err(match cursor.peek().token {
            Token::Word(word) => {
                match suggest::near(&word.value, ["STREAMS", "VIEWS", "TABLES", "FUNCTIONS"]) {
                    Some(near) => error.with_hint(format!("did you mean {near}?")),
                    None => error,
                }
            }
            _ => error,
        });
    };
    cursor.expect_end()?;
    Ok(StatementKind::Show(kind))
}

fn parse_explain(source: &SourceText, cursor: &Cursor<'_>) -> Result<StatementKind> {
    if cursor.at_end() {
        return Err(cursor.expected("a query or CREATE MATERIALIZED VIEW"));
    }
    let inner = parse_one(source, cursor.rest().to_vec())?;
    match inner.kind {
        StatementKind::Select(_) | StatementKind::CreateMaterializedView(_) => {
            Ok(StatementKind::Explain(Box::new(inner)))
        }
        _ => Err(cursor.expected("a query or CREATE MATERIALIZED VIEW")),
    }
}

fn parse_insert(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    cursor.advance();
    cursor.expect(&["INTO"])?;
    let stream = cursor.identifier("the name of a stream")?;
    let mut columns = Vec::new();
    if cursor.take_token(&Token::LParen) {
        loop {
            columns.push(cursor.identifier("a column name")?);
            if cursor.take_token(&Token::RParen) {
                break;
            }
            cursor.expect_token(&Token::Comma)?;
        }
    }
    if !cursor.looks_at(&["VALUES"]) {
        return Err(cursor.expected("VALUES").with_hint(
            "to feed a topic from a query, use CREATE MATERIALIZED VIEW … AS SELECT …: its changes go to a topic",
        ));
    }
    let place = cursor.source().place_of(&cursor.peek());
    let values = query::parse_query(cursor.source(), cursor.rest().to_vec())?;
    if !matches!(*values.query.body, SetExpr::Values(_)) {
        return Err(SqlError::unsupported("INSERT takes VALUES only").with_place(place));
    }
    Ok(StatementKind::Insert(Insert {
        stream,
        columns,
        values,
    }))
}
