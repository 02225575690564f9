//! Settings of the group coordinator under Kafka's names.

use std::time::Duration;

use super::error::ConfigError;
use super::parse::{number, one_of};
use crate::coordinator::group::classic::ClassicRules;
use crate::coordinator::group::consumer::{ConsumerGroupConfig, MigrationPolicy};

/// Membership and committed offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members than the first. Default 3 s.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members of one classic group. Default: no limit but that of the node.
    pub max_size: i32,
    /// `group.min.session.timeout.ms`: shortest session a member may ask for. Default 6 s.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`: longest session a member may ask for. Default 30 minutes.
    pub max_session_timeout_ms: i32,
    /// Groups of the new protocol (KIP-848).
    pub consumer: ConsumerGroupConfig,
    /// `offsets.retention.minutes`: how long the offsets of a group without members are kept, in milliseconds. Default 7 days.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`: how often expired offsets are looked for. Default 10 minutes.
    pub offsets_retention_check_interval: Duration,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX,
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 30 * 60 * 1_000,
            consumer: ConsumerGroupConfig::default(),
            offsets_retention_ms: 7 * 24 * 60 * MINUTE_MS,
            offsets_retention_check_interval: Duration::from_secs(600),
        }
    }
}

const MINUTE_MS: i64 = 60_000;

/// Names of these settings.
pub(super) const GROUP_SETTINGS: &[&str] = &[
    "group.consumer.assignors",
    "group.consumer.heartbeat.interval.ms",
    "group.consumer.max.heartbeat.interval.ms",
    "group.consumer.max.session.timeout.ms",
    "group.consumer.max.size",
    "group.consumer.migration.policy",
    "group.consumer.min.heartbeat.interval.ms",
    "group.consumer.min.session.timeout.ms",
    "group.consumer.session.timeout.ms",
    "group.initial.rebalance.delay.ms",
    "group.max.session.timeout.ms",
    "group.max.size",
    "group.min.session.timeout.ms",
    "offsets.retention.check.interval.ms",
    "offsets.retention.minutes",
];

impl GroupConfig {
    /// Sets one setting; the key is one of `GROUP_SETTINGS`.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        match key {
            _ if key.starts_with("group.consumer.") => set_consumer(&mut self.consumer, key, value)?,
            "group.initial.rebalance.delay.ms" => {
                self.initial_rebalance_delay_ms = number(key, value, 0..=i32::MAX)?;
            }
            "group.max.session.timeout.ms" => self.max_session_timeout_ms = number(key, value, 1..=i32::MAX)?,
            "group.max.size" => self.max_size = number(key, value, 1..=i32::MAX)?,
            "group.min.session.timeout.ms" => self.min_session_timeout_ms = number(key, value, 1..=i32::MAX)?,
            "offsets.retention.check.interval.ms" => {
                let millis = number(key, value, 1..=i64::MAX as u64)?;
                self.offsets_retention_check_interval = Duration::from_millis(millis);
            }
            "offsets.retention.minutes" => {
                self.offsets_retention_ms = i64::from(number(key, value, 1..=i32::MAX)?) * MINUTE_MS;
            }
            _ => {
                return Err(ConfigError::unknown(
                    "broker",
                    key,
                    GROUP_SETTINGS.iter().copied(),
                ));
            }
        }
        Ok(())
    }

    /// The value of one setting as text; none if none of these has this name.
    pub(super) fn get(&self, key: &str) -> Option<String> {
        Some(match key {
            _ if key.starts_with("group.consumer.") => consumer_value(&self.consumer, key)?,
            "group.initial.rebalance.delay.ms" => self.initial_rebalance_delay_ms.to_string(),
            "group.max.session.timeout.ms" => self.max_session_timeout_ms.to_string(),
            "group.max.size" => self.max_size.to_string(),
            "group.min.session.timeout.ms" => self.min_session_timeout_ms.to_string(),
            "offsets.retention.check.interval.ms" => {
                self.offsets_retention_check_interval.as_millis().to_string()
            }
            "offsets.retention.minutes" => (self.offsets_retention_ms / MINUTE_MS).to_string(),
            _ => return None,
        })
    }

    /// What the classic core goes by.
    pub(crate) fn classic_rules(&self) -> ClassicRules {
        let limit = crate::metadata::limits::MEMBERS_PER_GROUP;
        ClassicRules {
            initial_rebalance_delay_ms: self.initial_rebalance_delay_ms,
            max_size: usize::try_from(self.max_size).unwrap_or(0).min(limit),
            min_session_timeout_ms: self.min_session_timeout_ms,
            max_session_timeout_ms: self.max_session_timeout_ms,
            ..ClassicRules::default()
        }
    }
}

