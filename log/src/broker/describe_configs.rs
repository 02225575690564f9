//! DescribeConfigs (API key 32).

use super::{Broker, BrokerError};
use crate::types::TopicName;

/// Whose settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic's.
    Topic(TopicName),
    /// This broker's.
    Broker,
}

/// One setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Its value as text.
    pub value: String,
    /// True if it was not set on this topic and comes from the broker's defaults.
    pub is_default: bool,
}

impl Broker {
    /// Lists every setting of each resource with the value in force, by name. Errs per resource with `UnknownTopicOrPartition`. Cancel-safe.
    pub async fn describe_configs(
        &self,
        resources: Vec<ConfigResource>,
    ) -> Vec<Result<Vec<ConfigEntry>, BrokerError>> {
        let _ = resources;
        unimplemented!()
    }
}
