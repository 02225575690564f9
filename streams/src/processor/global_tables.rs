//! The global tables of an application: state that every task of the instance reads and none of them writes.
//!
//! Whoever reads the topics (`runtime/global_updater.rs`, or the test driver) hands the records over and commits them with the positions they reach; so a
//! restart goes on where the host was. Always true: tasks see committed records only, and those at once; an entry is the last record of its key in the order in
//! which the topic was read; null deletes. Nothing here is part of a transaction: a topic can be read again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::faults::Faults;
use millpond_log::types::{Offset, Timestamp, TopicName, TopicPartition};

use crate::state::{
    CommitPosition, KeyRange, PinnedState, StateError, StateLimits, StateOptions, StateReader,
    StoreHostFactory, StoreIndex, TaskId, TaskState, ValueEnvelope,
};
use crate::topology::GlobalSource;

/// See the module's text.
pub struct GlobalTables {
    sources: Vec<GlobalSource>,
    state: TaskState,
    unreadable: u64,
    buffer: Vec<u8>,
}

impl GlobalTables {
    /// Opens the state of these tables in the directory `global` below `dir`.
    /// # Errors
    /// As `TaskState::open`.
    pub fn open(
        sources: &[GlobalSource],
        dir: PathBuf,
        host: Arc<dyn StoreHostFactory>,
        limits: StateLimits,
        faults: Faults,
    ) -> Result<GlobalTables, StateError> {
        let state = TaskState::open(StateOptions {
            dir,
            task: TaskId::GLOBAL,
            host,
            stores: sources.iter().map(|source| source.store.clone()).collect(),
            limits,
            faults,
        })?;
        Ok(GlobalTables {
            sources: sources.to_vec(),
            state,
            unreadable: 0,
            buffer: Vec::new(),
        })
    }

    /// The topics, one for each table.
    pub fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.sources.iter().map(|source| &source.topic)
    }

    /// For queries.
    pub fn reader(&self) -> StateReader {
        self.state.reader()
    }

    /// For tasks; it keeps the state open.
    /// # Errors
    /// Never while this exists.
    pub fn pin(&self) -> Result<PinnedState, StateError> {
        self.state.reader().pin()
    }

    /// The state itself, for the registry of queries.
    pub fn state(&self) -> &TaskState {
        &self.state
    }

    /// Where reading of a partition goes on; none when it was never read.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.state.committed_position().input_offset(partition)
    }

    /// Records that were left out because they cannot be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Takes a record of `topic`. One without a key, or that cannot be read, is left out.
    pub fn put(&mut self, topic: &TopicName, key: Option<&[u8]>, value: Option<&[u8]>, timestamp: Timestamp) {
        let Some(key) = key else { return };
        for (place, source) in self.sources.iter().enumerate() {
            if source.topic != *topic {
                continue;
            }
            let mut store = self.state.store(StoreIndex::new(place as u32));
            let Some(value) = value else {
                store.delete(key);
                continue;
            };
            if let Err(cause) = (source.check)(key, value) {
                self.unreadable += 1;
                let store = &source.store.name;
                tracing::warn!(%topic, store, %cause, "record of a global table is left out");
                continue;
            }
            self.buffer.clear();
            ValueEnvelope::append_plain(timestamp, value, &mut self.buffer);
            store.put(key, &self.buffer);
        }
    }

    /// Everything taken so far becomes visible, as one; `inputs`: where each partition goes on. `now` is monotonic.
    /// # Errors
    /// When the host cannot be written.
    pub fn commit(&mut self, inputs: Vec<(TopicPartition, Offset)>, now: Duration) -> Result<(), StateError> {
        drop(self.state.freeze());
        self.state.commit_frozen(CommitPosition {
            inputs,
            ..CommitPosition::default()
        });
        self.state.maybe_apply(now)
    }

    /// Writes out what has waited long enough.
    /// # Errors
    /// When the host cannot be written.
    pub fn maybe_apply(&mut self, now: Duration) -> Result<(), StateError> {
        self.state.maybe_apply(now)
    }

    /// Makes everything durable.
    /// # Errors
    /// When the host cannot be written.
    pub fn flush(&mut self) -> Result<(), StateError> {
        self.state.flush()
    }

    /// Marks every entry of a topic's tables deleted, because the topic no longer has what came before: what is still there is about to be read again. Visible
    /// with the next commit.
    /// # Errors
    /// When state cannot be read.
    pub fn forget(&mut self, topic: &TopicName) -> Result<(), StateError> {
        for place in 0..self.sources.len() {
            if self.sources[place].topic != *topic {
                continue;
            }
            let mut store = self.state.store(StoreIndex::new(place as u32));
            let mut keys = Vec::new();
            let mut scan = store.scan(&KeyRange::all())?;
            while let Some((key, _)) = scan.next_entry()? {
                keys.push(key.to_vec());
            }
            drop(scan);
            keys.iter().for_each(|key| store.delete(key));
        }
        Ok(())
    }
}
