//! GROUP BY over a relation that changes, or with aggregates that need all their values.
//!
//! Always true: groups, arguments, filters and orders are columns of the input (a projection in front computes them), so a row that cannot be
//! computed is found before it reaches a group.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::logical_expr::AggregateUDF;
use datafusion::scalar::ScalarValue;

/// One GROUP BY.
#[derive(Debug, Clone)]
pub struct GroupChangesPlan {
    /// The group columns of the input, in the order of the output. Without any there is one group, also of no rows.
    pub keys: Vec<usize>,
    /// The aggregates, which follow the keys in the output.
    pub calls: Vec<AggregateCall>,
    /// Whether rows of the input are only ever added.
    pub append_only: bool,
    /// Columns of the input.
    pub input: SchemaRef,
    /// Columns of the output: keys, then results.
    pub schema: SchemaRef,
    /// Name of the store of groups.
    pub store: String,
    /// Name of the store of values, which aggregates that need their values write to.
    pub values_store: String,
}

/// One aggregate of a GROUP BY.
#[derive(Debug, Clone)]
pub struct AggregateCall {
    /// The function.
    pub function: Arc<AggregateUDF>,
    /// Columns of the arguments; none counts rows.
    pub arguments: Vec<usize>,
    /// For each argument the constant it is, if it is one: some functions want to know before the first row (the separator of STRING_AGG).
    pub constants: Vec<Option<ScalarValue>>,
    /// Whether equal arguments count once.
    pub distinct: bool,
    /// The column of `FILTER (WHERE …)`.
    pub filter: Option<usize>,
    /// `ORDER BY` inside the call.
    pub order: Vec<(usize, SortOptions)>,
    /// `IGNORE NULLS`.
    pub ignore_nulls: bool,
    /// Type of the result.
    pub output_type: DataType,
    /// As written, for EXPLAIN and in the identity of the state.
    pub text: String,
}
