//! DescribeConfigs (API key 32).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::node::unknown_topic;
use super::{Broker, BrokerError};
use crate::config::{BROKER_SETTINGS, BrokerConfig, TOPIC_SETTINGS};
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

fn entries(
    names: &[&'static str],
    value: impl Fn(&str) -> Option<String>,
    is_default: impl Fn(&str) -> bool,
) -> Vec<ConfigEntry> {
    let entry = |name: &&'static str| {
        Some(ConfigEntry {
            name,
            value: value(name)?,
            is_default: is_default(name),
        })
    };
    names.iter().filter_map(entry).collect()
}

impl Broker {
    /// Lists every setting of each resource with the value in force, by name. Errs per resource with `UnknownTopicOrPartition`. Cancel-safe.
    pub fn describe_configs(
        &self,
        resources: Vec<ConfigResource>,
    ) -> BoxFuture<'_, Vec<Result<Vec<ConfigEntry>, BrokerError>>> {
        async move {
            let image = self.node().image();
            let describe = |resource: ConfigResource| match resource {
                ConfigResource::Topic(name) => {
                    let topic = image.topic(&name).ok_or_else(|| unknown_topic(&name))?;
                    let settings = self.node().settings_of(topic)?;
                    let is_default = |key: &str| !topic.configs.contains_key(key);
                    Ok(entries(TOPIC_SETTINGS, |key| settings.get(key), is_default))
                }
                ConfigResource::Broker => {
                    let defaults = BrokerConfig::default();
                    let is_default = |key: &str| self.config().get(key) == defaults.get(key);
                    Ok(entries(BROKER_SETTINGS, |key| self.config().get(key), is_default))
                }
            };
            resources.into_iter().map(describe).collect()
        }
        .boxed()
    }
}
