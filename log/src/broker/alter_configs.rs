//! IncrementalAlterConfigs (API key 44), for topics.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::create_topics::check_config_sizes;
use super::node::unknown_topic;
use super::{Broker, BrokerError};
use crate::config::TopicSettings;
use crate::metadata::{MetadataRecord, TopicImage};
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

/// The records of these changes, if the topic's settings are sound with all of them.
fn records(
    topic: &TopicImage,
    changes: Vec<ConfigChange>,
    defaults: &TopicSettings,
) -> Result<Vec<MetadataRecord>, BrokerError> {
    let mut overrides = topic.overrides();
    let mut records = Vec::with_capacity(changes.len());
    for ConfigChange { name, value } in changes {
        match &value {
            Some(value) => overrides.insert(name.clone(), value.clone()),
            None => {
                // Also a removal must name a setting that exists.
                let current = defaults.get(&name).unwrap_or_default();
                defaults.clone().set(&name, &current)?;
                overrides.remove(&name)
            }
        };
        records.push(MetadataRecord::TopicConfig {
            topic: topic.id,
            name,
            value,
        });
    }
    defaults.with_overrides(&overrides)?;
    check_config_sizes(&overrides)?;
    Ok(records)
}

impl Broker {
    /// Changes topic settings; one answer per topic, in order; all changes of a topic or none. They hold from the next append on.
    /// Errs with `InvalidConfig` or `UnknownTopicOrPartition`. Cancel-safe.
    pub fn alter_configs(
        &self,
        alterations: Vec<AlterConfigs>,
    ) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        async move {
            let mut altered = Vec::with_capacity(alterations.len());
            for alteration in alterations {
                let defaults = self.config().topic_defaults.clone();
                let changed = self.node().change_metadata(move |image| {
                    let topic = image
                        .topic(&alteration.topic)
                        .ok_or_else(|| unknown_topic(&alteration.topic))?;
                    records(topic, alteration.changes, &defaults)
                });
                altered.push(changed.await.map(drop));
            }
            altered
        }
        .boxed()
    }
}
