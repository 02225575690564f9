//! Text to [`Statement`]s: a thin parser of our own for the statements that stream, sqlparser for queries and expressions.
//!
//! Always true: every error names a place in the text; nothing here knows the catalogue or DataFusion's plans.
//! `source_text.rs` keeps text and places, `cursor.rs` walks tokens, `statement.rs` chooses by the leading words,
//! `create_stream.rs` and `with_options.rs` read DDL, `query.rs` cuts `EMIT` off and hands the rest to sqlparser,
//! `window_clause.rs` turns ksqlDB's `WINDOW TUMBLING (…)` into a function in FROM, `named_tables.rs` tells what a query reads from,
//! `interval.rs` turns intervals into microseconds.

mod ast;
mod create_stream;
mod cursor;
mod interval;
mod named_tables;
mod query;
mod source_text;
mod statement;
mod window_clause;
mod with_options;

pub(crate) use ast::place_of_word;
pub use ast::{
    CreateMaterializedView, CreateStream, CreateView, Drop, Insert, ObjectKind, ParsedQuery, Select,
    Statement, StatementKind,
};
pub use interval::interval_micros;
pub use source_text::SourceText;
pub use with_options::{OptionValue, WithOptions};

use crate::error::Result;

/// Splits a script into its statements. Empty statements (stray semicolons, comments) are left out.
pub fn parse(sql: &str) -> Result<Vec<Statement>> {
    let source = SourceText::new(sql);
    let tokens = source.tokenize()?;
    statement::parse_all(&source, tokens)
}

/// Parses text that must hold exactly one query, as the catalogue stores it.
pub fn parse_query(sql: &str) -> Result<ParsedQuery> {
    let source = SourceText::new(sql);
    let tokens = source.tokenize()?;
    query::parse_query(&source, tokens)
}

#[cfg(test)]
mod parser_test;
