//! Topic settings under Kafka's names.
//!
//! The values live in storage's [`TopicConfig`], which is what the log reads; this file gives them their names and text forms, and adds
//! what only the broker needs. Always true: every value is inside its range, because the only way in from text is `set`, which
//! checks. A topic stores only what differs from the broker's defaults. `topic_table.rs` lists the settings.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::parse::{number, one_of};
use super::topic_table::{TOPIC_DEFINITIONS, TopicDefinition, topic_definition};
use crate::record::Compression;
use crate::storage::{CleanupPolicy, Durability, TimestampSource, TopicConfig};

/// The settings of one topic, complete: defaults filled in.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicSettings {
    /// What the log itself obeys.
    pub log: TopicConfig,
    /// `compression.type`: the codec batches are stored with; none is `producer`, that is, as they came.
    pub compression: Option<Compression>,
    /// Settings that are only kept, as far as they were set.
    kept: BTreeMap<&'static str, String>,
}

const COMPRESSIONS: &[(&str, Option<Compression>)] = &[
    ("producer", None),
    ("uncompressed", Some(Compression::None)),
    ("gzip", Some(Compression::Gzip)),
    ("snappy", Some(Compression::Snappy)),
    ("lz4", Some(Compression::Lz4)),
    ("zstd", Some(Compression::Zstd)),
];
const TIMESTAMP_SOURCES: &[(&str, TimestampSource)] = &[
    ("CreateTime", TimestampSource::CreateTime),
    ("LogAppendTime", TimestampSource::LogAppendTime),
];
const DURABILITIES: &[(&str, Durability)] = &[
    ("fsync", Durability::Fsync),
    ("page-cache", Durability::PageCache),
];

const MAX_BYTES: u64 = i32::MAX as u64;

impl TopicSettings {
    /// These settings with `overrides` put on top; the first refused one is the error.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use millpond_log::config::TopicSettings;
    ///
    /// let overrides = BTreeMap::from([("retention.sm".to_owned(), "1000".to_owned())]);
    /// let refused = TopicSettings::default().with_overrides(&overrides).unwrap_err();
    /// assert_eq!(refused.to_string(), "unknown topic setting \"retention.sm\"; did you mean \"retention.ms\"?");
    /// ```
    pub fn with_overrides(&self, overrides: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut settings = self.clone();
        for (key, value) in overrides {
            settings.set(key, value)?;
        }
        settings.check_together()?;
        Ok(settings)
    }

    /// What no single setting shows: two that contradict each other.
    pub fn check_together(&self) -> Result<(), ConfigError> {
        let (min, max) = (self.log.min_compaction_lag_ms, self.log.max_compaction_lag_ms);
        if min > max {
            let expected = format!("at most max.compaction.lag.ms, which is {max}");
            return Err(ConfigError::invalid(
                "min.compaction.lag.ms",
                &min.to_string(),
                expected,
            ));
        }
        Ok(())
    }

