//! Whether partitions are in the open transaction of a producer, for clients that add them by a request of their own (KIP-890, part 1).
//!
//! Reads, changes nothing. What it answers holds until the next event of the transactional id: whoever appends afterwards does so under a guard, the
//! log end from before the question (`ProducerState::check_verified`).

use std::collections::BTreeSet;

use crate::types::{ProducerEpoch, ProducerId, TopicPartition};

use super::error::TxnError;
use super::state::{TxnMetadata, TxnState};
use super::transition::{TxnRules, check_producer, known};

/// Those of `partitions` that are not in the open transaction. Errs if the producer is not the current one, or its last transaction is still being
/// ended.
pub fn missing(
    current: Option<&TxnMetadata>,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    partitions: &BTreeSet<TopicPartition>,
    rules: TxnRules,
) -> Result<BTreeSet<TopicPartition>, TxnError> {
    let current = known(current, producer_id)?;
    check_producer(current, producer_id, producer_epoch, rules)?;
    if current.state.preparing().is_some() {
        return Err(TxnError::Concurrent { producer_id });
    }
    if current.state != TxnState::Ongoing {
        return Ok(partitions.clone());
    }
    Ok(partitions.difference(&current.partitions).cloned().collect())
}
