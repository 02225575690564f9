//! DeleteRecords (API key 21).

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::future::join_all;

use super::node::is_internal;
use super::{Broker, BrokerError, ErrorCode};
use crate::types::{Offset, TopicPartition};

impl Broker {
    /// Moves the log start of each partition up to the given offset (exclusive end of what is deleted; none: the high watermark) and
    /// answers the new log start, in order. An offset below the log start is a no-op. Errs with `OffsetOutOfRange` above the high
    /// watermark, `InvalidTopicException` for internal topics and `PolicyViolation` for those that are compacted only. Cancel-safe.
    pub fn delete_records(
        &self,
        partitions: Vec<(TopicPartition, Option<Offset>)>,
    ) -> BoxFuture<'_, Vec<Result<Offset, BrokerError>>> {
        async move {
            let deletions = partitions.into_iter().map(|(partition, before)| async move {
                if is_internal(&partition.topic) {
                    let message = format!(
                        "records of {} cannot be deleted: it belongs to the broker",
                        partition.topic
                    );
                    return Err(BrokerError::new(ErrorCode::InvalidTopicException, message));
                }
                let log = self.node().partition(&partition)?;
                let policy = log.config().cleanup_policy;
                if policy.compact && !policy.delete {
                    let message = format!(
                        "records of {partition} cannot be deleted: cleanup.policy of the topic is compact; add delete to it"
                    );
                    return Err(BrokerError::new(ErrorCode::PolicyViolation, message));
                }
                Ok(log.delete_records(before).await?)
            });
            join_all(deletions).await
        }
        .boxed()
    }
}
