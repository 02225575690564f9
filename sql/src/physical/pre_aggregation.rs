//! The columns local aggregation reads: pane, keys, then argument and filter of each aggregate, computed by a last projection.
//!
//! Always true: after this step no expression is evaluated any more on the way in, so a row that cannot be computed is found, and
//! isolated, in `topic_source.rs`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::physical_expr::expressions::Column;

use crate::logical::{AggregatePlan, ProjectedColumn, Step};

/// Where local aggregation finds what it needs.
#[derive(Debug, Clone)]
pub struct PreAggregation {
    /// The projection that makes the columns.
    pub step: Step,
    /// The pane column, if the query groups by a window: starts, or ends.
    pub pane: Option<usize>,
    /// The key columns.
    pub keys: std::ops::Range<usize>,
    /// Per aggregate its argument and its filter.
    pub inputs: Vec<(Option<usize>, Option<usize>)>,
}

impl PreAggregation {
    /// Lays out the columns for `plan`.
    pub fn new(plan: &AggregatePlan) -> PreAggregation {
        let mut columns: Vec<ProjectedColumn> = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        let mut add = |expr, kind: DataType| {
            let name = format!("c{}", columns.len());
            fields.push(Field::new(&name, kind, true));
            columns.push(ProjectedColumn { expr, name });
            columns.len() - 1
        };
        let pane = plan.window.map(|pane| {
            add(
                Arc::new(Column::new("pane", pane.index)),
                DataType::Timestamp(TimeUnit::Microsecond, None),
            )
        });
        let first_key = usize::from(pane.is_some());
        for (expr, _, kind) in &plan.keys {
            add(expr.clone(), kind.clone());
        }
        let keys = first_key..first_key + plan.keys.len();
        let inputs = plan
            .aggregates
            .iter()
            .map(|aggregate| {
                let argument = aggregate
                    .argument
                    .clone()
                    .map(|expr| add(expr, aggregate.argument_type.clone()));
                let filter = aggregate.filter.clone().map(|expr| add(expr, DataType::Boolean));
                (argument, filter)
            })
            .collect();
        let step = Step::Project {
            columns,
            schema: Arc::new(Schema::new(fields)),
            text: String::new(),
        };
        PreAggregation {
            step,
            pane,
            keys,
            inputs,
        }
    }
}
