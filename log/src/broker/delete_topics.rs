//! DeleteTopics (API key 20).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::node::{is_internal, run_to_end, unknown_topic};
use super::{Broker, BrokerError, ErrorCode};
use crate::metadata::MetadataRecord;
use crate::types::TopicName;

impl Broker {
    /// Deletes topics with all their records; one answer per topic, in order. A topic made again under the same name has a new id.
    /// Errs per topic with `UnknownTopicOrPartition`, or `InvalidRequest` for an internal topic. Cancel-safe.
    pub fn delete_topics(&self, topics: Vec<TopicName>) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        async move {
            let mut deleted = Vec::with_capacity(topics.len());
            for topic in topics {
                deleted.push(self.delete_topic(topic).await);
            }
            deleted
        }
        .boxed()
    }

    async fn delete_topic(&self, name: TopicName) -> Result<(), BrokerError> {
        if is_internal(&name) {
            return Err(BrokerError::new(
                ErrorCode::InvalidRequest,
                format!("topic {name} belongs to the broker"),
            ));
        }
        let removed = name.clone();
        self.node()
            .change_metadata(move |image| {
                let topic = image.topic(&removed).ok_or_else(|| unknown_topic(&removed))?;
                Ok(vec![MetadataRecord::RemoveTopic { id: topic.id }])
            })
            .await?;
        let groups = self.groups().clone();
        run_to_end(async move { groups.forget_topic(&name).await }).await
    }
}
