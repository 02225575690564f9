//! Topics in FROM, and the windows their rows are assigned to.

use std::sync::Arc;

use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{TableScan, UserDefinedLogicalNodeCore};

use super::draft::{Drafted, Role};
use super::{Builder, identity};
use crate::error::{Result, SqlError};
use crate::logical::{EventTime, Operator, SourcePlan, Step, UpsertsPlan, WindowNode};
use crate::planner::{CatalogTable, plan_error};

impl Builder<'_> {
    pub(super) fn scan(&mut self, scan: &TableScan) -> Result<usize> {
        let provider = source_as_provider(&scan.source).map_err(|e| plan_error(e, self.finder))?;
        let Some(table) = provider.as_ref().downcast_ref::<CatalogTable>() else {
            return Err(SqlError::unsupported(format!(
                "\"{}\" cannot be read continuously",
                scan.table_name
            )));
        };
        let topic = table.topic.clone();
        if scan.fetch.is_some() {
            return Err(SqlError::unsupported(
                "LIMIT in a continuous query would depend on the order of arrival",
            ));
        }
        let projection = scan
            .projection
            .clone()
            .unwrap_or_else(|| (0..topic.schema.fields().len()).collect::<Vec<_>>());
        let schema = Arc::new(scan.projected_schema.as_arrow().clone());
        let source = SourcePlan {
            table: topic,
            projection,
            event_time: None,
            steps: Vec::new(),
        };
        let columns: Vec<&str> = source.columns().collect();
        let identity = format!("topic {} [{}]", source.table.topic, columns.join(" "));
        let mark = self.draft.mark();
        let mut node = match source.table.upserts.clone() {
            None => self.draft.add(Drafted {
                roles: (0..source.projection.len()).map(Role::Source).collect(),
                operator: Operator::Source(source),
                inputs: Vec::new(),
                schema,
                append_only: true,
                key: None,
                placed_by: None,
                identity,
            }),
            Some(upserts) => {
                let position = |column: usize| source.projection.iter().position(|read| *read == column);
                let key = upserts
                    .key
                    .and_then(|key| key.into_iter().map(position).collect());
                let identity = identity::over("last rows", &[&identity]);
                let store = self.draft.name("last", &identity);
                let node = self.draft.add(Drafted {
                    roles: vec![Role::Computed; source.projection.len()],
                    operator: Operator::Upserts(UpsertsPlan { source, store }),
                    inputs: Vec::new(),
                    schema,
                    append_only: false,
                    key,
                    placed_by: None,
                    identity,
                });
                self.draft.shared(node, mark)
            }
        };
        for filter in &scan.filters {
            node = self.keep(node, filter, &scan.projected_schema)?;
        }
        Ok(node)
    }

    pub(super) fn windows(&mut self, window: &WindowNode) -> Result<usize> {
        let input = self.visit(&window.input)?;
        let time_index = window.time_index().map_err(|e| plan_error(e, self.finder))?;
        let role = self.draft.node(input).roles[time_index];
        if self
            .draft
            .node(input)
            .roles
            .iter()
            .any(|role| matches!(role, Role::WindowStart | Role::WindowEnd))
        {
            return Err(
                SqlError::unsupported("windows over the rows of windows are not supported yet")
                    .with_hint("group by the inner window first"),
            );
        }
        let schema = Arc::new(UserDefinedLogicalNodeCore::schema(window).as_arrow().clone());
        let finder = self.finder;
        if let Operator::Source(source) = &mut self.draft.node_mut(input).operator {
            let Role::Source(index) = role else {
                let error = SqlError::unsupported(format!(
                    "the time column \"{}\" of a window must be a column of the stream, unchanged",
                    window.time.name()
                ));
                return Err(finder.at(error, window.time.name()));
            };
            let table = &source.table;
            let column = table.schema.field(source.projection[index]).name().clone();
            let delay_micros = match &table.watermark {
                _ if window.grace_micros.is_some() => window.grace_micros,
                None => None,
                Some(watermark) if watermark.column == column => Some(watermark.delay_micros),
                Some(watermark) => {
                    let error = SqlError::invalid(format!(
                        "the watermark of \"{}\" is on \"{}\", but the windows are on \"{column}\"",
                        table.name, watermark.column
                    ))
                    .with_hint(format!("use {} as the time column", watermark.column));
                    return Err(finder.at(error, window.time.name()));
                }
            };
            source.event_time = Some(EventTime {
                index,
                column,
                delay_micros,
            });
        }
        let grace = window
            .grace_micros
            .map_or(String::new(), |grace| format!(" grace {grace}"));
        let words = format!("windows {}{grace} on {time_index}", window.spec);
        let step = Step::Windows {
            spec: window.spec,
            time_index,
            schema: Arc::clone(&schema),
        };
        let node = self.draft.push_step(input, step, schema, &words);
        let drafted = self.draft.node_mut(node);
        let start = drafted.roles.len();
        drafted.roles.extend([Role::WindowStart, Role::WindowEnd]);
        if let Some(key) = &mut drafted.key {
            // Of several windows of a row each is a row of its own.
            key.push(start);
        }
        Ok(node)
    }
}
