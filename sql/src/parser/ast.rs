//! What the parser hands on: one enum of statements, queries as sqlparser's AST with our `EMIT` beside them.

use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use super::{SourceText, WithOptions};
use crate::catalog::{ColumnDefinition, Emit, WatermarkDefinition};
use crate::error::{Place, SqlError};

/// One statement of a script.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it asks for.
    pub kind: StatementKind,
    /// The script it stands in.
    pub source: SourceText,
    /// Its own tokens, for places in errors found later.
    pub tokens: Vec<TokenWithSpan>,
}

impl Statement {
    /// The statement as written.
    pub fn text(&self) -> &str {
        self.source.text_of(&self.tokens)
    }

    /// Adds the place of the first identifier called `name`, for errors found after parsing.
    pub fn locate(&self, error: SqlError, name: &str) -> SqlError {
        let place = place_of_word(&self.source, &self.tokens, name);
        error.with_place(place)
    }
}

/// Where the identifier or quoted text `name` first stands among `tokens`.
pub(crate) fn place_of_word(source: &SourceText, tokens: &[TokenWithSpan], name: &str) -> Option<Place> {
    use datafusion::sql::sqlparser::tokenizer::Token;
    let found = tokens.iter().find(|t| match &t.token {
        Token::Word(word) => word.value.eq_ignore_ascii_case(name),
        Token::SingleQuotedString(text) => text == name,
        _ => false,
    })?;
    source.place_of(found)
}

/// What a statement asks for.
#[derive(Debug, Clone)]
pub enum StatementKind {
    /// `CREATE STREAM`.
    CreateStream(CreateStream),
    /// `CREATE MATERIALIZED VIEW`.
    CreateMaterializedView(CreateMaterializedView),
    /// `CREATE VIEW`: a named query, expanded where it is used.
    CreateView(CreateView),
    /// `DROP STREAM | MATERIALIZED VIEW | VIEW`.
    Drop(Drop),
    /// `SHOW STREAMS | VIEWS | TABLES`.
    Show(ObjectKind),
    /// `SHOW FUNCTIONS`.
    ShowFunctions,
    /// `DESCRIBE name`.
    Describe(String),
    /// `EXPLAIN query` or `EXPLAIN CREATE MATERIALIZED VIEW …`.
    Explain(Box<Statement>),
    /// A query.
    Select(Select),
    /// `INSERT INTO stream VALUES …`.
    Insert(Insert),
}

/// The kinds of things the catalogue holds, as statements name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A topic with columns.
    Stream,
    /// A query kept up to date by a job.
    MaterializedView,
    /// A named query.
    View,
    /// Everything that can stand in FROM.
    Table,
}

/// `CREATE STREAM [IF NOT EXISTS] name (columns, WATERMARK FOR …) WITH (…)`.
#[derive(Debug, Clone)]
pub struct CreateStream {
    /// Name, folded to lower case unless quoted.
    pub name: String,
    /// Whether an existing stream of that name is fine.
    pub if_not_exists: bool,
    /// The columns in order.
    pub columns: Vec<ColumnDefinition>,
    /// The event-time column and how far it may run behind.
    pub watermark: Option<WatermarkDefinition>,
    /// `WITH (…)`.
    pub options: WithOptions,
}

/// A query with what stands behind it.
#[derive(Debug, Clone)]
pub struct ParsedQuery {
    /// sqlparser's tree, without `EMIT`.
    pub query: Box<Query>,
    /// `EMIT …`, if written.
    pub emit: Option<Emit>,
    /// `LIMIT` written behind `EMIT CHANGES`.
    pub limit_after_emit: Option<u64>,
    /// The script, for places.
    pub source: SourceText,
    /// The query's tokens, for places and for its text.
    pub tokens: Vec<TokenWithSpan>,
}

impl ParsedQuery {
    /// The query as written, with its `EMIT`.
    pub fn text(&self) -> &str {
        self.source.text_of(&self.tokens)
    }
}

/// `CREATE MATERIALIZED VIEW [IF NOT EXISTS] name [WITH (…)] AS query`.
#[derive(Debug, Clone)]
pub struct CreateMaterializedView {
    /// Name, folded to lower case unless quoted.
    pub name: String,
    /// Whether an existing view of that name is fine.
    pub if_not_exists: bool,
    /// `WITH (…)`.
    pub options: WithOptions,
    /// The query.
    pub query: ParsedQuery,
}

/// `CREATE VIEW [IF NOT EXISTS] name AS query`.
#[derive(Debug, Clone)]
pub struct CreateView {
    /// Name, folded to lower case unless quoted.
    pub name: String,
    /// Whether an existing view of that name is fine.
    pub if_not_exists: bool,
    /// The query.
    pub query: ParsedQuery,
}

/// `DROP kind [IF EXISTS] name`.
#[derive(Debug, Clone)]
pub struct Drop {
    /// What is to go.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// Whether it may be missing.
    pub if_exists: bool,
}

/// A query on its own.
#[derive(Debug, Clone)]
pub struct Select {
    /// The query.
    pub query: ParsedQuery,
}

/// `INSERT INTO stream [(columns)] VALUES …`.
#[derive(Debug, Clone)]
pub struct Insert {
    /// The stream.
    pub stream: String,
    /// Columns named, or none for all in order.
    pub columns: Vec<String>,
    /// `VALUES …`.
    pub values: ParsedQuery,
}
