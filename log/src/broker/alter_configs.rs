//! IncrementalAlterConfigs (API key 44), for topics.

use super::{Broker, BrokerError};
use crate::types::TopicName;

/// One change to a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Kafka's name of it.
    pub name: String,
    /// The new value; none goes back to the broker's default.
    pub value: Option<String>,
}

/// Changes to one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigs {
    /// The topic.
    pub topic: TopicName,
    /// What to change; settings not named stay.
    pub changes: Vec<ConfigChange>,
}

impl Broker {
    /// Changes topic settings; one answer per topic, in order; all changes of a topic or none. They hold from the next append on.
    /// Errs with `InvalidConfig` or `UnknownTopicOrPartition`. Cancel-safe.
    pub async fn alter_configs(&self, alterations: Vec<AlterConfigs>) -> Vec<Result<(), BrokerError>> {
        let _ = alterations;
        unimplemented!()
    }
}
