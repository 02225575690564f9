//! The optimised logical plan as a plan of our operators.
//!
//! Always true: a plan that comes out runs for ever in bounded steps; whatever cannot is refused with what, where and why.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::datasource::source_as_provider;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Aggregate, Expr, Extension, Filter, LogicalPlan, Projection, TableScan};
use datafusion::physical_expr::PhysicalExpr;

use super::{CatalogTable, PlaceFinder, TableOrigin, aggregates, plan_error, refuse};
use crate::catalog::{TopicTable, WatermarkDefinition};
use crate::error::{Result, SqlError};
use crate::logical::{AggregatePlan, EventTime, ProjectedColumn, Step, StreamPlan, WindowNode, WindowSpec};

/// What a column of a batch is, followed from the topic upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The decoded column at this position, unchanged.
    Source(usize),
    /// Starts of windows.
    WindowStart,
    /// Ends of windows.
    WindowEnd,
    /// Computed.
    Computed,
}

/// Takes the streaming plan from an optimised logical plan.
pub(super) fn stream_plan(
    state: &SessionState,
    plan: &LogicalPlan,
    finder: &PlaceFinder<'_>,
) -> Result<StreamPlan> {
    let mut builder = Builder {
        state,
        finder,
        source: None,
        event_time: None,
        window: None,
        roles: Vec::new(),
        steps: Vec::new(),
        aggregate: None,
        result_steps: Vec::new(),
    };
    builder.visit(plan)?;
    let result_watermark = builder.result_watermark(plan.schema());
    let Some((source, projection)) = builder.source else {
        return Err(refuse::node(plan, finder));
    };
    let schema = Arc::new(plan.schema().as_arrow().clone());
    for (index, field) in schema.fields().iter().enumerate() {
        if schema.fields()[..index]
            .iter()
            .any(|other| other.name() == field.name())
        {
            let error = SqlError::invalid(format!("column \"{}\" stands twice in the result", field.name()))
                .with_hint("give one of them another name with AS");
            return Err(finder.at(error, field.name()));
        }
    }
    Ok(StreamPlan {
        source,
        projection,
        event_time: builder.event_time,
        steps: builder.steps,
        aggregate: builder.aggregate,
        result_steps: builder.result_steps,
        schema,
        result_watermark,
    })
}

struct Builder<'a> {
    state: &'a SessionState,
    finder: &'a PlaceFinder<'a>,
    source: Option<(TopicTable, Vec<usize>)>,
    event_time: Option<EventTime>,
    window: Option<WindowSpec>,
    /// Of the columns that leave the last step.
    roles: Vec<Role>,
    steps: Vec<Step>,
    aggregate: Option<AggregatePlan>,
    result_steps: Vec<Step>,
}

