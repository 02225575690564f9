//! DataFusion's errors as ours: reworded, with the place in the text and a hint.

use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::tokenizer::{Location, TokenWithSpan};

use crate::error::{SqlError, SqlErrorKind};
use crate::parser::{SourceText, place_of_word};
use crate::suggest;

/// Finds places in the statement being planned.
#[derive(Clone, Copy)]
pub struct PlaceFinder<'a> {
    /// The script.
    pub source: &'a SourceText,
    /// The statement's tokens.
    pub tokens: &'a [TokenWithSpan],
}

impl PlaceFinder<'_> {
    /// Adds the place of the first identifier called `name`.
    pub fn at(&self, error: SqlError, name: &str) -> SqlError {
        error.with_place(place_of_word(self.source, self.tokens, name))
    }
}

/// Turns an error of planning or running into ours.
pub fn plan_error(error: DataFusionError, finder: &PlaceFinder<'_>) -> SqlError {
    let span = error.diagnostic().and_then(|d| d.span);
    let place = span.and_then(|span| {
        let width = span.end.column.saturating_sub(span.start.column).max(1) as usize;
        finder.source.place(
            Location {
                line: span.start.line,
                column: span.start.column,
            },
            width,
        )
    });
    match error.find_root() {
        DataFusionError::External(cause) => match cause.downcast_ref::<SqlError>() {
            Some(ours) => {
                let copy = ours.retold().with_place(place);
                match quoted(&ours.message) {
                    Some(name) => finder.at(copy, &name),
                    None => copy,
                }
            }
            None => SqlError::new(SqlErrorKind::Runtime, cause.to_string()).with_place(place),
        },
        DataFusionError::SchemaError(schema_error, _) => finder_schema_error(schema_error, finder, place),
        DataFusionError::NotImplemented(message) => {
            SqlError::unsupported(first_line(message)).with_place(place)
        }
        DataFusionError::Plan(message) => {
            if let Some(name) = message
                .strip_prefix("Invalid function '")
                .and_then(|m| m.split('\'').next())
            {
                let mut error = SqlError::name(format!("unknown function \"{name}\"")).with_place(place);
                // DataFusion knows hundreds of functions; a slip is likeliest in one of the common ones.
                let common = [
                    "count",
                    "sum",
                    "min",
                    "max",
                    "avg",
                    "tumble",
                    "hop",
                    "upper",
                    "lower",
                    "coalesce",
                    "date_trunc",
                ];
                let theirs = message
                    .split("Did you mean '")
                    .nth(1)
                    .and_then(|m| m.split('\'').next());
                if let Some(near) = suggest::near(name, common).or(theirs) {
                    error = error.with_hint(format!("did you mean \"{near}\"?"));
                }
                return finder.at(error, name);
            }
            SqlError::invalid(first_line(message)).with_place(place)
        }
        DataFusionError::Execution(message) => SqlError::new(SqlErrorKind::Invalid, first_line(message)),
        DataFusionError::ArrowError(cause, _) => SqlError::new(SqlErrorKind::Invalid, cause.to_string()),
        other => SqlError::new(SqlErrorKind::Invalid, first_line(&other.strip_backtrace())).with_place(place),
    }
}

fn finder_schema_error(
    error: &SchemaError,
    finder: &PlaceFinder<'_>,
    place: Option<crate::error::Place>,
) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<&str> = {
                let mut names: Vec<&str> = valid_fields.iter().map(|c| c.name()).collect();
                names.dedup();
                names
            };
            let shown = match &field.relation {
                Some(relation) => format!("{relation}.{}", field.name()),
                None => field.name().to_owned(),
            };
            let hint = if names.contains(&field.name()) {
                let known: Vec<String> = valid_fields
                    .iter()
                    .filter(|c| c.name() == field.name())
                    .map(ToString::to_string)
                    .collect();
                format!("write {}", known.join(" or "))
            } else {
                suggest::hint(field.name(), names.iter().copied(), "columns")
            };
            let error = SqlError::name(format!("unknown column \"{shown}\"")).with_hint(hint);
            finder.at(error.with_place(place), field.name())
        }
        SchemaError::AmbiguousReference { field } => {
            let error = SqlError::invalid(format!("column \"{}\" is in more than one table", field.name()))
                .with_hint("put the table's name or alias in front of it");
            finder.at(error.with_place(place), field.name())
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            let error = SqlError::invalid(format!("column \"{name}\" stands twice in the result"))
                .with_hint("give one of them another name with AS");
            finder.at(error.with_place(place), name)
        }
    }
}

/// The first name in double quotes in a message of ours.
fn quoted(message: &str) -> Option<String> {
    message.split('"').nth(1).map(str::to_owned)
}

/// DataFusion's longer texts list candidates line by line; the first line says what is wrong.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim_end_matches('.');
    let mut chars = line.chars();
    match chars.next() {
        // `SUM(…) …` stays as it is, a sentence starts small.
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => line.to_owned(),
    }
}
