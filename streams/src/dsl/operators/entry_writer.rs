//! Writes the store of a table, whichever kind it is: the latest value of each key, or its versions.
//!
//! Next: `table_writer.rs` and `versioned_table/`, which do it.

use std::sync::Arc;

use super::table_writer::{TableStore, TableWriter};
use super::versioned_table::VersionedWriter;
use crate::dsl::row::Row;
use crate::processor::{InitContext, ProcessContext, ProcessError};
use crate::serde::Data;

/// See the module's text.
pub(in crate::dsl) enum EntryWriter<K, V> {
    Latest(Box<TableWriter<K, V>>),
    Versioned(VersionedWriter<K, V>),
}

impl<K: Data, V: Data> EntryWriter<K, V> {
    pub(in crate::dsl) fn new(settings: Arc<TableStore<K, V>>) -> Self {
        match settings.history_ms {
            None => EntryWriter::Latest(Box::new(TableWriter::new(settings))),
            Some(_) => EntryWriter::Versioned(VersionedWriter::new(settings)),
        }
    }

    pub(in crate::dsl) fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        match self {
            EntryWriter::Latest(writer) => writer.init(context),
            EntryWriter::Versioned(writer) => writer.init(context),
        }
    }

    /// Puts the new values into the store, in order, and forwards the changes, at once or later. Rows with a null key are skipped and counted.
    pub(in crate::dsl) fn write(
        &mut self,
        rows: Vec<Row<K, Option<V>>>,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        match self {
            EntryWriter::Latest(writer) => writer.write(rows, context),
            EntryWriter::Versioned(writer) => writer.write(rows, context),
        }
    }

    /// Forwards what waits for the commit.
    pub(in crate::dsl) fn commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        match self {
            EntryWriter::Latest(writer) => writer.commit(context),
            EntryWriter::Versioned(writer) => writer.commit(context),
        }
    }

    /// Forgets what is not in the store.
    pub(in crate::dsl) fn abort(&mut self) {
        match self {
            EntryWriter::Latest(writer) => writer.abort(),
            EntryWriter::Versioned(writer) => writer.abort(),
        }
    }
}
