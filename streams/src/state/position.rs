//! Which point of the job's history a task's state reflects.
//!
//! A position and the data it describes are written in one batch, so a host always holds a pair that was committed
//! together. Stores are named in the encoded form: a topology may move or drop a store without losing where its
//! changelog was.
//!
//! Encoded, all numbers big-endian, texts and `extra` with a `u32` length in front:
//! ```text
//! version u8 = 1 | stream time i64 | producer epoch i16 | transaction sequence u64
//! | n u32, n × (store name, changelog next offset i64)
//! | n u32, n × (topic, partition i32, input next offset i64) | extra
//! ```

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use millpond_log::types::{Offset, PartitionId, ProducerEpoch, Timestamp, TopicName, TopicPartition};

use super::{StoreIndex, StoreSpec};

const VERSION: u8 = 1;

/// Stream time of a task that has seen no record.
pub const NO_STREAM_TIME: Timestamp = Timestamp::MIN;

/// A point in the task's history: what its changelogs, its inputs and its clock had reached at a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPosition {
    /// Per logged store the offset its next changelog record will have; stores that are absent keep what they had.
    pub changelog: Vec<(StoreIndex, Offset)>,
    /// Per input partition the offset of the next record to read; partitions that are absent keep what they had.
    pub inputs: Vec<(TopicPartition, Offset)>,
    /// Largest timestamp seen; [`NO_STREAM_TIME`] before the first record.
    pub stream_time: Timestamp,
    /// Whatever the runtime wants beside it: the task clock's state, timers.
    pub extra: Bytes,
    /// Epoch of the producer that committed it.
    pub producer_epoch: ProducerEpoch,
    /// Number of the transaction, counted by the runtime.
    pub txn_seq: u64,
}

impl Default for CommitPosition {
    fn default() -> Self {
        Self {
            changelog: Vec::new(),
            inputs: Vec::new(),
            stream_time: NO_STREAM_TIME,
            extra: Bytes::new(),
            producer_epoch: ProducerEpoch::new(0),
            txn_seq: 0,
        }
    }
}

impl CommitPosition {
    /// Where the changelog of `store` goes on; `None` when nothing of it was ever committed or restored.
    pub fn changelog_offset(&self, store: StoreIndex) -> Option<Offset> {
        self.changelog
            .iter()
            .find(|(index, _)| *index == store)
            .map(|(_, offset)| *offset)
    }

    /// Where reading of `partition` goes on; `None` when it was never read.
    pub fn input_offset(&self, partition: &TopicPartition) -> Option<Offset> {
        self.inputs
            .iter()
            .find(|(input, _)| input == partition)
            .map(|(_, offset)| *offset)
    }

    /// Moves on to `next`: offsets it names replace ours, everything else but the offsets is taken over.
    pub(crate) fn advance(&mut self, next: CommitPosition) {
        for (store, offset) in next.changelog {
            self.advance_changelog(store, offset);
        }
        for (partition, offset) in next.inputs {
            match self.inputs.iter_mut().find(|(input, _)| *input == partition) {
                Some((_, known)) => *known = offset,
                None => self.inputs.push((partition, offset)),
            }
        }
        self.stream_time = next.stream_time;
        self.extra = next.extra;
        self.producer_epoch = next.producer_epoch;
        self.txn_seq = next.txn_seq;
    }

    /// Moves one changelog on.
    ///
    /// # Panics
    /// When `offset` lies before the known one: state would claim to be older than it is, and the next replay would
    /// look sound while it is not.
    pub(crate) fn advance_changelog(&mut self, store: StoreIndex, offset: Offset) {
        match self.changelog.iter_mut().find(|(index, _)| *index == store) {
            Some((_, known)) => {
                assert!(
                    offset >= *known,
                    "changelog of store {store} went back from {known} to {offset}"
                );
                *known = offset;
            }
            None => self.changelog.push((store, offset)),
        }
    }
}

/// A position as the host keeps it: the live one, and the changelog offsets of stores the topology no longer has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoredPosition {
    pub(crate) position: CommitPosition,
    /// Offsets of stores on disk that nobody uses now, or that are in memory now; kept, because the topology may want them back.
    pub(crate) unused: BTreeMap<String, Offset>,
}

