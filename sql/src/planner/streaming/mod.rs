//! The optimised logical plan as a graph of our operators.
//!
//! Always true: a plan that comes out runs for ever in bounded steps; whatever cannot is refused with what, where and why. What a store is called
//! follows from what is kept in it (`identity.rs`), never from its place in the query. `draft.rs` holds the graph while it grows,
//! `columns.rs` adds columns an operator needs, `source.rs`
//! reads topics, `row_by_row.rs` computes, `groups.rs` and `group_changes.rs` are GROUP BY, `join.rs` joins, `over.rs` OVER and Top-N,
//! `result.rs` the root.

mod columns;
mod draft;
mod group_changes;
mod groups;
mod identity;
mod join;
mod over;
mod result;
mod row_by_row;
mod source;

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Distinct, Expr, Extension, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;

use self::draft::Draft;
use super::{PlaceFinder, plan_error, refuse};
use crate::error::{Result, SqlError};
use crate::logical::{StreamPlan, WindowNode};

/// Takes the streaming plan from an optimised logical plan.
pub(super) fn stream_plan(
    state: &SessionState,
    plan: &LogicalPlan,
    finder: &PlaceFinder<'_>,
) -> Result<StreamPlan> {
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
    let mut builder = Builder {
        state,
        finder,
        draft: Draft::default(),
    };
    let (root, result) = builder.result(plan, &schema)?;
    Ok(StreamPlan {
        nodes: builder.draft.finish(),
        root,
        result,
        schema,
    })
}

/// Builds the graph from the leaves up.
struct Builder<'a> {
    state: &'a SessionState,
    finder: &'a PlaceFinder<'a>,
    draft: Draft,
}

impl Builder<'_> {
    /// Adds the operators of `plan` and gives the one whose rows are its rows.
    fn visit(&mut self, plan: &LogicalPlan) -> Result<usize> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.visit(&alias.input),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Aggregate(aggregate) => self.group_changes(aggregate),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Window(window) => self.over(window),
            LogicalPlan::Limit(limit) => self.first_rows(limit),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Distinct(Distinct::All(_)) => {
                // A rule has made GROUP BY of it.
                Err(SqlError::unsupported("DISTINCT is not supported here"))
            }
            LogicalPlan::Extension(Extension { node }) => match node.as_any().downcast_ref::<WindowNode>() {
                Some(window) => self.windows(window),
                None => Err(refuse::node(plan, self.finder)),
            },
            other => Err(refuse::node(other, self.finder)),
        }
    }

    fn physical(&self, expr: &Expr, input: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        self.state
            .create_physical_expr(expr.clone(), input)
            .map_err(|e| plan_error(e, self.finder))
    }
}

/// The expression below its names.
fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The plan below its names.
fn unnamed(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => unnamed(&alias.input),
        other => other,
    }
}

/// The position of the input's column that an expression is, unchanged.
fn column_of(expr: &Expr, input: &DFSchema) -> Option<usize> {
    match unaliased(expr) {
        Expr::Column(column) => input.index_of_column(column).ok(),
        _ => None,
    }
}
