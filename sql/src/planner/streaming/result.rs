//! The root of a plan: how its rows are kept and written.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;

use super::draft::{Draft, Drafted, Role};
use super::{Builder, groups, identity};
use crate::catalog::WatermarkDefinition;
use crate::error::{Result, SqlErrorKind};
use crate::logical::{GroupsResult, Operator, ResultPlan, RowsResult};

impl Builder<'_> {
    /// Adds all operators of a query, and says how the rows of the last one are kept.
    pub(super) fn result(&mut self, plan: &LogicalPlan, schema: &SchemaRef) -> Result<(usize, ResultPlan)> {
        let mark = self.draft.mark();
        if let Some((root, groups)) = self.groups_result(plan)? {
            return Ok((root, ResultPlan::Groups(groups)));
        }
        self.draft.back_to(mark);
        let root = self.visit(plan)?;
        let node = self.draft.node(root);
        if node.append_only {
            let watermark = watermark(node, schema);
            return Ok((root, ResultPlan::Appends { watermark }));
        }
        let key = node.key.clone();
        let in_place = match (&node.placed_by, &key) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(placed), Some(key)) => placed.iter().all(|column| key.contains(column)),
        };
        let words = match &key {
            Some(key) => format!("rows by {key:?}"),
            None => "rows".to_owned(),
        };
        let identity = identity::over(&words, &[&node.identity]);
        let root = if in_place {
            root
        } else {
            let by = key
                .clone()
                .unwrap_or_else(|| (0..schema.fields().len()).collect());
            self.shuffle(root, by, 0)
        };
        let store = self.draft.name("rows", &identity);
        let result = ResultPlan::Rows(RowsResult {
            key,
            store,
            schema: Arc::clone(&self.draft.node(root).schema),
        });
        Ok((root, result))
    }

    /// GROUP BY straight over a stream, with aggregates that need not keep their values.
    fn groups_result(&mut self, plan: &LogicalPlan) -> Result<Option<(usize, GroupsResult)>> {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => self.groups_result(&alias.input),
            LogicalPlan::Projection(projection) => {
                let Some((root, mut groups)) = self.groups_result(&projection.input)? else {
                    return Ok(None);
                };
                groups
                    .steps
                    .extend(self.projection_step(projection)?.map(|(step, _)| step));
                Ok(Some((root, groups)))
            }
            LogicalPlan::Filter(filter) => {
                let Some((root, mut groups)) = self.groups_result(&filter.input)? else {
                    return Ok(None);
                };
                groups
                    .steps
                    .push(self.filter_step(&filter.predicate, filter.input.schema())?);
                Ok(Some((root, groups)))
            }
            LogicalPlan::Aggregate(aggregate) => {
                let input = self.visit(&aggregate.input)?;
                let node = self.draft.node(input);
                let Operator::Source(source) = &node.operator else {
                    return Ok(None);
                };
                let delay_micros = source.event_time.as_ref().and_then(|time| time.delay_micros);
                match groups::plan(self.state, self.finder, aggregate, &node.roles, &source.steps) {
                    Ok(aggregate) => {
                        let groups = GroupsResult {
                            aggregate,
                            steps: Vec::new(),
                            delay_micros,
                        };
                        Ok(Some((input, groups)))
                    }
                    // Then as an operator that can do more.
                    Err(error) if error.kind == SqlErrorKind::Unsupported => Ok(None),
                    Err(error) => Err(error),
                }
            }
            _ => Ok(None),
        }
    }

    /// Sends rows to the task that has their key.
    pub(super) fn shuffle(&mut self, input: usize, keys: Vec<usize>, port: usize) -> usize {
        let below = self.draft.node(input);
        let words = format!("by {keys:?} to {port}");
        let identity = identity::over(&words, &[&below.identity]);
        let node = Drafted {
            operator: Operator::Shuffle {
                name: self.draft.name("shuffle", &identity),
                keys: keys.clone(),
                port,
            },
            inputs: vec![input],
            placed_by: Some(keys),
            roles: vec![Role::Computed; self.draft.node(input).roles.len()],
            ..self.draft.node(input).clone()
        };
        self.draft.add(node)
    }
}

/// Event time of rows that are only added, if the stream's passes through.
fn watermark(node: &Drafted, schema: &SchemaRef) -> Option<WatermarkDefinition> {
    let Operator::Source(source) = &node.operator else {
        return None;
    };
    let watermark = source.table.watermark.as_ref()?;
    let decoded = source.columns().position(|column| column == watermark.column)?;
    let result = node
        .roles
        .iter()
        .position(|role| *role == Role::Source(decoded))?;
    Some(WatermarkDefinition {
        column: schema.field(result).name().clone(),
        delay_micros: watermark.delay_micros,
    })
}

impl Draft {
    /// Whether a node's rows already lie where these columns say.
    pub(super) fn is_placed_by(&self, node: usize, keys: &[usize]) -> bool {
        self.node(node).placed_by.as_deref() == Some(keys)
    }
}