/// Sets one setting of consumer groups. The session timeout and the heartbeat interval must lie within their bounds: set those first.
fn set_consumer(consumer: &mut ConsumerGroupConfig, key: &str, value: &str) -> Result<(), ConfigError> {
    match key {
        "group.consumer.assignors" => {
            let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
            if names
                .iter()
                .any(|name| !matches!(name.as_str(), "uniform" | "range"))
            {
                return Err(ConfigError::invalid(key, value, "a list of uniform and range"));
            }
            consumer.assignors = names;
        }
        "group.consumer.heartbeat.interval.ms" => {
            let bounds = consumer.min_heartbeat_interval_ms..=consumer.max_heartbeat_interval_ms;
            consumer.heartbeat_interval_ms = number(key, value, bounds)?;
        }
        "group.consumer.session.timeout.ms" => {
            let bounds = consumer.min_session_timeout_ms..=consumer.max_session_timeout_ms;
            consumer.session_timeout_ms = number(key, value, bounds)?;
        }
        "group.consumer.max.heartbeat.interval.ms" => {
            consumer.max_heartbeat_interval_ms = number(key, value, 1..=i32::MAX)?;
        }
        "group.consumer.min.heartbeat.interval.ms" => {
            consumer.min_heartbeat_interval_ms = number(key, value, 1..=i32::MAX)?;
        }
        "group.consumer.max.session.timeout.ms" => {
            consumer.max_session_timeout_ms = number(key, value, 1..=i32::MAX)?;
        }
        "group.consumer.min.session.timeout.ms" => {
            consumer.min_session_timeout_ms = number(key, value, 1..=i32::MAX)?;
        }
        "group.consumer.max.size" => consumer.max_size = number(key, value, 1..=i32::MAX)?,
        "group.consumer.migration.policy" => {
            let choices = MigrationPolicy::ALL.map(|policy| (policy.name(), policy));
            consumer.migration_policy = one_of(key, value, &choices)?;
        }
        _ => {
            return Err(ConfigError::unknown(
                "broker",
                key,
                GROUP_SETTINGS.iter().copied(),
            ));
        }
    }
    Ok(())
}

fn consumer_value(consumer: &ConsumerGroupConfig, key: &str) -> Option<String> {
    Some(match key {
        "group.consumer.assignors" => consumer.assignors.join(","),
        "group.consumer.heartbeat.interval.ms" => consumer.heartbeat_interval_ms.to_string(),
        "group.consumer.max.heartbeat.interval.ms" => consumer.max_heartbeat_interval_ms.to_string(),
        "group.consumer.max.session.timeout.ms" => consumer.max_session_timeout_ms.to_string(),
        "group.consumer.max.size" => consumer.max_size.to_string(),
        "group.consumer.migration.policy" => consumer.migration_policy.name().to_owned(),
        "group.consumer.min.heartbeat.interval.ms" => consumer.min_heartbeat_interval_ms.to_string(),
        "group.consumer.min.session.timeout.ms" => consumer.min_session_timeout_ms.to_string(),
        "group.consumer.session.timeout.ms" => consumer.session_timeout_ms.to_string(),
        _ => return None,
    })
}