impl StoredPosition {
    pub(crate) fn encode(&self, stores: &[StoreSpec]) -> Bytes {
        let position = &self.position;
        let mut out = BytesMut::with_capacity(128 + position.extra.len());
        out.put_u8(VERSION);
        out.put_i64(position.stream_time);
        out.put_i16(position.producer_epoch.get());
        out.put_u64(position.txn_seq);
        // A store in memory is not part of what is written with this position, so the position says nothing of it.
        let live: Vec<(&str, Offset)> = position
            .changelog
            .iter()
            .map(|(store, offset)| (&stores[store.as_usize()], *offset))
            .filter(|(store, _)| store.persistent)
            .map(|(store, offset)| (store.name.as_str(), offset))
            .collect();
        out.put_u32(count(live.len() + self.unused.len()));
        for (name, offset) in live
            .into_iter()
            .chain(self.unused.iter().map(|(name, offset)| (name.as_str(), *offset)))
        {
            put_bytes(name.as_bytes(), &mut out);
            out.put_i64(offset.get());
        }
        out.put_u32(count(position.inputs.len()));
        for (partition, offset) in &position.inputs {
            put_bytes(partition.topic.as_str().as_bytes(), &mut out);
            out.put_i32(partition.partition.get());
            out.put_i64(offset.get());
        }
        put_bytes(&position.extra, &mut out);
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote; `Err` says in words what is wrong with the bytes.
    pub(crate) fn decode(mut bytes: Bytes, stores: &[StoreSpec]) -> Result<Self, String> {
        let from = &mut bytes;
        let version = take(from, Buf::try_get_u8)?;
        if version != VERSION {
            return Err(format!(
                "position has version {version}, this one reads {VERSION}"
            ));
        }
        let mut stored = StoredPosition::default();
        stored.position.stream_time = take(from, Buf::try_get_i64)?;
        stored.position.producer_epoch = ProducerEpoch::new(take(from, Buf::try_get_i16)?);
        stored.position.txn_seq = take(from, Buf::try_get_u64)?;
        for _ in 0..take(from, Buf::try_get_u32)? {
            let name = take_text(from)?;
            let offset = Offset::new(take(from, Buf::try_get_i64)?);
            match stores
                .iter()
                .position(|store| store.name == name && store.persistent)
            {
                Some(index) => stored
                    .position
                    .changelog
                    .push((StoreIndex::new(index as u32), offset)),
                None => {
                    stored.unused.insert(name, offset);
                }
            }
        }
        for _ in 0..take(from, Buf::try_get_u32)? {
            let topic = TopicName::new(&take_text(from)?).map_err(|error| error.to_string())?;
            let partition = PartitionId::new(take(from, Buf::try_get_i32)?);
            let offset = Offset::new(take(from, Buf::try_get_i64)?);
            stored
                .position
                .inputs
                .push((TopicPartition { topic, partition }, offset));
        }
        stored.position.extra = take_bytes(from)?;
        if from.has_remaining() {
            return Err(format!("position has {} bytes too many", from.remaining()));
        }
        Ok(stored)
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a position holds fewer than 2^32 of anything")
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    out.put_u32(count(bytes.len()));
    out.put_slice(bytes);
}

fn take<T>(
    from: &mut Bytes,
    get: impl FnOnce(&mut Bytes) -> Result<T, bytes::TryGetError>,
) -> Result<T, String> {
    get(from).map_err(|error| format!("position is cut short: {error}"))
}

fn take_bytes(from: &mut Bytes) -> Result<Bytes, String> {
    let len = take(from, Buf::try_get_u32)? as usize;
    if len > from.remaining() {
        return Err(format!(
            "position is cut short: {len} bytes announced, {} left",
            from.remaining()
        ));
    }
    Ok(from.split_to(len))
}

fn take_text(from: &mut Bytes) -> Result<String, String> {
    String::from_utf8(take_bytes(from)?.to_vec()).map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "position_test.rs"]
mod position_test;
