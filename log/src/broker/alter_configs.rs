//! IncrementalAlterConfigs (API key 44) and AlterConfigs (33).
//!
//! Always true: all changes to a resource are made or none, and they are durable and in force when they are answered.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::create_topics::check_config_sizes;
use super::node::unknown_topic;
use super::{Broker, BrokerError, ConfigResource, ErrorCode};
use crate::config::{
    BrokerConfig, ConfigChange, ConfigError, changed_broker, changed_client_metrics, changed_group,
    changed_topic,
};
use crate::metadata::{ConfigOwner, MetadataImage, MetadataRecord, limits};

/// Changes to one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigs {
    /// Whose settings.
    pub resource: ConfigResource,
    /// What to change; settings not named stay.
    pub changes: Vec<ConfigChange>,
    /// Settings not named do not stay: they go back to their defaults (AlterConfigs).
    pub replace: bool,
    /// Only tell whether it could be done.
    pub validate_only: bool,
}

impl AlterConfigs {
    /// Changes that leave the other settings alone.
    pub fn new(resource: ConfigResource, changes: Vec<ConfigChange>) -> Self {
        Self {
            resource,
            changes,
            replace: false,
            validate_only: false,
        }
    }
}

impl Broker {
    /// Changes settings; one answer per resource, in order; all changes of a resource or none. They hold from the next append on.
    /// Errs with `InvalidConfig` (`InvalidRequest` for brokers, as Kafka), `UnknownTopicOrPartition`, `PolicyViolation` (a cap), and
    /// `InvalidRequest` for a resource named twice. Cancel-safe.
    pub fn alter_configs(
        &self,
        alterations: Vec<AlterConfigs>,
    ) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        async move {
            let mut altered = Vec::with_capacity(alterations.len());
            let mut seen = std::collections::BTreeMap::new();
            for alteration in &alterations {
                *seen.entry(alteration.resource.clone()).or_insert(0) += 1;
            }
            for alteration in alterations {
                altered.push(match seen.get(&alteration.resource) {
                    Some(1) => self.alter_one(alteration).await,
                    _ => Err(BrokerError::new(
                        ErrorCode::InvalidRequest,
                        "the request names a resource twice; name each once",
                    )),
                });
            }
            altered
        }
        .boxed()
    }

    async fn alter_one(&self, alteration: AlterConfigs) -> Result<(), BrokerError> {
        let (node_id, started_with) = (self.node_id(), self.config().clone());
        let only = alteration.validate_only;
        let decide = move |image: &MetadataImage| records(image, &alteration, node_id, &started_with);
        if only {
            return decide(&self.node().image()).map(drop);
        }
        self.node().change_metadata(decide).await.map(drop)
    }
}

/// The records of these changes, if the settings are sound with all of them.
fn records(
    image: &MetadataImage,
    alteration: &AlterConfigs,
    node_id: i32,
    started_with: &BrokerConfig,
) -> Result<Vec<MetadataRecord>, BrokerError> {
    let (resource, changes) = (&alteration.resource, &alteration.changes);
    if let ConfigResource::Topic(name) = resource {
        let topic = image.topic(name).ok_or_else(|| unknown_topic(name))?;
        let current = topic.overrides();
        let config = image.effective_config(started_with, node_id)?;
        let changed = changed_topic(&base(alteration, &current), changes, &config.topic_defaults)?;
        check_config_sizes(&changed)?;
        let id = topic.id;
        let record = |name, value| MetadataRecord::TopicConfig {
            topic: id,
            name,
            value,
        };
        return Ok(difference(&current, &changed, record));
    }
    let Some(owner) = resource.owner(node_id) else {
        return Ok(Vec::new());
    };
    let current = image.owned_configs(&owner);
    let base = base(alteration, &current);
    let changed = match resource {
        ConfigResource::Group(_) => changed_group(&base, changes)?,
        ConfigResource::ClientMetrics(_) => changed_client_metrics(&base, changes)?,
        _ => {
            let changed = changed_broker(&base, changes, started_with).map_err(of_broker)?;
            // The one kind must be sound together with the other.
            let mut dynamic = image.dynamic_configs(node_id);
            match owner {
                ConfigOwner::AllBrokers => dynamic.all_brokers = changed.clone(),
                _ => dynamic.this_broker = changed.clone(),
            }
            started_with
                .with_dynamic(dynamic.all_brokers.iter().chain(&dynamic.this_broker))
                .map_err(of_broker)?;
            changed
        }
    };
    check_owned_sizes(image, &owner, &changed)?;
    let record = |name, value| {
        let owner = owner.clone();
        MetadataRecord::Config { owner, name, value }
    };
    Ok(difference(&current, &changed, record))
}

/// What the changes start from.
fn base(alteration: &AlterConfigs, current: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    if alteration.replace {
        BTreeMap::new()
    } else {
        current.clone()
    }
}

/// A record for each setting that differs.
fn difference(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    record: impl Fn(String, Option<String>) -> MetadataRecord,
) -> Vec<MetadataRecord> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let set = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value));
    gone.map(|key| record(key.clone(), None))
        .chain(set.map(|(key, value)| record(key.clone(), Some(value.clone()))))
        .collect()
}

/// Kafka answers a refused setting of a broker with another code than one of a topic.
fn of_broker(error: ConfigError) -> BrokerError {
    BrokerError::new(ErrorCode::InvalidRequest, error.to_string())
}

/// Caps on what metadata stores besides topics.
fn check_owned_sizes(
    image: &MetadataImage,
    owner: &ConfigOwner,
    configs: &BTreeMap<String, String>,
) -> Result<(), BrokerError> {
    let refused = |message: String| Err(BrokerError::new(ErrorCode::PolicyViolation, message));
    if image.configs_of(owner).is_none() && image.config_owners().count() >= limits::CONFIG_OWNERS {
        return refused(format!(
            "{} groups and subscriptions have settings, the most allowed; delete those of one first",
            limits::CONFIG_OWNERS
        ));
    }
    if let ConfigOwner::Group(name) | ConfigOwner::ClientMetrics(name) = owner
        && name.len() > limits::ID_BYTES
    {
        return refused(format!(
            "name has {} bytes, at most {} are allowed",
            name.len(),
            limits::ID_BYTES
        ));
    }
    if configs.len() > limits::CONFIGS_PER_OWNER {
        return refused(format!(
            "there would be {} settings, at most {} are allowed",
            configs.len(),
            limits::CONFIGS_PER_OWNER
        ));
    }
    let long = configs
        .iter()
        .find(|(_, value)| value.len() > limits::CONFIG_VALUE_BYTES);
    match long {
        Some((key, value)) => refused(format!(
            "setting {key} has {} bytes, at most {} are allowed",
            value.len(),
            limits::CONFIG_VALUE_BYTES
        )),
        None => Ok(()),
    }
}
