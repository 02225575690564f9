//! `DROP STREAM | VIEW | MATERIALIZED VIEW`.
//!
//! What others depend on is not dropped. A stream's topic stays: it belongs to those who write it. A materialised view takes its topic, its internal topics and its state
//! with it; the catalogue says so first, so that a removal cut short is finished by the next start, or by whoever needs the name.

use super::{Inner, dependants, unknown};
use crate::catalog::{CatalogRecord, CatalogTopic, Entry, MaterializedViewDefinition};
use crate::error::{Result, SqlError};
use crate::parser::{Drop, ObjectKind, Statement};
use crate::result::StatementResult;

pub(super) async fn run(inner: &Inner, statement: &Statement, drop: &Drop) -> Result<StatementResult> {
    let topic = inner.topic.lock().await;
    let state = inner.state.get();
    let kind = match drop.kind {
        ObjectKind::Stream => "stream",
        ObjectKind::View => "view",
        ObjectKind::MaterializedView | ObjectKind::Table => "materialized view",
    };
    let name = drop.name.as_str();
    let Some(entry) = state.catalog.get(name).cloned() else {
        if finish(inner, &topic, name).await? {
            return Ok(StatementResult::Message(format!(
                "removed what was left of materialized view {name}"
            )));
        }
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
    if let Some(refusal) = dependants::refusal(&state, &entry) {
        return Err(statement.locate(refusal, name));
    }
    match entry {
        Entry::Stream(stream) => {
            inner.define(&topic, name, None).await?;
            Ok(StatementResult::Message(format!(
                "dropped stream {name}; its topic {} stays",
                stream.topic
            )))
        }
        Entry::View(_) => {
            inner.define(&topic, name, None).await?;
            Ok(StatementResult::Message(format!("dropped view {name}")))
        }
        Entry::MaterializedView(view) => {
            remove_view(inner, &topic, &view).await?;
            Ok(StatementResult::Message(format!(
                "dropped materialized view {name} with its topic {} and its state",
                view.topic
            )))
        }
    }
}

/// Ends a view's job and removes what it made. When this errs behind its first step the view is gone and only remains are left.
pub(super) async fn remove_view(
    inner: &Inner,
    topic: &CatalogTopic,
    view: &MaterializedViewDefinition,
) -> Result<()> {
    let name = &view.name;
    let dropping = CatalogRecord::Dropping(view.clone());
    inner.define(topic, name, Some(dropping)).await?;
    let state = inner.state.get();
    inner.state.change(|state| {
        state.views.remove(name);
    });
    if let Some(job) = state.views.get(name).and_then(|view| view.job()) {
        job.end().await?;
    }
    remove_remains(inner, topic, view).await
}

/// Finishes the removal of a view called `name` if one was begun and not finished; says whether there was one.
pub(super) async fn finish(inner: &Inner, topic: &CatalogTopic, name: &str) -> Result<bool> {
    let dropping = inner.state.get().catalog.dropping();
    match dropping.iter().find(|view| view.name == name) {
        Some(view) => remove_remains(inner, topic, view).await.map(|()| true),
        None => Ok(false),
    }
}

/// Finishes the removal of a view that the catalogue holds as being dropped and whose job has ended.
pub(super) async fn remove_remains(
    inner: &Inner,
    topic: &CatalogTopic,
    view: &MaterializedViewDefinition,
) -> Result<()> {
    inner.jobs.remove_remains(view).await?;
    let gone = CatalogRecord::Dropped {
        next_generation: view.generation + 1,
        sequence: view.sequence,
    };
    inner.define(topic, &view.name, Some(gone)).await
}
