//! DescribeConfigs (API key 32).
//!
//! Every setting is told, set or not, with its source and synonyms. The rules are in `../config/entry.rs`.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::node::unknown_topic;
use super::{Broker, BrokerError, ConfigResource};
use crate::config::{
    BrokerLayers, ConfigEntry, ConfigSource, ConfigSynonym, GroupSettings, describe_client_metrics,
};
use crate::metadata::{ConfigOwner, MetadataImage};

impl Broker {
    /// Lists every setting of each resource with the value in force, by name. Errs per resource with `UnknownTopicOrPartition`. A group or a client
    /// metrics subscription need not exist to have settings. Cancel-safe.
    pub fn describe_configs(
        &self,
        resources: Vec<ConfigResource>,
    ) -> BoxFuture<'_, Vec<Result<Vec<ConfigEntry>, BrokerError>>> {
        async move {
            let image = self.node().image();
            resources
                .iter()
                .map(|resource| self.describe_one(&image, resource))
                .collect()
        }
        .boxed()
    }

    /// Every setting a topic with these of its own has, as CreateTopics answers it.
    pub fn describe_topic_configs(&self, overrides: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
        let dynamic = self.node().image().dynamic_configs(self.node_id());
        let started_with = self.config();
        BrokerLayers {
            dynamic: &dynamic,
            started_with,
        }
        .describe_topic(overrides)
    }

    /// What a group was set to. Answered from memory.
    pub fn group_settings(&self, group: &str) -> GroupSettings {
        let overrides = self
            .node()
            .image()
            .owned_configs(&ConfigOwner::Group(group.to_owned()));
        // What is stored was checked when it was set; what this build does not know any more has no effect.
        GroupSettings::from_overrides(&overrides).unwrap_or_default()
    }

    fn describe_one(
        &self,
        image: &MetadataImage,
        resource: &ConfigResource,
    ) -> Result<Vec<ConfigEntry>, BrokerError> {
        let dynamic = image.dynamic_configs(self.node_id());
        let layers = BrokerLayers {
            dynamic: &dynamic,
            started_with: self.config(),
        };
        let own = |owner: ConfigOwner| image.owned_configs(&owner);
        Ok(match resource {
            ConfigResource::Topic(name) => {
                let topic = image.topic(name).ok_or_else(|| unknown_topic(name))?;
                layers.describe_topic(&topic.overrides())
            }
            ConfigResource::Broker => {
                let mut entries = layers.describe_broker();
                let store = self.node().store()?;
                let directory = store.path().display().to_string();
                fix(&mut entries, "log.dirs", &directory);
                fix(&mut entries, "log.dir", &directory);
                let listeners = self.node().listeners.read().clone();
                fix(&mut entries, "listeners", &listeners.listening);
                fix(&mut entries, "advertised.listeners", &listeners.advertised);
                for name in ["broker.id", "node.id"] {
                    fix(&mut entries, name, &self.node_id().to_string());
                }
                entries
            }
            ConfigResource::AllBrokers => layers.describe_all_brokers(),
            ConfigResource::Group(group) => layers.describe_group(&own(ConfigOwner::Group(group.clone()))),
            ConfigResource::ClientMetrics(name) => {
                describe_client_metrics(&own(ConfigOwner::ClientMetrics(name.clone())))
            }
        })
    }
}

/// Puts in what only the running broker knows of itself.
fn fix(entries: &mut [ConfigEntry], name: &'static str, value: &str) {
    for entry in entries.iter_mut().filter(|entry| entry.name == name) {
        entry.value = value.to_owned();
        entry.source = ConfigSource::StaticBroker;
        entry.synonyms = vec![ConfigSynonym {
            name,
            value: value.to_owned(),
            source: ConfigSource::StaticBroker,
        }];
    }
}
