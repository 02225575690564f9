//! `SELECT`: bounded over committed data, or with `EMIT CHANGES` for as long as it is read.

use datafusion::physical_plan::execute_stream;
use futures::StreamExt;

use super::{Inner, tables};
use crate::catalog::Emit;
use crate::error::{Result, SqlError};
use crate::parser::{ParsedQuery, place_of_word};
use crate::planner::{PlaceFinder, plan_error};
use crate::result::StatementResult;
use crate::serving::ChangeStream;

pub(super) async fn run(inner: &Inner, query: &ParsedQuery) -> Result<StatementResult> {
    match query.emit {
        None => rows(inner, query).await,
        Some(Emit::Changes) => changes(inner, query).await,
        Some(Emit::Final) => Err(
            SqlError::unsupported("EMIT FINAL belongs to CREATE MATERIALIZED VIEW")
                .with_hint("create a view with EMIT FINAL and read it, or use EMIT CHANGES")
                .with_place(place_of_word(&query.source, &query.tokens, "FINAL")),
        ),
    }
}

async fn rows(inner: &Inner, query: &ParsedQuery) -> Result<StatementResult> {
    let tables = tables::tables(&inner.broker, &inner.planner, &inner.state.get());
    let finder = PlaceFinder {
        source: &query.source,
        tokens: &query.tokens,
    };
    let plan = inner.planner.logical_plan(query, &tables)?;
    let physical = inner.planner.physical_plan(&plan, &finder).await?;
    let schema = physical.schema();
    let mut stream =
        execute_stream(physical, inner.planner.state().task_ctx()).map_err(|e| plan_error(e, &finder))?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch.map_err(|e| plan_error(e, &finder))?);
    }
    Ok(StatementResult::Rows { schema, batches })
}

async fn changes(inner: &Inner, query: &ParsedQuery) -> Result<StatementResult> {
    let state = inner.state.get();
    let tables = tables::change_tables(&inner.broker, &inner.planner, &state);
    let (query, limit) = take_limit(query)?;
    let plan = inner.planner.stream_plan(&query, &tables)?;
    for source in plan.sources() {
        let name = &source.table.name;
        // Its topic would be read without end, and nothing would come.
        if let Some(failure) = state.views.get(name).and_then(|view| view.failure()) {
            let place = place_of_word(&query.source, &query.tokens, name);
            return Err(failure.error(name).with_place(place));
        }
    }
    let Some(source) = plan.single_source().filter(|_| plan.is_append_only()) else {
        return Err(SqlError::unsupported(
            "SELECT … EMIT CHANGES over rows that change needs a job to keep them",
        )
        .with_hint("CREATE MATERIALIZED VIEW v AS …, then SELECT * FROM v EMIT CHANGES")
        .with_place(place_of_word(&query.source, &query.tokens, "GROUP")));
    };
    Ok(StatementResult::Stream(
        ChangeStream::open(&inner.broker, source, plan.schema.clone(), limit).await?,
    ))
}

/// `LIMIT n` in front of `EMIT CHANGES` or behind it: the stream ends there, so it is no part of the plan.
fn take_limit(query: &ParsedQuery) -> Result<(ParsedQuery, Option<u64>)> {
    use datafusion::sql::sqlparser::ast::{Expr, LimitClause, Value};
    let mut query = query.clone();
    let mut limit = query.limit_after_emit;
    if let Some(LimitClause::LimitOffset {
        limit: Some(Expr::Value(value)),
        offset: None,
        ..
    }) = &query.query.limit_clause
        && let Value::Number(number, _) = &value.value
        && let Ok(number) = number.parse::<u64>()
    {
        limit = Some(limit.map_or(number, |other| other.min(number)));
        query.query.limit_clause = None;
    }
    Ok((query, limit))
}
