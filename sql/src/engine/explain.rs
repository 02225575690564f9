//! `EXPLAIN`: the logical plan, our operators, the stores and topics of a job; or DataFusion's plan of a bounded query.

use std::fmt::Write;

use datafusion::physical_plan::displayable;

use super::{Inner, create, show, tables};
use crate::catalog::Emit;
use crate::error::Result;
use crate::logical::{
    AggregatePlan, GroupColumn, Micros, Operator, OverOutput, PlanNode, ResultPlan, Step, StreamPlan,
};
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

/// The operators of a plan, inputs first. Where there are several they have numbers, and say which they read.
pub(crate) fn explain_stream(plan: &StreamPlan) -> String {
    let mut out = String::from("operators:\n");
    for (index, node) in plan.nodes.iter().enumerate() {
        let mut lines = String::new();
        explain_node(&mut lines, node);
        let head = if plan.nodes.len() == 1 {
            String::new()
        } else {
            let inputs: Vec<String> = node.inputs.iter().map(|input| format!("[{input}]")).collect();
            let over = if inputs.is_empty() { "" } else { " over " };
            format!("[{index}]{over}{} ", inputs.join(", "))
        };
        for (number, line) in lines.lines().enumerate() {
            let _ = match (number, head.is_empty()) {
                (_, true) => writeln!(out, "  {line}"),
                (0, _) => writeln!(out, "  {head}{line}"),
                _ => writeln!(out, "      {line}"),
            };
        }
    }
    match &plan.result {
        ResultPlan::Appends { .. } => {}
        ResultPlan::Groups(result) => {
            let groups = groups(&result.aggregate);
            let _ = writeln!(out, "  LocalAggregate: {groups}");
            let _ = writeln!(
                out,
                "  Exchange: by hash of [{}], Arrow IPC",
                keys(&result.aggregate)
            );
            let _ = writeln!(out, "  FinalAggregate: {groups}");
            let mut lines = String::new();
            steps(&mut lines, &result.steps);
            lines.lines().for_each(|line| {
                let _ = writeln!(out, "  {line}");
            });
        }
        ResultPlan::Rows(_) => {
            let _ = match plan.key_columns().as_slice() {
                [] => writeln!(out, "  ResultRows: equal rows are counted"),
                key => writeln!(out, "  ResultRows: key [{}]", key.join(", ")),
            };
        }
    }
    out
}

fn explain_node(out: &mut String, node: &PlanNode) {
    let name = |column: &usize| node.schema.field(*column).name().clone();
    let names = |columns: &[usize]| columns.iter().map(name).collect::<Vec<_>>().join(", ");
    match &node.operator {
        Operator::Source(source) => {
            let columns: Vec<&str> = source.columns().collect();
            let table = &source.table;
            let columns = columns.join(", ");
            let _ = writeln!(
                out,
                "TopicSource: topic {}, format {}, columns [{columns}]",
                table.topic, table.format
            );
            if let Some(time) = &source.event_time {
                let _ = match time.delay_micros {
                    Some(delay) => writeln!(out, "Watermark: {} - {}", time.column, Micros(delay)),
                    None => writeln!(out, "EventTime: {}, no watermark: no row is late", time.column),
                };
            }
            steps(out, &source.steps);
        }
        Operator::Upserts(upserts) => {
            let columns: Vec<&str> = upserts.source.columns().collect();
            let table = &upserts.source.table;
            let _ = writeln!(
                out,
                "UpsertSource: topic {}, format {}, columns [{}], the last row of each key",
                table.topic,
                table.format,
                columns.join(", ")
            );
        }
        Operator::Steps(list) => steps(out, list),
        Operator::Union => {
            let _ = writeln!(out, "Union");
        }
        Operator::Shuffle { keys, .. } => {
            let _ = writeln!(out, "Exchange: by hash of [{}], Arrow IPC", names(keys));
        }
        Operator::Join(join) => {
            let on: Vec<String> = join
                .keys
                .iter()
                .map(|(left, right)| {
                    format!(
                        "{} = {}",
                        join.left.field(*left).name(),
                        join.right.field(*right).name()
                    )
                })
                .collect();
            let filter = join
                .filter
                .as_ref()
                .map_or(String::new(), |filter| format!(", where {}", filter.text));
            let _ = writeln!(out, "Join: {}, on [{}]{filter}", join.kind, on.join(", "));
        }
        Operator::Over(over) => {
            let input = |column: &usize| over.input.field(*column).name().clone();
            let partition: Vec<String> = over.partition.iter().map(input).collect();
            let order: Vec<String> = over
                .order
                .iter()
                .map(|(column, options)| {
                    format!(
                        "{}{}",
                        input(column),
                        if options.descending { " desc" } else { "" }
                    )
                })
                .collect();
            let by = format!(
                "partition by [{}], order by [{}]",
                partition.join(", "),
                order.join(", ")
            );
            let _ = match &over.output {
                OverOutput::TopN { first, last, .. } => writeln!(out, "TopN: rows {first} to {last}, {by}"),
                OverOutput::Windows(exprs) => {
                    let names: Vec<&str> = exprs.iter().map(|expr| expr.name()).collect();
                    writeln!(out, "Over: {by}: {}", names.join(", "))
                }
            };
        }
        Operator::Groups(groups) => {
            let keys: Vec<usize> = (0..groups.keys.len()).collect();
            let calls: Vec<&str> = groups.calls.iter().map(|call| call.text.as_str()).collect();
            let _ = writeln!(
                out,
                "Aggregate: group by [{}], aggregates [{}]",
                names(&keys),
                calls.join(", ")
            );
        }
    }
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
    let groups = definition
        .layout
        .iter()
        .map(|layout| (GROUPS_STORE, layout.to_string()));
    let others = definition
        .stores
        .iter()
        .map(|store| (store.name.as_str(), store.layout.clone()));
    let stores: Vec<(&str, String)> = groups.chain(others).collect();
    if stores.is_empty() {
        return out;
    }
    let _ = writeln!(out, "stores:");
    for (name, layout) in &stores {
        let _ = writeln!(out, "  {name}: {layout}");
    }
    let _ = writeln!(out, "internal topics:");
    let partitions = definition.partitions;
    let first = definition.layout.as_ref().map(|_| "groups");
    for name in first
        .into_iter()
        .chain(definition.shuffles.iter().map(String::as_str))
    {
        let _ = writeln!(out, "  {application}-{name}-repartition: {partitions} partitions");
    }
    for (name, _) in &stores {
        let _ = writeln!(out, "  {application}-{name}-changelog: {partitions} partitions");
    }
    out
}

fn steps(out: &mut String, steps: &[Step]) {
    for step in steps {
        let _ = match step {
            Step::Filter { text, .. } => writeln!(out, "Filter: {text}"),
            Step::Project { text, .. } => writeln!(out, "Project: {text}"),
            Step::Windows { spec, .. } => writeln!(out, "Windows: {spec}"),
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
