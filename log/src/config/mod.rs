//! Settings of brokers, topics, groups and client metrics subscriptions under Kafka's names.
//!
//! Parsed and validated here, and only here: an unknown name is an error that suggests a near one, a value out of range an error that
//! says what is accepted. Pure: no files, no environment; `src/cli` reads those and calls `set`.
//!
//! `topic_table.rs` and `broker_table.rs` list the settings, `topic.rs` and `broker.rs` have their values, `group.rs` and `client_metrics.rs` are small enough
//! for both; `change.rs` is what a request makes of stored settings, `entry.rs` how they are told.

mod broker;
mod broker_table;
mod change;
mod client_metrics;
mod entry;
mod error;
mod group;
mod groups;
mod kind;
mod parse;
mod suggest;
mod topic;
mod topic_table;

pub use broker::BrokerConfig;
pub use broker_table::{BROKER_DEFINITIONS, BrokerDefinition};
pub use change::{ConfigChange, ConfigOperation};
pub use client_metrics::{CLIENT_METRICS_DEFINITIONS, ClientMetricsDefinition};
pub use entry::{ConfigEntry, ConfigSource, ConfigSynonym, DynamicConfigs};
pub use error::ConfigError;
pub use group::{GROUP_DEFINITIONS, GroupDefinition, GroupSettings};
pub use groups::GroupConfig;
pub use kind::ConfigKind;
pub use suggest::nearest;
pub use topic::TopicSettings;
pub use topic_table::{TOPIC_DEFINITIONS, TopicDefinition};

pub(crate) use client_metrics::check_client_metrics;
pub(crate) use entry::{BrokerLayers, describe_client_metrics};

use std::collections::BTreeMap;

use change::changed;

/// A topic's settings after these changes; `defaults` are its broker's.
pub(crate) fn changed_topic(
    current: &BTreeMap<String, String>,
    changes: &[ConfigChange],
    defaults: &TopicSettings,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let lookup = |name: &str| Some((topic_table::topic_definition(name)?.kind, defaults.get(name)?));
    let changed = changed(current, changes, &lookup, topic::unknown)?;
    defaults.with_overrides(&changed)?;
    Ok(changed)
}

/// The dynamic settings of a broker, or of all, after these changes; `config` is what holds without them.
pub(crate) fn changed_broker(
    current: &BTreeMap<String, String>,
    changes: &[ConfigChange],
    config: &BrokerConfig,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let lookup = |name: &str| Some((broker_table::broker_definition(name)?.kind, config.get(name)?));
    let changed = changed(current, changes, &lookup, broker::unknown)?;
    config.with_dynamic(&changed)?;
    Ok(changed)
}

/// A group's settings after these changes.
pub(crate) fn changed_group(
    current: &BTreeMap<String, String>,
    changes: &[ConfigChange],
) -> Result<BTreeMap<String, String>, ConfigError> {
    let lookup = |name: &str| {
        let definition = GROUP_DEFINITIONS
            .iter()
            .find(|definition| definition.name == name)?;
        Some((definition.kind, definition.default.to_string()))
    };
    let changed = changed(current, changes, &lookup, group::unknown)?;
    GroupSettings::from_overrides(&changed)?;
    Ok(changed)
}

/// The settings of a client metrics subscription after these changes.
pub(crate) fn changed_client_metrics(
    current: &BTreeMap<String, String>,
    changes: &[ConfigChange],
) -> Result<BTreeMap<String, String>, ConfigError> {
    let lookup = |name: &str| {
        let mut known = CLIENT_METRICS_DEFINITIONS.iter();
        let definition = known.find(|definition| definition.name == name)?;
        Some((definition.kind, definition.default.to_owned()))
    };
    let changed = changed(current, changes, &lookup, client_metrics::unknown)?;
    check_client_metrics(&changed)?;
    Ok(changed)
}

#[cfg(test)]
mod config_test;
#[cfg(test)]
mod entry_test;
