//! Broker settings under Kafka's names.
//!
//! Settings are data; `broker/options.rs` hands them in. Defaults of topics are set here by Kafka's `log.*` synonyms and reach
//! topics through `topic_defaults`; everything storage reads is in `storage`. `broker_table.rs` lists the settings.

use std::collections::BTreeMap;
use std::time::Duration;

use super::broker_table::{BROKER_DEFINITIONS, BrokerDefinition, Source, broker_definition};
use super::error::ConfigError;
use super::groups::{GROUP_SETTINGS, GroupConfig};
use super::parse::{number, one_of};
use super::topic::TopicSettings;
use crate::storage::StorageConfig;

/// The settings of one broker.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// What topics get when they do not say otherwise (`log.segment.bytes`, `log.retention.ms`, …).
    pub topic_defaults: TopicSettings,
    /// `auto.create.topics.enable`: whether asking for the metadata of a topic that does not exist creates it. Default true.
    pub auto_create_topics_enable: bool,
    /// `delete.topic.enable`: whether topics may be deleted. Default true.
    pub delete_topic_enable: bool,
    /// `num.partitions`: partitions of a topic created with `-1`. Default 4 (Kafka: 1).
    pub num_partitions: i32,
    /// `offsets.topic.num.partitions`: partitions of `__consumer_offsets`, fixed when it is created. Default 4.
    pub offsets_topic_num_partitions: i32,
    /// `transaction.state.log.num.partitions`: partitions of `__transaction_state`, fixed when it is created. Default 4.
    pub transaction_state_log_num_partitions: i32,
    /// `transaction.max.timeout.ms`: longest timeout a producer may ask for. Default 15 minutes.
    pub transaction_max_timeout_ms: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: how often timed-out transactions are looked for. Default 1 s.
    pub transaction_timeout_check_ms: u64,
    /// `transactional.id.expiration.ms`: how long a transactional id without an open transaction is remembered. Default 7 days.
    pub transactional_id_expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: how often expired ones are looked for. Default 1 hour.
    pub transactional_id_check_ms: u64,
    /// `offset.metadata.max.bytes`: longest metadata of an offset commit. Default 32,767 (Kafka: 4096), because a streams task
    /// keeps its clock and changelog positions there.
    pub offset_metadata_max_bytes: usize,
    /// Settings of the group coordinator.
    pub groups: GroupConfig,
    /// `fetch.max.bytes`: most bytes one fetch answers. Default 55 MiB.
    pub fetch_max_bytes: usize,
    /// Settings of the storage layer, the node's memory and file budgets among them.
    pub storage: StorageConfig,
    /// Settings that are only kept and told, as far as they were set.
    pub kept: BTreeMap<&'static str, String>,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            topic_defaults: TopicSettings::default(),
            auto_create_topics_enable: true,
            delete_topic_enable: true,
            num_partitions: 4,
            offsets_topic_num_partitions: 4,
            transaction_state_log_num_partitions: 4,
            transaction_max_timeout_ms: 15 * 60 * 1000,
            transaction_timeout_check_ms: 1_000,
            transactional_id_expiration_ms: 7 * 24 * 60 * 60 * 1000,
            transactional_id_check_ms: 60 * 60 * 1000,
            offset_metadata_max_bytes: i16::MAX as usize,
            groups: GroupConfig::default(),
            fetch_max_bytes: 55 << 20,
            storage: StorageConfig::default(),
            kept: BTreeMap::new(),
        }
    }
}

