//! `EXPLAIN`: the logical plan, our operators, the stores and topics of a job; or DataFusion's plan of a bounded query.

use std::fmt::Write;

use datafusion::physical_plan::displayable;

use super::{Inner, create, show, tables};
use crate::catalog::Emit;
use crate::error::Result;
use crate::logical::{AggregatePlan, GroupColumn, Micros, Step, StreamPlan};
use crate::parser::{Statement, StatementKind};
use crate::planner::PlaceFinder;
use crate::result::StatementResult;
use crate::runtime::{GROUPS_STORE, ViewPlan};

pub(super) async fn run(inner: &Inner, statement: &Statement) -> Result<StatementResult> {
    let state = inner.state.get();
    let text = match &statement.kind {
        StatementKind::CreateMaterializedView(view) => {
            let tables = tables::tables(&inner.broker, &inner.planner, &state);
            let (_, logical) = inner.planner.stream_plan_with_logical(&view.query, &tables)?;
            let plan = create::plan_view(inner, &state, statement, view)?;
            format!(
                "{}{}",
                explain_logical(&logical.display_indent().to_string()),
                explain_view(&plan)
            )
        }
        StatementKind::Select(select) if select.query.emit == Some(Emit::Changes) => {
            let tables = tables::change_tables(&inner.broker, &inner.planner, &state);
            let (plan, logical) = inner.planner.stream_plan_with_logical(&select.query, &tables)?;
            format!(
                "{}{}",
                explain_logical(&logical.display_indent().to_string()),
                explain_stream(&plan)
            )
        }
        StatementKind::Select(select) => {
            let tables = tables::tables(&inner.broker, &inner.planner, &state);
            let query = &select.query;
            let finder = PlaceFinder {
                source: &query.source,
                tokens: &query.tokens,
            };
            let plan = inner.planner.logical_plan(query, &tables)?;
            let optimised = inner
                .planner
                .state()
                .optimize(&plan)
                .map_err(|e| crate::planner::plan_error(e, &finder))?;
            let physical = inner.planner.physical_plan(&plan, &finder).await?;
            format!(
                "{}physical plan (bounded, over committed data):\n{}",
                explain_logical(&optimised.display_indent().to_string()),
                indented(&displayable(physical.as_ref()).indent(false).to_string())
            )
        }
        _ => String::new(),
    };
    let rows: Vec<_> = text.lines().map(|line| vec![Some(line.to_owned())]).collect();
    show::text_rows(&["plan"], &rows)
}

fn explain_logical(plan: &str) -> String {
    format!("logical plan:\n{}", indented(plan))
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "  {line}");
        out
    })
}

/// The operators of a plan, first to last.
pub(crate) fn explain_stream(plan: &StreamPlan) -> String {
    let mut out = String::from("operators:\n");
    let columns: Vec<&str> = plan
        .projection
        .iter()
        .map(|c| plan.source.schema.field(*c).name().as_str())
        .collect();
    let _ = writeln!(
        out,
        "  TopicSource: topic {}, format {}, columns [{}]",
        plan.source.topic,
        plan.source.format,
        columns.join(", ")
    );
    if let Some(time) = &plan.event_time {
        match time.delay_micros {
            Some(delay) => {
                let _ = writeln!(out, "  Watermark: {} - {}", time.column, Micros(delay));
            }
            None => {
                let _ = writeln!(out, "  EventTime: {}, no watermark: no row is late", time.column);
            }
        }
    }
    steps(&mut out, &plan.steps);
    if let Some(aggregate) = &plan.aggregate {
        let groups = groups(aggregate);
        let _ = writeln!(out, "  LocalAggregate: {groups}");
        let _ = writeln!(out, "  Exchange: by hash of [{}], Arrow IPC", keys(aggregate));
        let _ = writeln!(out, "  FinalAggregate: {groups}");
        steps(&mut out, &plan.result_steps);
    }
    out
}

/// A view's operators, stores and topics.
pub(crate) fn explain_view(view: &ViewPlan) -> String {
    let mut out = explain_stream(&view.plan);
    let definition = &view.definition;
    let application = definition.application_id();
    let what = if view.plan.is_append_only() {
        "rows"
    } else {
        "upserts"
    };
    let _ = writeln!(
        out,
        "  TopicSink: topic {}, format json, {what}, {}",
        definition.topic, definition.emit
    );
    let _ = writeln!(out, "job: {application}");
    if let Some(layout) = &definition.layout {
        let _ = writeln!(out, "stores:\n  {GROUPS_STORE}: {layout}");
        let _ = writeln!(out, "internal topics:");
        let _ = writeln!(
            out,
            "  {application}-groups-repartition: {} partitions",
            definition.partitions
        );
        let _ = writeln!(
            out,
            "  {application}-{GROUPS_STORE}-changelog: {} partitions",
            definition.partitions
        );
    }
    out
}

fn steps(out: &mut String, steps: &[Step]) {
    for step in steps {
        let _ = match step {
            Step::Filter { text, .. } => writeln!(out, "  Filter: {text}"),
            Step::Project { text, .. } => writeln!(out, "  Project: {text}"),
            Step::Windows { spec, .. } => writeln!(out, "  Windows: {spec}"),
        };
    }
}

fn keys(aggregate: &AggregatePlan) -> String {
    aggregate
        .keys
        .iter()
        .map(|(_, name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn groups(aggregate: &AggregatePlan) -> String {
    let groups: Vec<&str> = aggregate
        .group_columns
        .iter()
        .map(|column| match column {
            GroupColumn::Key(index) => aggregate.keys[*index].1.as_str(),
            GroupColumn::WindowStart => "window_start",
            GroupColumn::WindowEnd => "window_end",
        })
        .collect();
    let aggregates: Vec<&str> = aggregate.aggregates.iter().map(|a| a.text.as_str()).collect();
    let window = aggregate
        .window
        .map_or(String::new(), |w| format!(", pane {}", w.spec));
    format!(
        "group by [{}], aggregates [{}]{window}",
        groups.join(", "),
        aggregates.join(", ")
    )
}
