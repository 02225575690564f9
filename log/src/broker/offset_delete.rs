//! OffsetDelete (API key 47): committed offsets of single partitions (KIP-496).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::node::unknown_partition;
use super::{Broker, BrokerError};
use crate::types::{GroupId, TopicPartition};

impl Broker {
    /// Deletes offsets; one answer each, in order; none where there was none is fine. Errs with `GroupIdNotFound`, `NonEmptyGroup` (members that are
    /// no consumers); per partition with `UnknownTopicOrPartition`, `GroupSubscribedToTopic`. Cancel-safe.
    pub fn offset_delete<'a>(
        &'a self,
        group: &'a GroupId,
        partitions: Vec<TopicPartition>,
    ) -> BoxFuture<'a, Result<Vec<Result<(), BrokerError>>, BrokerError>> {
        async move {
            let image = self.node().image();
            let known = partitions.iter().filter(|partition| image.contains(partition));
            let deleted = self
                .groups()
                .delete_offsets(group, known.cloned().collect())
                .await?;
            let mut deleted = deleted.into_iter();
            let answers = partitions.iter().map(|partition| {
                match image.contains(partition).then(|| deleted.next()).flatten() {
                    Some(answer) => answer,
                    None => Err(unknown_partition(partition)),
                }
            });
            Ok(answers.collect())
        }
        .boxed()
    }
}
