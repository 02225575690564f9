//! DeleteRecords (API key 21).

use super::{Broker, BrokerError};
use crate::types::{Offset, TopicPartition};

impl Broker {
    /// Moves the log start of each partition up to the given offset (exclusive end of what is deleted; none: the high watermark) and
    /// answers the new log start, in order. An offset below the log start is a no-op. Errs with `OffsetOutOfRange` above the high
    /// watermark and `InvalidRequest` for internal topics. Cancel-safe.
    pub async fn delete_records(
        &self,
        partitions: Vec<(TopicPartition, Option<Offset>)>,
    ) -> Vec<Result<Offset, BrokerError>> {
        let _ = partitions;
        unimplemented!()
    }
}
