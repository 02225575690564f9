//! A join of two relations that change.
//!
//! Always true: the operator has both sides in stores, so its output is at any time the join of what it has taken in; the columns of a
//! semi or anti join are those of its kept side, of any other join left then right.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::JoinType;
use datafusion::physical_expr::PhysicalExpr;

/// One join.
#[derive(Debug, Clone)]
pub struct JoinPlan {
    /// Inner, left, right, full, semi or anti.
    pub kind: JoinType,
    /// Columns that must be equal: (position on the left, position on the right). Without any, every row meets every row.
    pub keys: Vec<(usize, usize)>,
    /// Whether NULL keys are equal (set operations); in SQL's joins they are equal to nothing.
    pub null_equals_null: bool,
    /// What else must be true of a pair: over the columns of the left, then those of the right, whatever the kind.
    pub filter: Option<JoinFilter>,
    /// Columns of the left.
    pub left: SchemaRef,
    /// Columns of the right.
    pub right: SchemaRef,
    /// Columns of the output.
    pub schema: SchemaRef,
    /// Names of the stores of the left and of the right.
    pub stores: [String; 2],
}

/// A condition over pairs.
#[derive(Debug, Clone)]
pub struct JoinFilter {
    /// The predicate.
    pub predicate: Arc<dyn PhysicalExpr>,
    /// As written, for EXPLAIN.
    pub text: String,
}
