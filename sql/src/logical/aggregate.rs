//! GROUP BY of a streaming plan: keys, window, aggregates.
//!
//! Always true: the window columns are not part of the key: a group is (pane, key), where the pane is the window's start,
//! or 0 when the query does not group by a window. What the operators store and send follows from this plan alone.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;

use super::WindowSpec;

/// The aggregates our operators know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateFunctionKind {
    /// `COUNT(*)`, or `COUNT(x)`: rows where x is not NULL.
    Count,
    /// `SUM`.
    Sum,
    /// `MIN`.
    Min,
    /// `MAX`.
    Max,
    /// `AVG`, as a double.
    Avg,
}

impl AggregateFunctionKind {
    /// The names as users write them.
    pub const NAMES: [&'static str; 5] = ["count", "sum", "min", "max", "avg"];

    /// The aggregate called `name`, if it is one of ours.
    pub fn by_name(name: &str) -> Option<AggregateFunctionKind> {
        Some(match name {
            "count" => AggregateFunctionKind::Count,
            "sum" => AggregateFunctionKind::Sum,
            "min" => AggregateFunctionKind::Min,
            "max" => AggregateFunctionKind::Max,
            "avg" | "mean" => AggregateFunctionKind::Avg,
            _ => return None,
        })
    }
}

impl fmt::Display for AggregateFunctionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AggregateFunctionKind::Count => "count",
            AggregateFunctionKind::Sum => "sum",
            AggregateFunctionKind::Min => "min",
            AggregateFunctionKind::Max => "max",
            AggregateFunctionKind::Avg => "avg",
        })
    }
}

/// One aggregate of the query.
#[derive(Debug, Clone)]
pub struct AggregateSpec {
    /// Which function.
    pub function: AggregateFunctionKind,
    /// Its argument over the input; none counts rows.
    pub argument: Option<Arc<dyn PhysicalExpr>>,
    /// Type of the argument; `Int64` without one.
    pub argument_type: DataType,
    /// `FILTER (WHERE …)`.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// Type of the result.
    pub output_type: DataType,
    /// As written, for EXPLAIN.
    pub text: String,
}

/// Where a column of the aggregate's output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupColumn {
    /// The key column of this index.
    Key(usize),
    /// The pane.
    WindowStart,
    /// The pane plus the window's size.
    WindowEnd,
}

/// The input's column that tells a row's pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaneColumn {
    /// The windows.
    pub spec: WindowSpec,
    /// Position of the column in the input.
    pub index: usize,
    /// Whether it holds the windows' ends; the pane is their start all the same.
    pub is_end: bool,
}

/// The GROUP BY of a streaming plan.
#[derive(Debug, Clone)]
pub struct AggregatePlan {
    /// The windows grouped by.
    pub window: Option<PaneColumn>,
    /// Key expressions over the input, with name and type.
    pub keys: Vec<(Arc<dyn PhysicalExpr>, String, DataType)>,
    /// The group columns of the output, in order.
    pub group_columns: Vec<GroupColumn>,
    /// The aggregates, which follow the group columns in the output.
    pub aggregates: Vec<AggregateSpec>,
    /// The output: group columns, then aggregates.
    pub schema: SchemaRef,
}
