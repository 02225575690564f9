//! DeleteTopics (API key 20).

use super::{Broker, BrokerError};
use crate::types::TopicName;

impl Broker {
    /// Deletes topics with all their records; one answer per topic, in order. A topic made again under the same name has a new id.
    /// Errs per topic with `UnknownTopicOrPartition`, or `InvalidRequest` for an internal topic. Cancel-safe.
    pub async fn delete_topics(&self, topics: Vec<TopicName>) -> Vec<Result<(), BrokerError>> {
        let _ = topics;
        unimplemented!()
    }
}
