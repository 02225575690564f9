//! `SHOW …` and `DESCRIBE …`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};

use super::state::State;
use super::{Inner, unknown};
use crate::catalog::{Entry, SqlType};
use crate::error::{Result, SqlError};
use crate::logical::{Micros, StreamPlan};
use crate::parser::{self, ObjectKind, Statement};
use crate::result::StatementResult;

pub(super) async fn run(inner: &Inner, kind: ObjectKind) -> Result<StatementResult> {
    let state = inner.state.get();
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    for (name, entry) in state.catalog.entries() {
        let wanted = match kind {
            ObjectKind::Stream => matches!(entry, Entry::Stream(_)),
            ObjectKind::View | ObjectKind::MaterializedView => !matches!(entry, Entry::Stream(_)),
            ObjectKind::Table => true,
        };
        if !wanted {
            continue;
        }
        let (topic, detail) = match entry {
            Entry::Stream(stream) => (
                Some(stream.topic.clone()),
                format!("format {}, {} partitions", stream.format, stream.partitions),
            ),
            Entry::MaterializedView(view) => (Some(view.topic.clone()), view.emit.to_string()),
            Entry::View(_) => (None, "expanded where it is used".to_owned()),
        };
        let view = state.views.get(name);
        let failure = view.and_then(|view| view.failure());
        rows.push(vec![
            Some(name.to_owned()),
            Some(entry.kind().to_owned()),
            topic,
            view.map(|view| view.state().to_owned()),
            failure.map(|failure| failure.reason),
            Some(detail),
        ]);
    }
    let columns = ["name", "kind", "topic", "state", "reason", "detail"];
    text_rows(&columns, &rows)
}

pub(super) async fn describe(inner: &Inner, statement: &Statement, name: &str) -> Result<StatementResult> {
    let state = inner.state.get();
    let Some(entry) = state.catalog.get(name) else {
        return Err(unknown(&state.catalog, statement, "stream or view", name));
    };
    let mut rows = Vec::new();
    match entry {
        Entry::Stream(stream) => {
            for column in &stream.columns {
                let mut note = Vec::new();
                if column.not_null {
                    note.push("not null".to_owned());
                }
                if let Some(watermark) = stream.watermark.as_ref().filter(|w| w.column == column.name) {
                    note.push(format!(
                        "event time, watermark {} behind",
                        Micros(watermark.delay_micros)
                    ));
                }
                rows.push(row(&column.name, column.sql_type.to_string(), note.join(", ")));
            }
        }
        Entry::MaterializedView(view) => {
            let running = state.views.get(name);
            if let Some(plan) = running.and_then(|view| view.plan()) {
                rows.extend(view_columns(&plan.plan));
            }
            let now = running.map_or("not started", |view| view.state());
            let reason = running.and_then(|view| view.failure());
            let reason = reason.map_or(String::new(), |failure| format!(": {}", failure.reason));
            // The last row is no column: it tells of the view as a whole.
            rows.push(vec![
                None,
                None,
                Some(format!("job {} {now}{reason}", view.application_id())),
            ]);
        }
        Entry::View(view) => {
            let query = parser::parse_query(&view.query)?;
            for field in view_schema(inner, &state, &query)?.fields() {
                rows.push(row(
                    field.name(),
                    SqlType::display_arrow(field.data_type()),
                    String::new(),
                ));
            }
        }
    }
    text_rows(&["column", "type", "note"], &rows)
}

fn row(column: &str, kind: String, note: String) -> Vec<Option<String>> {
    vec![
        Some(column.to_owned()),
        Some(kind),
        Some(note).filter(|n| !n.is_empty()),
    ]
}

fn view_columns(plan: &StreamPlan) -> impl Iterator<Item = Vec<Option<String>>> {
    let keys = plan.key_columns();
    plan.schema.fields().iter().map(move |field| {
        let is_key = keys.contains(&field.name().as_str());
        let note = if is_key { "key" } else { "" };
        row(
            field.name(),
            SqlType::display_arrow(field.data_type()),
            note.to_owned(),
        )
    })
}

fn view_schema(inner: &Inner, state: &State, query: &parser::ParsedQuery) -> Result<Schema> {
    let tables = super::tables::tables(&inner.broker, &inner.planner, state);
    Ok(inner
        .planner
        .logical_plan(query, &tables)?
        .schema()
        .as_arrow()
        .clone())
}

/// A table of texts.
pub(super) fn text_rows(columns: &[&str], rows: &[Vec<Option<String>>]) -> Result<StatementResult> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|name| Field::new(*name, DataType::Utf8, true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays: Vec<ArrayRef> = (0..columns.len())
        .map(|index| {
            Arc::new(StringArray::from_iter(
                rows.iter().map(|row| row[index].as_deref()),
            )) as ArrayRef
        })
        .collect();
    let batch =
        RecordBatch::try_new(schema.clone(), arrays).map_err(|e| SqlError::runtime("making a table", e))?;
    Ok(StatementResult::Rows {
        schema,
        batches: vec![batch],
    })
}