impl Builder<'_> {
    fn visit(&mut self, plan: &LogicalPlan) -> Result<()> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.visit(&alias.input),
            LogicalPlan::Projection(projection) => {
                self.visit(&projection.input)?;
                self.project(projection)
            }
            LogicalPlan::Filter(filter) => {
                self.visit(&filter.input)?;
                self.filter(filter)
            }
            LogicalPlan::Aggregate(aggregate) => {
                self.visit(&aggregate.input)?;
                self.aggregate(aggregate)
            }
            LogicalPlan::Extension(Extension { node }) => match node.as_any().downcast_ref::<WindowNode>() {
                Some(window) => {
                    self.visit(&window.input)?;
                    self.windows(window)
                }
                None => Err(refuse::node(plan, self.finder)),
            },
            other => Err(refuse::node(other, self.finder)),
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Result<()> {
        let provider = source_as_provider(&scan.source).map_err(|e| plan_error(e, self.finder))?;
        let Some(table) = provider.as_ref().downcast_ref::<CatalogTable>() else {
            return Err(SqlError::unsupported(format!(
                "\"{}\" cannot be read continuously",
                scan.table_name
            )));
        };
        let topic = match &table.origin {
            TableOrigin::Topic(topic) => topic.clone(),
            TableOrigin::Groups { view } => {
                let error = SqlError::unsupported(format!(
                    "view \"{view}\" has GROUP BY: its rows change, and a continuous query reads rows that stay"
                ))
                .with_hint(format!("read {view} with a plain SELECT, or repeat its query in this one"));
                return Err(self.finder.at(error, view));
            }
        };
        let projection = scan
            .projection
            .clone()
            .unwrap_or_else(|| (0..topic.schema.fields().len()).collect::<Vec<_>>());
        self.roles = (0..projection.len()).map(Role::Source).collect();
        self.source = Some((topic, projection));
        if scan.fetch.is_some() {
            return Err(SqlError::unsupported(
                "LIMIT in a continuous query would depend on the order of arrival",
            ));
        }
        for filter in &scan.filters {
            self.push_filter(filter, &scan.projected_schema)?;
        }
        Ok(())
    }

    fn project(&mut self, projection: &Projection) -> Result<()> {
        let input = projection.input.schema();
        let roles: Vec<Role> = projection.expr.iter().map(|e| self.role(e, input)).collect();
        let mut columns = Vec::with_capacity(projection.expr.len());
        let mut unchanged = projection.expr.len() == input.fields().len();
        for (index, (expr, field)) in projection.expr.iter().zip(projection.schema.fields()).enumerate() {
            unchanged &= matches!(expr, Expr::Column(c) if input.index_of_column(c).ok() == Some(index))
                && input.field(index).name() == field.name();
            columns.push(ProjectedColumn {
                expr: self.physical(expr, input)?,
                name: field.name().clone(),
            });
        }
        self.roles = roles;
        if !unchanged {
            let text = projection
                .expr
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            let schema = Arc::new(projection.schema.as_arrow().clone());
            self.push(Step::Project {
                columns,
                schema,
                text,
            });
        }
        Ok(())
    }

    fn filter(&mut self, filter: &Filter) -> Result<()> {
        self.push_filter(&filter.predicate, filter.input.schema())
    }

    fn push_filter(&mut self, predicate: &Expr, input: &DFSchema) -> Result<()> {
        let step = Step::Filter {
            predicate: self.physical(predicate, input)?,
            text: predicate.to_string(),
        };
        self.push(step);
        Ok(())
    }

    fn windows(&mut self, node: &WindowNode) -> Result<()> {
        if self.aggregate.is_some() || self.window.is_some() {
            return Err(
                SqlError::unsupported("windows over windows or over groups are not supported yet")
                    .with_hint("one TUMBLE or HOP per continuous query, below its GROUP BY"),
            );
        }
        let time_index = node.time_index().map_err(|e| plan_error(e, self.finder))?;
        let (source, projection) = self
            .source
            .as_ref()
            .ok_or_else(|| refuse::node(&node.input, self.finder))?;
        let Role::Source(index) = self.roles[time_index] else {
            let error = SqlError::unsupported(format!(
                "the time column \"{}\" of a window must be a column of the stream, unchanged",
                node.time.name()
            ));
            return Err(self.finder.at(error, node.time.name()));
        };
        let column = source.schema.field(projection[index]).name().clone();
        let delay_micros = match &source.watermark {
            None => None,
            Some(watermark) if watermark.column == column => Some(watermark.delay_micros),
            Some(watermark) => {
                let error = SqlError::invalid(format!(
                    "the watermark of \"{}\" is on \"{}\", but the windows are on \"{column}\"",
                    source.name, watermark.column
                ))
                .with_hint(format!("use {} as the time column", watermark.column));
                return Err(self.finder.at(error, node.time.name()));
            }
        };
        self.event_time = Some(EventTime {
            index,
            column,
            delay_micros,
        });
        self.window = Some(node.spec);
        self.roles.extend([Role::WindowStart, Role::WindowEnd]);
        let schema = Arc::new(
            datafusion::logical_expr::UserDefinedLogicalNodeCore::schema(node)
                .as_arrow()
                .clone(),
        );
        self.steps.push(Step::Windows {
            spec: node.spec,
            time_index,
            schema,
        });
        Ok(())
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<()> {
        if self.aggregate.is_some() {
            return Err(SqlError::unsupported(
                "GROUP BY over GROUP BY is not supported in continuous queries yet",
            )
            .with_hint("make the inner one the view, and group it again in the query that reads it"));
        }
        let roles: Vec<Role> = aggregate
            .group_expr
            .iter()
            .map(|e| self.role(e, aggregate.input.schema()))
            .collect();
        self.aggregate = Some(aggregates::plan(
            self.state,
            self.finder,
            aggregate,
            &self.roles,
            &roles,
            self.window,
        )?);
        self.roles = vec![Role::Computed; aggregate.schema.fields().len()];
        Ok(())
    }

    fn push(&mut self, step: Step) {
        if self.aggregate.is_some() {
            self.result_steps.push(step)
        } else {
            self.steps.push(step)
        }
    }

    fn physical(&self, expr: &Expr, input: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        self.state
            .create_physical_expr(expr.clone(), input)
            .map_err(|e| plan_error(e, self.finder))
    }

    fn role(&self, expr: &Expr, input: &DFSchema) -> Role {
        match expr {
            Expr::Alias(alias) => self.role(&alias.expr, input),
            Expr::Column(column) => input
                .index_of_column(column)
                .ok()
                .and_then(|i| self.roles.get(i).copied())
                .unwrap_or(Role::Computed),
            _ => Role::Computed,
        }
    }

    fn result_watermark(&self, schema: &DFSchema) -> Option<WatermarkDefinition> {
        let (source, projection) = self.source.as_ref()?;
        let watermark = source.watermark.as_ref()?;
        let decoded = projection
            .iter()
            .position(|c| *source.schema.field(*c).name() == watermark.column)?;
        let result = self
            .roles
            .iter()
            .position(|role| *role == Role::Source(decoded))?;
        let schema: &Schema = schema.as_arrow();
        Some(WatermarkDefinition {
            column: schema.field(result).name().clone(),
            delay_micros: watermark.delay_micros,
        })
    }
}
