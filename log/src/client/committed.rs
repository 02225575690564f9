//! What a reader of committed data leaves out: records of aborted transactions, and markers.
//!
//! Pure: batches of one fetch of one partition and its aborted list in, batches with records to deliver out. Always true: a batch is left out exactly
//! if its producer has an aborted transaction open there (from its first offset to its abort marker); control batches are never
//! delivered; every batch moves the position on, delivered or not.

use std::collections::BTreeSet;

use crate::broker::AbortedTxn;
use crate::record::{BatchError, ControlRecord, RecordBatch};
use crate::types::ProducerId;

/// Walks the batches of one fetch.
#[derive(Debug)]
pub(super) struct CommittedFilter {
    /// Ascending by first offset, the next one last.
    ahead: Vec<AbortedTxn>,
    aborting: BTreeSet<ProducerId>,
}

impl CommittedFilter {
    /// For a fetch with this aborted list.
    pub(super) fn new(mut aborted: Vec<AbortedTxn>) -> Self {
        aborted.sort_unstable_by(|left, right| right.cmp(left));
        Self {
            ahead: aborted,
            aborting: BTreeSet::new(),
        }
    }

    /// True if the records of this batch are to be delivered. Batches must come in offset order.
    pub(super) fn admits(&mut self, batch: &RecordBatch) -> Result<bool, BatchError> {
        while let Some(aborted) = self
            .ahead
            .pop_if(|aborted| aborted.first_offset <= batch.last_offset())
        {
            self.aborting.insert(aborted.producer_id);
        }
        if !batch.is_control() {
            return Ok(!(batch.is_transactional() && self.aborting.contains(&batch.producer_id())));
        }
        for record in batch.decode()?.iter() {
            let record = record?;
            if let Some(ControlRecord::Abort { .. }) = ControlRecord::parse(record.key, record.value)? {
                self.aborting.remove(&batch.producer_id());
            }
        }
        Ok(false)
    }
}
