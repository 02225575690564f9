//! Broker settings under Kafka's names.
//!
//! Settings are data; `broker/options.rs` hands them in. Defaults of topics are set here by Kafka's `log.*` synonyms and reach
//! topics through `topic_defaults`; everything storage reads is in `storage`.

use std::time::Duration;

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
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            topic_defaults: TopicSettings::default(),
            auto_create_topics_enable: true,
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
        }
    }
}

/// Kafka's broker-wide names of topic settings.
const TOPIC_SYNONYMS: &[(&str, &str)] = &[
    ("compression.type", "compression.type"),
    ("log.cleaner.delete.retention.ms", "delete.retention.ms"),
    ("log.cleaner.max.compaction.lag.ms", "max.compaction.lag.ms"),
    ("log.cleaner.min.cleanable.ratio", "min.cleanable.dirty.ratio"),
    ("log.cleaner.min.compaction.lag.ms", "min.compaction.lag.ms"),
    ("log.cleanup.policy", "cleanup.policy"),
    ("log.durability", "durability"),
    ("log.index.interval.bytes", "index.interval.bytes"),
    ("log.index.size.max.bytes", "segment.index.bytes"),
    ("log.message.timestamp.type", "message.timestamp.type"),
    ("log.retention.bytes", "retention.bytes"),
    ("log.retention.ms", "retention.ms"),
    ("log.roll.ms", "segment.ms"),
    ("log.segment.bytes", "segment.bytes"),
    ("log.segment.delete.delay.ms", "file.delete.delay.ms"),
    ("message.max.bytes", "max.message.bytes"),
];

/// Every broker setting, in alphabetical order.
pub const BROKER_SETTINGS: &[&str] = &[
    "auto.create.topics.enable",
    "compression.type",
    "fetch.max.bytes",
    "group.initial.rebalance.delay.ms",
    "group.max.session.timeout.ms",
    "group.max.size",
    "group.min.session.timeout.ms",
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.delete.retention.ms",
    "log.cleaner.max.compaction.lag.ms",
    "log.cleaner.min.cleanable.ratio",
    "log.cleaner.min.compaction.lag.ms",
    "log.cleanup.policy",
    "log.dir.reserved.bytes",
    "log.durability",
    "log.index.interval.bytes",
    "log.index.size.max.bytes",
    "log.message.timestamp.type",
    "log.retention.bytes",
    "log.retention.check.interval.ms",
    "log.retention.ms",
    "log.roll.ms",
    "log.segment.bytes",
    "log.segment.delete.delay.ms",
    "message.max.bytes",
    "num.partitions",
    "offset.metadata.max.bytes",
    "offsets.retention.check.interval.ms",
    "offsets.retention.minutes",
    "offsets.topic.num.partitions",
    "producer.id.expiration.ms",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms",
    "transaction.max.timeout.ms",
    "transaction.remove.expired.transaction.cleanup.interval.ms",
    "transaction.state.log.num.partitions",
    "transactional.id.expiration.ms",
];

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
            "log.cleaner.dedupe.buffer.size" => {
                self.storage.cleaner_map_bytes = number(key, value, 1 << 16..=1 << 40)?
            }
            "producer.id.expiration.ms" => {
                self.storage.producer_id_expiration_ms = number(key, value, 1..=i64::MAX)?
            }
            "log.cleaner.backoff.ms" => self.storage.cleaner_interval = milliseconds(key, value)?,
            _ if GROUP_SETTINGS.contains(&key) => self.groups.set(key, value)?,
            _ => match TOPIC_SYNONYMS.iter().find(|(synonym, _)| *synonym == key) {
                Some((_, topic_key)) => self.topic_defaults.set(topic_key, value)?,
                None => return Err(ConfigError::unknown("broker", key, BROKER_SETTINGS)),
            },
        }
        Ok(())
    }

    /// The value of one setting as text; none if no setting has this name.
    pub fn get(&self, key: &str) -> Option<String> {
        Some(match key {
            "auto.create.topics.enable" => self.auto_create_topics_enable.to_string(),
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
            "log.cleaner.dedupe.buffer.size" => self.storage.cleaner_map_bytes.to_string(),
            "producer.id.expiration.ms" => self.storage.producer_id_expiration_ms.to_string(),
            "log.cleaner.backoff.ms" => self.storage.cleaner_interval.as_millis().to_string(),
            _ if GROUP_SETTINGS.contains(&key) => self.groups.get(key)?,
            _ => {
                let (_, topic_key) = TOPIC_SYNONYMS.iter().find(|(synonym, _)| *synonym == key)?;
                self.topic_defaults.get(topic_key)?
            }
        })
    }
}

fn milliseconds(key: &str, value: &str) -> Result<Duration, ConfigError> {
    number(key, value, 1..=i64::MAX as u64).map(Duration::from_millis)
}