    /// Sets one setting by its Kafka name. Errs on an unknown name and on a value out of range; nothing changes then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let log = &mut self.log;
        match key {
            "cleanup.policy" => log.cleanup_policy = cleanup_policy(key, value)?,
            "compression.type" => self.compression = one_of(key, value, COMPRESSIONS)?,
            "delete.retention.ms" => log.delete_retention_ms = number(key, value, 0..=i64::MAX)?,
            "durability" => log.durability = one_of(key, value, DURABILITIES)?,
            "file.delete.delay.ms" => log.file_delete_delay_ms = number(key, value, 0..=i64::MAX)?,
            "index.interval.bytes" => log.index_interval_bytes = number(key, value, 0..=MAX_BYTES)?,
            "max.compaction.lag.ms" => log.max_compaction_lag_ms = number(key, value, 1..=i64::MAX)?,
            "max.message.bytes" => log.max_message_bytes = number(key, value, 0..=i32::MAX as u32)?,
            "message.timestamp.after.max.ms" => {
                log.timestamp_after_max_ms = number(key, value, 0..=i64::MAX)?
            }
            "message.timestamp.before.max.ms" => {
                log.timestamp_before_max_ms = number(key, value, 0..=i64::MAX)?
            }
            "message.timestamp.type" => log.timestamp_source = one_of(key, value, TIMESTAMP_SOURCES)?,
            "min.cleanable.dirty.ratio" => log.min_cleanable_dirty_ratio = number(key, value, 0.0..=1.0)?,
            "min.compaction.lag.ms" => log.min_compaction_lag_ms = number(key, value, 0..=i64::MAX)?,
            "retention.bytes" => log.retention_bytes = number(key, value, -1..=i64::MAX)?,
            "retention.ms" => log.retention_ms = number(key, value, -1..=i64::MAX)?,
            "segment.bytes" => log.segment_bytes = number(key, value, 14..=MAX_BYTES)?,
            "segment.index.bytes" => log.segment_index_bytes = number(key, value, 4..=MAX_BYTES)?,
            "segment.ms" => log.segment_ms = number(key, value, 1..=i64::MAX)?,
            _ => match topic_definition(key) {
                Some(TopicDefinition {
                    name,
                    kept: Some((_, check)),
                    ..
                }) => {
                    self.kept.insert(name, check.accept(key, value)?);
                }
                _ => return Err(unknown(key)),
            },
        }
        Ok(())
    }

    /// The value of one setting as text, the way `set` would take it; none if no setting has this name.
    pub fn get(&self, key: &str) -> Option<String> {
        let log = &self.log;
        Some(match key {
            "cleanup.policy" => cleanup_policy_text(log.cleanup_policy).to_owned(),
            "compression.type" => name_of(COMPRESSIONS, self.compression),
            "delete.retention.ms" => log.delete_retention_ms.to_string(),
            "durability" => name_of(DURABILITIES, log.durability),
            "file.delete.delay.ms" => log.file_delete_delay_ms.to_string(),
            "index.interval.bytes" => log.index_interval_bytes.to_string(),
            "max.compaction.lag.ms" => log.max_compaction_lag_ms.to_string(),
            "max.message.bytes" => log.max_message_bytes.to_string(),
            "message.timestamp.after.max.ms" => log.timestamp_after_max_ms.to_string(),
            "message.timestamp.before.max.ms" => log.timestamp_before_max_ms.to_string(),
            "message.timestamp.type" => name_of(TIMESTAMP_SOURCES, log.timestamp_source),
            "min.cleanable.dirty.ratio" => log.min_cleanable_dirty_ratio.to_string(),
            "min.compaction.lag.ms" => log.min_compaction_lag_ms.to_string(),
            "retention.bytes" => log.retention_bytes.to_string(),
            "retention.ms" => log.retention_ms.to_string(),
            "segment.bytes" => log.segment_bytes.to_string(),
            "segment.index.bytes" => log.segment_index_bytes.to_string(),
            "segment.ms" => log.segment_ms.to_string(),
            _ => {
                let (default, _) = topic_definition(key)?.kept?;
                self.kept.get(key).map_or(default, String::as_str).to_owned()
            }
        })
    }
}

/// The error of a name that no topic setting has.
pub(super) fn unknown(key: &str) -> ConfigError {
    let known = TOPIC_DEFINITIONS.iter().map(|definition| definition.name);
    ConfigError::unknown("topic", key, known)
}

fn name_of<T: Copy + PartialEq>(choices: &[(&'static str, T)], chosen: T) -> String {
    choices
        .iter()
        .find(|(_, choice)| *choice == chosen)
        .map_or_else(String::new, |(name, _)| (*name).to_owned())
}

fn cleanup_policy(key: &str, value: &str) -> Result<CleanupPolicy, ConfigError> {
    let mut policy = CleanupPolicy {
        delete: false,
        compact: false,
    };
    for part in value.split(',').filter(|_| !value.trim().is_empty()) {
        match part.trim().to_ascii_lowercase().as_str() {
            "delete" => policy.delete = true,
            "compact" => policy.compact = true,
            _ => {
                return Err(ConfigError::invalid(
                    key,
                    value,
                    "delete, compact, or delete,compact",
                ));
            }
        }
    }
    Ok(policy)
}

fn cleanup_policy_text(policy: CleanupPolicy) -> &'static str {
    match (policy.delete, policy.compact) {
        (true, true) => "compact,delete",
        (false, true) => "compact",
        (true, false) => "delete",
        // Nothing is ever thrown away.
        (false, false) => "",
    }
}