impl BrokerConfig {
    /// Sets one setting by its Kafka name. Errs on an unknown name and on a value out of range; nothing changes then.
    ///
    /// ```
    /// use millpond_log::config::BrokerConfig;
    ///
    /// let mut config = BrokerConfig::default();
    /// config.set("log.retention.ms", "-1")?;
    /// let wrong = config.set("log.retention.sm", "5").unwrap_err();
    /// assert!(wrong.to_string().contains("did you mean \"log.retention.ms\"?"));
    /// # Ok::<(), millpond_log::config::ConfigError>(())
    /// ```
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        const MAX_MS: u64 = i64::MAX as u64;
        match key {
            "auto.create.topics.enable" => {
                self.auto_create_topics_enable = one_of(key, value, &[("true", true), ("false", false)])?
            }
            "delete.topic.enable" => {
                self.delete_topic_enable = one_of(key, value, &[("true", true), ("false", false)])?
            }
            "num.partitions" => self.num_partitions = number(key, value, 1..=10_000)?,
            "offsets.topic.num.partitions" => {
                self.offsets_topic_num_partitions = number(key, value, 1..=1_000)?
            }
            "transaction.state.log.num.partitions" => {
                self.transaction_state_log_num_partitions = number(key, value, 1..=1_000)?
            }
            "transaction.max.timeout.ms" => {
                self.transaction_max_timeout_ms = number(key, value, 1..=i32::MAX)?
            }
            "transaction.abort.timed.out.transaction.cleanup.interval.ms" => {
                self.transaction_timeout_check_ms = number(key, value, 1..=MAX_MS)?
            }
            "transaction.remove.expired.transaction.cleanup.interval.ms" => {
                self.transactional_id_check_ms = number(key, value, 1..=MAX_MS)?
            }
            "transactional.id.expiration.ms" => {
                self.transactional_id_expiration_ms = number(key, value, 1..=i64::MAX)?
            }
            "offset.metadata.max.bytes" => {
                self.offset_metadata_max_bytes = number(key, value, 0..=i16::MAX as usize)?
            }
            "fetch.max.bytes" => self.fetch_max_bytes = number(key, value, 1024..=i32::MAX as usize)?,
            "log.dir.reserved.bytes" => self.storage.reserved_disk_bytes = number(key, value, 0..=u64::MAX)?,
            "log.retention.check.interval.ms" => {
                self.storage.retention_check_interval = milliseconds(key, value)?
            }
            "log.retention.lease.ms" => {
                let kept: i64 = number(key, value, -1..=i64::MAX)?;
                self.storage.retention_lease_ms = (kept >= 0).then_some(kept);
            }
            "log.cleaner.dedupe.buffer.size" => {
                self.storage.cleaner_map_bytes = number(key, value, 1 << 16..=1 << 40)?
            }
            "producer.id.expiration.ms" => {
                self.storage.producer_id_expiration_ms = number(key, value, 1..=i64::MAX)?
            }
            "log.cleaner.backoff.ms" => self.storage.cleaner_interval = milliseconds(key, value)?,
            _ if GROUP_SETTINGS.contains(&key) => self.groups.set(key, value)?,
            "log.retention.hours" => self.set_ms("retention.ms", key, value, HOUR_MS)?,
            "log.retention.minutes" => self.set_ms("retention.ms", key, value, 60_000)?,
            "log.roll.hours" => self.set_ms("segment.ms", key, value, HOUR_MS)?,
            _ => match broker_definition(key) {
                Some(BrokerDefinition {
                    source: Source::Topic(topic_key),
                    ..
                }) => self
                    .topic_defaults
                    .set(topic_key, value)
                    .map_err(|error| error.renamed(key))?,
                Some(BrokerDefinition {
                    name,
                    source: Source::Kept(_, check),
                    ..
                }) => {
                    self.kept.insert(name, check.accept(key, value)?);
                }
                _ => return Err(unknown(key)),
            },
        }
        Ok(())
    }

    /// The value of one setting as text; none if no setting has this name.
    pub fn get(&self, key: &str) -> Option<String> {
        Some(match key {
            "auto.create.topics.enable" => self.auto_create_topics_enable.to_string(),
            "delete.topic.enable" => self.delete_topic_enable.to_string(),
            "num.partitions" => self.num_partitions.to_string(),
            "offsets.topic.num.partitions" => self.offsets_topic_num_partitions.to_string(),
            "transaction.state.log.num.partitions" => self.transaction_state_log_num_partitions.to_string(),
            "transaction.max.timeout.ms" => self.transaction_max_timeout_ms.to_string(),
            "transaction.abort.timed.out.transaction.cleanup.interval.ms" => {
                self.transaction_timeout_check_ms.to_string()
            }
            "transaction.remove.expired.transaction.cleanup.interval.ms" => {
                self.transactional_id_check_ms.to_string()
            }
            "transactional.id.expiration.ms" => self.transactional_id_expiration_ms.to_string(),
            "offset.metadata.max.bytes" => self.offset_metadata_max_bytes.to_string(),
            "fetch.max.bytes" => self.fetch_max_bytes.to_string(),
            "log.dir.reserved.bytes" => self.storage.reserved_disk_bytes.to_string(),
            "log.retention.check.interval.ms" => {
                self.storage.retention_check_interval.as_millis().to_string()
            }
            "log.retention.lease.ms" => self.storage.retention_lease_ms.unwrap_or(-1).to_string(),
            "log.cleaner.dedupe.buffer.size" => self.storage.cleaner_map_bytes.to_string(),
            "producer.id.expiration.ms" => self.storage.producer_id_expiration_ms.to_string(),
            "log.cleaner.backoff.ms" => self.storage.cleaner_interval.as_millis().to_string(),
            _ if GROUP_SETTINGS.contains(&key) => self.groups.get(key)?,
            "log.retention.hours" => in_units(self.topic_defaults.log.retention_ms, HOUR_MS),
            "log.retention.minutes" => in_units(self.topic_defaults.log.retention_ms, 60_000),
            "log.roll.hours" => in_units(self.topic_defaults.log.segment_ms, HOUR_MS),
            _ => match broker_definition(key)?.source {
                Source::Topic(topic_key) => self.topic_defaults.get(topic_key)?,
                Source::Kept(default, _) => self.kept.get(key).map_or(default, String::as_str).to_owned(),
                Source::Live => return None,
            },
        })
    }

    /// These settings with dynamic ones on top: first those of all brokers, then this one's. The first refused one is the error.
    pub fn with_dynamic<'a>(
        &self,
        layers: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = self.clone();
        for (key, value) in layers {
            config.set_dynamic(key, value)?;
        }
        config.topic_defaults.check_together()?;
        Ok(config)
    }

    /// As `set`, for a change while the broker runs: also errs on a setting that cannot be changed then.
    pub fn set_dynamic(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        match broker_definition(key) {
            None => Err(unknown(key)),
            Some(definition) if !definition.dynamic => Err(ConfigError::ReadOnly { key: key.to_owned() }),
            Some(_) => self.set(key, value),
        }
    }

    fn set_ms(&mut self, topic_key: &str, key: &str, value: &str, unit_ms: i64) -> Result<(), ConfigError> {
        let units = number(key, value, -1..=i64::from(i32::MAX))?;
        let ms = if units < 0 { -1 } else { units * unit_ms };
        self.topic_defaults
            .set(topic_key, &ms.to_string())
            .map_err(|error| error.renamed(key))
    }
}

const HOUR_MS: i64 = 3_600_000;

fn in_units(ms: i64, unit_ms: i64) -> String {
    if ms < 0 { ms } else { ms / unit_ms }.to_string()
}

/// The error of a name that no broker setting has.
pub(super) fn unknown(key: &str) -> ConfigError {
    let known = BROKER_DEFINITIONS.iter().map(|definition| definition.name);
    ConfigError::unknown("broker", key, known)
}

fn milliseconds(key: &str, value: &str) -> Result<Duration, ConfigError> {
    number(key, value, 1..=i64::MAX as u64).map(Duration::from_millis)
}
