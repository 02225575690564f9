//! Settings of a group of the consumer protocol (KIP-848), under Kafka's names.
//!
//! Always true: what is stored lies inside the broker's bounds as they were when it was set. A group that says nothing gets the broker's defaults.
//! Pure. Read by `coordinator/group/`.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::kind::ConfigKind;
use super::parse::number;

/// A setting of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupDefinition {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Type of its value.
    pub kind: ConfigKind,
    /// Name of the broker setting that is its default.
    pub broker_name: &'static str,
    /// What it does.
    pub documentation: &'static str,
    pub(super) default: i32,
    min: i32,
    max: i32,
}

/// Every group setting, by name.
pub const GROUP_DEFINITIONS: &[GroupDefinition] = &[
    GroupDefinition {
        name: "consumer.heartbeat.interval.ms",
        kind: ConfigKind::Int,
        broker_name: "group.consumer.heartbeat.interval.ms",
        documentation: "How often the members of a group with the consumer protocol send heartbeats.",
        default: 5_000,
        min: 5_000,
        max: 15_000,
    },
    GroupDefinition {
        name: "consumer.session.timeout.ms",
        kind: ConfigKind::Int,
        broker_name: "group.consumer.session.timeout.ms",
        documentation: "A member of a group with the consumer protocol that is silent for so long is removed.",
        default: 45_000,
        min: 45_000,
        max: 60_000,
    },
];

/// What a group says about itself; none where the broker's defaults hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSettings {
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: Option<i32>,
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: Option<i32>,
}

impl GroupSettings {
    /// Reads stored settings; errs on an unknown name, on a value out of range, and on a session that ends before the next heartbeat.
    pub fn from_overrides(overrides: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        for (key, value) in overrides {
            let Some(definition) = GROUP_DEFINITIONS.iter().find(|definition| definition.name == key) else {
                return Err(unknown(key));
            };
            let value = Some(number(key, value, definition.min..=definition.max)?);
            match definition.name {
                "consumer.heartbeat.interval.ms" => settings.consumer_heartbeat_interval_ms = value,
                _ => settings.consumer_session_timeout_ms = value,
            }
        }
        Ok(settings)
    }
}

/// The error of a name that no group setting has.
pub(super) fn unknown(key: &str) -> ConfigError {
    let known = GROUP_DEFINITIONS.iter().map(|definition| definition.name);
    ConfigError::unknown("group", key, known)
}
