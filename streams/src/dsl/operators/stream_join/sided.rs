//! How a join learns which stream a batch belongs to: a node in front of each side marks it.

use std::any::Any;
use std::marker::PhantomData;

use super::layout::Side;
use crate::dsl::row::{Row, rows_of};
use crate::processor::{Batch, ProcessContext, ProcessError, Processor, RowBatch};
use crate::serde::Data;

/// Rows of one side.
pub(super) enum Sided<K, V1, V2> {
    Left(Vec<Row<K, V1>>),
    Right(Vec<Row<K, V2>>),
}

impl<K: Data, V1: Data, V2: Data> RowBatch for Sided<K, V1, V2> {
    fn row_count(&self) -> usize {
        match self {
            Sided::Left(rows) => rows.len(),
            Sided::Right(rows) => rows.len(),
        }
    }

    fn duplicate(&self) -> Box<dyn RowBatch> {
        Box::new(match self {
            Sided::Left(rows) => Sided::<K, V1, V2>::Left(rows.clone()),
            Sided::Right(rows) => Sided::Right(rows.clone()),
        })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// The marked rows of a batch.
pub(super) fn sided_of<K: Data, V1: Data, V2: Data>(
    batch: Batch,
    context: &ProcessContext<'_>,
) -> Result<Sided<K, V1, V2>, ProcessError> {
    let actual = batch.shape();
    let sided = match batch {
        Batch::Rows(rows) => rows.into_any().downcast::<Sided<K, V1, V2>>().ok(),
        _ => None,
    };
    sided
        .map(|sided| *sided)
        .ok_or_else(|| ProcessError::UnexpectedBatch {
            node: context.node().to_owned(),
            expected: std::any::type_name::<Sided<K, V1, V2>>(),
            actual,
        })
}

/// The node in front of one side.
pub(in crate::dsl) struct MarkSide<K, V1, V2> {
    side: Side,
    types: PhantomData<fn(K, V1, V2)>,
}

impl<K, V1, V2> MarkSide<K, V1, V2> {
    pub(in crate::dsl) fn new(side: Side) -> Self {
        MarkSide {
            side,
            types: PhantomData,
        }
    }
}

impl<K: Data, V1: Data, V2: Data> Processor for MarkSide<K, V1, V2> {
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let sided: Sided<K, V1, V2> = match self.side {
            Side::Left => Sided::Left(rows_of(batch, context)?),
            Side::Right => Sided::Right(rows_of(batch, context)?),
        };
        context.forward(Batch::Rows(Box::new(sided)));
        Ok(())
    }
}
