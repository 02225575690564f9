//! Which markers end a transaction.
//!
//! Pure: a `Prepare*` state in, the list of markers out. Writing them twice is harmless: the second finds nothing open. That is what
//! makes finishing after a crash simple: write them all again.

use crate::broker::TxnResult;
use crate::types::{ProducerEpoch, ProducerId, TopicPartition};

use super::state::TxnMetadata;

/// The markers of one decided transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerPlan {
    /// Whose records they decide.
    pub producer_id: ProducerId,
    /// The bumped epoch: after the marker, the partition refuses the one the transaction used.
    pub producer_epoch: ProducerEpoch,
    /// What was decided.
    pub result: TxnResult,
    /// Where they go, in order; `__consumer_offsets` among them if offsets were committed.
    pub partitions: Vec<TopicPartition>,
}

impl MarkerPlan {
    /// The plan of a state, if markers are due.
    pub fn of(metadata: &TxnMetadata) -> Option<Self> {
        Some(Self {
            producer_id: metadata.producer_id,
            producer_epoch: metadata.producer_epoch,
            result: metadata.state.preparing()?,
            partitions: metadata.partitions.iter().cloned().collect(),
        })
    }
}
