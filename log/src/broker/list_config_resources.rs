//! ListConfigResources (API key 74).

use super::{Broker, ConfigResource};
use crate::metadata::ConfigOwner;

impl Broker {
    /// Everything that has settings or, for topics and brokers, could have: kinds in Kafka's order, names within. Answered from memory.
    pub fn list_config_resources(&self) -> Vec<ConfigResource> {
        let image = self.node().image();
        let topics = image
            .topics()
            .map(|topic| ConfigResource::Topic(topic.name.clone()));
        let owned = image.config_owners().filter_map(|owner| match owner {
            ConfigOwner::Group(group) => Some(ConfigResource::Group(group.clone())),
            ConfigOwner::ClientMetrics(name) => Some(ConfigResource::ClientMetrics(name.clone())),
            ConfigOwner::AllBrokers | ConfigOwner::Broker(_) => None,
        });
        let mut resources: Vec<_> = topics.chain([ConfigResource::Broker]).chain(owned).collect();
        resources.sort();
        resources
    }
}
