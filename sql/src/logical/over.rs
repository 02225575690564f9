//! OVER windows and Top-N: what depends on all rows of a partition, in an order.
//!
//! Always true: the operator keeps the rows of each partition, and its output is at any time that of a batch query over what it has taken
//! in. Rows that compare equal in the order are told apart by their other columns, ascending, so results do not depend on arrival.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_expr::window::WindowExpr;

/// One OVER clause, or `ROW_NUMBER() … <= n`.
#[derive(Debug, Clone)]
pub struct OverPlan {
    /// The columns of PARTITION BY; none: all rows are one partition.
    pub partition: Vec<usize>,
    /// The columns of ORDER BY.
    pub order: Vec<(usize, SortOptions)>,
    /// What is computed.
    pub output: OverOutput,
    /// Columns of the input.
    pub input: SchemaRef,
    /// Columns of the output: the input's, then what is computed.
    pub schema: SchemaRef,
    /// Name of the store.
    pub store: String,
}

/// What leaves for each partition.
#[derive(Debug, Clone)]
pub enum OverOutput {
    /// The rows numbered `first` to `last`, both inclusive, from 1. Their number follows as a last column if `numbered`.
    TopN {
        /// Number of the first row.
        first: u64,
        /// Number of the last row.
        last: u64,
        /// Whether the output has the number.
        numbered: bool,
    },
    /// All rows, with the results of these window expressions over the input's columns.
    Windows(Vec<Arc<dyn WindowExpr>>),
}
