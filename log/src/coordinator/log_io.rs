//! Records of our own in and out of an internal partition: build a batch, append it, replay a log.
//!
//! Shared by the metadata log and both coordinators. Always true: replay sees every batch below the log end exactly once, in order, and
//! stops with an error at the first that does not decode; nothing is skipped.

use bytes::Bytes;

use crate::broker::{BrokerError, ErrorCode, Isolation};
use crate::record::{BatchBuilder, BatchIter, BatchOptions, RecordBatch};
use crate::storage::{AppendAck, AppendRequest, PartitionHandle};
use crate::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

const REPLAY_BYTES: usize = 1 << 20;

/// One batch of keyed records; transactional if a producer is given (without a sequence: the coordinator writes on its behalf).
pub(crate) fn build_batch(
    timestamp: Timestamp,
    producer: Option<(ProducerId, ProducerEpoch)>,
    records: impl IntoIterator<Item = (Option<Bytes>, Option<Bytes>)>,
) -> Result<Bytes, BrokerError> {
    let mut batch = BatchBuilder::new(BatchOptions {
        producer: producer.map(|(id, epoch)| (id, epoch, Sequence::NONE)),
        transactional: producer.is_some(),
        ..BatchOptions::default()
    });
    for (key, value) in records {
        batch.append(timestamp, key.as_deref(), value.as_deref(), &[])?;
    }
    Ok(batch.build())
}

/// Appends a batch and waits until it is durable, or only written in order.
pub(crate) async fn append(
    log: &PartitionHandle,
    batch: Bytes,
    durable: bool,
) -> Result<AppendAck, BrokerError> {
    let request = AppendRequest {
        acks_durable: durable,
        ..AppendRequest::coordinator(batch)
    };
    log.append(request).await.map_err(BrokerError::from)
}

/// Calls `visit` with every batch, oldest first.
pub(crate) fn replay(
    log: &PartitionHandle,
    mut visit: impl FnMut(&RecordBatch) -> Result<(), BrokerError>,
) -> Result<(), BrokerError> {
    if let Some(damage) = log.damage() {
        // The log ends before the damage; what was decided after it would be taken for undecided.
        return Err(damage.into());
    }
    let offsets = log.offsets();
    if offsets.high_watermark < offsets.log_end_offset {
        // On one node recovery has made everything durable; replaying less than all would forget decisions.
        let partition = log.topic_partition();
        let message = format!(
            "{partition} is not readable to its end: {} < {}",
            offsets.high_watermark, offsets.log_end_offset
        );
        return Err(BrokerError::new(ErrorCode::CoordinatorLoadInProgress, message));
    }
    let mut next = offsets.log_start_offset;
    while next < offsets.high_watermark {
        let read = log.read(next, REPLAY_BYTES, Isolation::ReadUncommitted)?;
        let before = next;
        for run in read.batches {
            for batch in BatchIter::new(run) {
                let batch = batch?;
                if batch.next_offset() > next {
                    visit(&batch)?;
                    next = batch.next_offset();
                }
            }
        }
        if next == before {
            // Compaction removed the rest of the log's tail.
            break;
        }
    }
    Ok(())
}
