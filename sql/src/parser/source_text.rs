//! The text of a script, its lines, and how tokens point into it.
//!
//! Always true: lines and columns are 1-based and count characters, as sqlparser counts them.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::Spanned;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::error::{Place, Result, SqlError};

/// The dialect all our SQL is read with.
pub(super) const DIALECT: GenericDialect = GenericDialect {};

/// The text of a script; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText(Arc<str>);

impl SourceText {
    /// Wraps the text.
    pub fn new(text: &str) -> SourceText {
        SourceText(Arc::from(text))
    }

    /// The tokens of the text, without whitespace and comments.
    pub fn tokenize(&self) -> Result<Vec<TokenWithSpan>> {
        let tokens = Tokenizer::new(&DIALECT, &self.0)
            .tokenize_with_location()
            .map_err(|e| {
                let message = lower_first(&e.message);
                let error = SqlError::syntax(message.clone()).with_place(self.place(e.location, 1));
                if message.contains("nterminated") {
                    error.with_hint("close the quote or the comment that starts here")
                } else {
                    error
                }
            })?;
        Ok(tokens
            .into_iter()
            .filter(|t| !matches!(t.token, Token::Whitespace(_)))
            .collect())
    }

    /// The place of `width` characters from `at`; none if `at` is not in the text.
    pub fn place(&self, at: Location, width: usize) -> Option<Place> {
        let text = self.0.lines().nth(at.line.checked_sub(1)? as usize)?;
        let room = (text.chars().count() + 1)
            .saturating_sub(at.column as usize)
            .max(1);
        Some(Place {
            line: at.line,
            column: at.column,
            width: width.clamp(1, room),
            text: text.to_owned(),
        })
    }

    /// The place of a token; for the end of input, just behind the last character.
    pub fn place_of(&self, token: &TokenWithSpan) -> Option<Place> {
        if token.token == Token::EOF || token.span.start.line == 0 {
            let last = self.0.trim_end();
            let line = last.lines().count().max(1) as u64;
            let column = last.lines().last().unwrap_or_default().chars().count() as u64 + 1;
            return self.place(Location { line, column }, 1);
        }
        let width = if token.span.start.line == token.span.end.line {
            token
                .span
                .end
                .column
                .saturating_sub(token.span.start.column)
                .max(1) as usize
        } else {
            1
        };
        self.place(token.span.start, width)
    }

    /// The place of a parsed piece of SQL that knows its span.
    pub fn place_of_node(&self, node: &impl Spanned) -> Option<Place> {
        let span = node.span();
        let width = if span.start.line == span.end.line {
            span.end.column.saturating_sub(span.start.column) as usize
        } else {
            1
        };
        self.place(span.start, width)
    }

    /// The text from the first to the last of `tokens`, comments and line breaks as written.
    pub fn text_of(&self, tokens: &[TokenWithSpan]) -> &str {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return "";
        };
        let start = self.byte_of(first.span.start);
        let end = self.byte_of(last.span.end);
        self.0[start..end].trim_end()
    }

    /// Turns an error of sqlparser, which puts the place into its text, into ours.
    pub fn parser_error(&self, error: ParserError) -> SqlError {
        match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
                let (message, at) = split_location(&text);
                let error = SqlError::syntax(reword(message));
                match at {
                    Some(at) => error.with_place(self.place(at, 1)),
                    None => error,
                }
            }
            ParserError::RecursionLimitExceeded => {
                SqlError::syntax("the statement is nested too deeply").with_hint("split it into views")
            }
        }
    }

    fn byte_of(&self, at: Location) -> usize {
        let line_start: usize = self
            .0
            .split_inclusive('\n')
            .take(at.line.saturating_sub(1) as usize)
            .map(str::len)
            .sum();
        let rest = &self.0[line_start..];
        rest.char_indices()
            .nth(at.column.saturating_sub(1) as usize)
            .map_or(self.0.len(), |(offset, _)| line_start + offset)
    }
}

/// Cuts sqlparser's ` at Line: 1, Column: 8` off its message.
fn split_location(text: &str) -> (&str, Option<Location>) {
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return (text, None);
    };
    let Some((line, column)) = place.split_once(", Column: ") else {
        return (text, None);
    };
    let column: String = column.chars().take_while(char::is_ascii_digit).collect();
    match (line.parse(), column.parse()) {
        (Ok(line), Ok(column)) => (message, Some(Location { line, column })),
        _ => (text, None),
    }
}

/// sqlparser says `Expected: X, found: Y`; we say it as a sentence.
fn reword(message: &str) -> String {
    match message
        .strip_prefix("Expected: ")
        .and_then(|rest| rest.split_once(", found: "))
    {
        Some((wanted, "EOF")) => format!("expected {wanted}, but the statement ends here"),
        Some((wanted, found)) => format!("expected {wanted}, found {found}"),
        None => lower_first(message),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
