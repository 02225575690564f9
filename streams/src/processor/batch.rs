//! What flows along an edge of a task's graph: one batch, in one of three shapes.
//!
//! A batch belongs to one task and is never empty when forwarded. The shape is agreed between the two ends of an edge when the topology is built, so a
//! node downcasts once per batch, never per record. Nodes with several children get their own copy each (`RowBatch::duplicate`, `Columns::duplicate`).
//! Next: `raw_batch.rs` for records as they came from the log, `dsl/row.rs` for typed rows.

use std::any::Any;
use std::fmt;

use super::RawBatch;

/// One batch on an edge between two nodes.
pub enum Batch {
    /// Records of one source partition, as they stand in the log, without copy.
    Raw(RawBatch),
    /// Typed rows of the DSL.
    Rows(Box<dyn RowBatch>),
    /// Columns of SQL.
    Columns(Box<dyn Columns>),
}

/// Typed rows, erased between nodes. Implemented by the DSL's `Vec<Row<K, V>>`.
pub trait RowBatch: Any + Send {
    /// Number of rows.
    fn row_count(&self) -> usize;
    /// A copy, for the second and later children of a node.
    fn duplicate(&self) -> Box<dyn RowBatch>;
    /// For the downcast at the receiving node.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// Columnar rows, erased so that this crate needs no Arrow. Implemented by SQL.
pub trait Columns: Any + Send {
    /// Number of rows.
    fn row_count(&self) -> usize;
    /// A (usually shallow) copy, for the second and later children of a node.
    fn duplicate(&self) -> Box<dyn Columns>;
    /// For the downcast at the receiving node.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

impl Batch {
    /// Name of the shape, for errors.
    pub fn shape(&self) -> &'static str {
        match self {
            Batch::Raw(_) => "raw records",
            Batch::Rows(_) => "typed rows",
            Batch::Columns(_) => "columns",
        }
    }

    /// A copy for another child.
    pub fn duplicate(&self) -> Batch {
        match self {
            Batch::Raw(raw) => Batch::Raw(raw.clone()),
            Batch::Rows(rows) => Batch::Rows(rows.duplicate()),
            Batch::Columns(columns) => Batch::Columns(columns.duplicate()),
        }
    }

    /// True when there is nothing to process. Raw batches are never counted, so they are never called empty.
    pub fn is_empty(&self) -> bool {
        match self {
            Batch::Raw(_) => false,
            Batch::Rows(rows) => rows.row_count() == 0,
            Batch::Columns(columns) => columns.row_count() == 0,
        }
    }

    /// The columns as `T`, or the batch back when it is something else.
    pub fn into_columns<T: Columns>(self) -> Result<Box<T>, Batch> {
        match self {
            // The trait object is looked at first, because a failed downcast of `Box<dyn Any>` cannot be turned back.
            Batch::Columns(columns) if (columns.as_ref() as &dyn Any).is::<T>() => Ok(columns
                .into_any()
                .downcast::<T>()
                .expect("checked one line above")),
            other => Err(other),
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({})", self.shape())
    }
}
