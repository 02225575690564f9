//! Reads from a batch what producer state needs to know.

use bytes::Bytes;

use super::compaction::marker_of;
use super::producer_state::{BatchFacts, Marker};
use crate::record::{BatchError, BatchHeader, BatchSlice, RecordBatch};

/// The facts of a data batch, from its header alone.
pub(super) fn facts_of_header(header: &BatchHeader) -> BatchFacts {
    BatchFacts {
        base_offset: header.base_offset(),
        last_offset: header.last_offset(),
        max_timestamp: header.max_timestamp(),
        producer_id: header.producer_id(),
        producer_epoch: header.producer_epoch(),
        base_sequence: header.base_sequence(),
        last_sequence: header.last_sequence(),
        is_transactional: header.is_transactional(),
        marker: None,
        size_bytes: header.size_bytes(),
        leader_epoch: header.leader_epoch(),
    }
}

/// The facts of a borrowed batch; only a control batch, which is small, is copied to be decoded.
pub(super) fn facts_of_slice(batch: &BatchSlice<'_>) -> Result<BatchFacts, BatchError> {
    if batch.header.is_control() {
        return facts_of(&RecordBatch::parse(Bytes::copy_from_slice(batch.bytes))?);
    }
    Ok(facts_of_header(&batch.header))
}

/// The facts of any batch; a control batch is decoded for its marker.
pub(super) fn facts_of(batch: &RecordBatch) -> Result<BatchFacts, BatchError> {
    let mut facts = facts_of_header(batch.header());
    if batch.is_control() {
        facts.marker = marker_of(batch)?.map(|m| Marker {
            commit: m.is_commit(),
            coordinator_epoch: m.coordinator_epoch(),
        });
        // A control record of a kind we do not know opens no transaction.
        facts.is_transactional = facts.marker.is_some();
    }
    Ok(facts)
}
