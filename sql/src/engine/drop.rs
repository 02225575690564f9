//! `DROP STREAM | VIEW | MATERIALIZED VIEW`.
//!
//! A stream's topic stays: it belongs to those who write it. A materialised view takes its topic, its internal topics and its state
//! with it; the catalogue says so first, so that a crash in between is finished at the next start.

use super::{Inner, State, unknown};
use crate::catalog::{CatalogRecord, Entry};
use crate::error::{Result, SqlError};
use crate::parser::{self, Drop, ObjectKind, Statement};
use crate::result::StatementResult;

pub(super) async fn run(inner: &Inner, statement: &Statement, drop: &Drop) -> Result<StatementResult> {
    let mut state = inner.state.lock().await;
    let kind = match drop.kind {
        ObjectKind::Stream => "stream",
        ObjectKind::View => "view",
        ObjectKind::MaterializedView | ObjectKind::Table => "materialized view",
    };
    let name = drop.name.as_str();
    let Some(entry) = state.catalog.get(name).cloned() else {
        if drop.if_exists {
            return Ok(StatementResult::Message(format!("there is no {kind} {name}")));
        }
        return Err(unknown(&state.catalog, statement, kind, name));
    };
    if entry.kind() != kind {
        let error = SqlError::name(format!("\"{name}\" is a {}, not a {kind}", entry.kind()))
            .with_hint(format!("write DROP {} {name}", entry.kind().to_uppercase()));
        return Err(statement.locate(error, name));
    }
    let readers = readers(&state, name)?;
    if !readers.is_empty() {
        let error = SqlError::invalid(format!("{kind} \"{name}\" is read by {}", readers.join(", ")))
            .with_hint("drop what reads it first");
        return Err(statement.locate(error, name));
    }
    let State { topic, catalog, jobs } = &mut *state;
    match entry {
        Entry::Stream(stream) => {
            topic.write(catalog, name, None).await?;
            Ok(StatementResult::Message(format!(
                "dropped stream {name}; its topic {} stays",
                stream.topic
            )))
        }
        Entry::View(_) => {
            topic.write(catalog, name, None).await?;
            Ok(StatementResult::Message(format!("dropped view {name}")))
        }
        Entry::MaterializedView(view) => {
            topic
                .write(catalog, name, Some(CatalogRecord::Dropping((*view).clone())))
                .await?;
            if let Some(job) = jobs.remove(name) {
                job.end().await?;
            }
            inner.jobs.remove_remains(&view).await?;
            let gone = CatalogRecord::Dropped {
                next_generation: view.generation + 1,
                sequence: view.sequence,
            };
            topic.write(catalog, name, Some(gone)).await?;
            Ok(StatementResult::Message(format!(
                "dropped materialized view {name} with its topic {} and its state",
                view.topic
            )))
        }
    }
}

/// The views whose query names `name`.
fn readers(state: &State, name: &str) -> Result<Vec<String>> {
    let mut readers = Vec::new();
    for (reader, entry) in state.catalog.entries() {
        let query = match entry {
            Entry::View(view) => &view.query,
            Entry::MaterializedView(view) => &view.query,
            Entry::Stream(_) => continue,
        };
        let query = parser::parse_query(query)?;
        if reader != name && parser::place_of_word(&query.source, &query.tokens, name).is_some() {
            readers.push(format!("\"{reader}\""));
        }
    }
    Ok(readers)
}
