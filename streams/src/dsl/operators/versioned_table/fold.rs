//! Aggregation per key, without windows, of which every past value is known for some time.
//!
//! A record is always folded into the present aggregate, and the result holds from the later of both times on; so it belongs to the past only when
//! it is older than the deletion of its key.

use std::sync::Arc;

use super::VersionedWriter;
use crate::dsl::operators::table_writer::TableStore;
use crate::dsl::row::{Row, rows_of};
use crate::processor::{Batch, BoxError, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::{Data, SerdeRef};

/// Rows in, changes out. `F` folds a record into an aggregate in place.
pub(in crate::dsl) struct VersionedFold<K, V, A, F> {
    value: SerdeRef<V>,
    skips_null_values: bool,
    update: Arc<F>,
    writer: VersionedWriter<K, A>,
}

impl<K: Data, V, A: Data, F> VersionedFold<K, V, A, F> {
    pub(in crate::dsl) fn new(
        store: Arc<TableStore<K, A>>,
        value: SerdeRef<V>,
        skips_null_values: bool,
        update: Arc<F>,
    ) -> Self {
        VersionedFold {
            value,
            skips_null_values,
            update,
            writer: VersionedWriter::new(store),
        }
    }
}

impl<K, V, A, F> Processor for VersionedFold<K, V, A, F>
where
    K: Data,
    V: Data,
    A: Data,
    F: Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
{
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.writer.init(context)
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut rows = rows_of::<K, V>(batch, context)?;
        if self.skips_null_values {
            let all = rows.len();
            rows.retain(|row: &Row<K, V>| !self.value.is_null(&row.value));
            context.skipped((all - rows.len()) as u64);
        }
        let update = &*self.update;
        self.writer.write_each(rows, context, |key, value, at, stored| {
            let (mut aggregate, at) = match stored.read()? {
                Some((aggregate, from)) => (Some(aggregate), at.max(from)),
                None => (None, at),
            };
            update(key, &value, &mut aggregate)?;
            Ok((aggregate, at))
        })
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.writer.commit(context)
    }

    fn on_abort(&mut self) {
        self.writer.abort();
    }
}
