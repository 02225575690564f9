//! A stream of updates becomes a table: the last record of a key stands, whatever its timestamp, and null deletes.
//!
//! Records with a null key are skipped and counted. A record older than what it replaces replaces it all the same, as in Kafka Streams: offsets decide, not
//! timestamps (versioned stores do otherwise, see `versioned_table/`).

use super::entry_writer::EntryWriter;
use crate::dsl::row::rows_of;
use crate::processor::{Batch, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::Data;

/// Nullable rows in, changes out.
pub(in crate::dsl) struct TableSource<K, V> {
    pub(in crate::dsl) writer: EntryWriter<K, V>,
}

impl<K: Data, V: Data> Processor for TableSource<K, V> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.writer.init(context)
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Option<V>>(batch, context)?;
        self.writer.write(rows, context)
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.writer.commit(context)
    }

    fn on_abort(&mut self) {
        self.writer.abort();
    }
}
