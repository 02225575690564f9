//! The plan of a job: decode a topic, steps row by row, perhaps one GROUP BY, steps over its groups.
//!
//! Always true: physical expressions refer to columns by position in the batch that reaches their step.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;

use super::{AggregatePlan, WindowSpec};
use crate::catalog::{TopicTable, WatermarkDefinition};

/// The event-time column of the decoded rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTime {
    /// Its position in the decoded rows.
    pub index: usize,
    /// Its name.
    pub column: String,
    /// How far rows may run behind, in microseconds; none if the stream declares no watermark: then no row is late.
    pub delay_micros: Option<i64>,
}

/// One column of a projection.
#[derive(Debug, Clone)]
pub struct ProjectedColumn {
    /// The expression.
    pub expr: Arc<dyn PhysicalExpr>,
    /// Its name in the output.
    pub name: String,
}

/// What happens to a batch between the operators that keep state.
#[derive(Debug, Clone)]
pub enum Step {
    /// Keep rows where the predicate is true.
    Filter {
        /// The predicate.
        predicate: Arc<dyn PhysicalExpr>,
        /// As written, for EXPLAIN.
        text: String,
    },
    /// Compute columns.
    Project {
        /// The columns.
        columns: Vec<ProjectedColumn>,
        /// Their schema.
        schema: SchemaRef,
        /// As written, for EXPLAIN.
        text: String,
    },
    /// Repeat each row for each of its windows.
    Windows {
        /// Which windows.
        spec: WindowSpec,
        /// Position of the time column.
        time_index: usize,
        /// With the two window columns at the end.
        schema: SchemaRef,
    },
}

/// A whole job.
#[derive(Debug, Clone)]
pub struct StreamPlan {
    /// The topic read.
    pub source: TopicTable,
    /// The columns decoded, as positions in the topic's schema.
    pub projection: Vec<usize>,
    /// Event time, if windows are used.
    pub event_time: Option<EventTime>,
    /// From decoded rows to the aggregate, or to the result.
    pub steps: Vec<Step>,
    /// GROUP BY.
    pub aggregate: Option<AggregatePlan>,
    /// From groups to results: HAVING and expressions over aggregates.
    pub result_steps: Vec<Step>,
    /// The result.
    pub schema: SchemaRef,
    /// Event time of the result, when it is append-only and the stream's event-time column passes through unchanged.
    pub result_watermark: Option<WatermarkDefinition>,
}

impl StreamPlan {
    /// Whether rows are only ever added to the result.
    pub fn is_append_only(&self) -> bool {
        self.aggregate.is_none()
    }
}
