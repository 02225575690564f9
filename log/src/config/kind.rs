//! What kind of value a setting has, and the check of those that are only kept.
//!
//! Pure. A setting with an effect is parsed into its own type by `topic.rs` and `broker.rs`; one without an effect on a node like ours is still
//! checked here, so that whoever moves to another Kafka finds what was set to be right.

use super::error::ConfigError;
use super::parse::{number, one_of};

/// Type of a value, as DescribeConfigs tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigKind {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A fraction.
    Double,
    /// Texts separated by commas.
    List,
}

impl ConfigKind {
    /// Kafka's number for it.
    pub fn to_wire(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
        }
    }
}

/// What values a setting that is only kept may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Boolean,
    /// Only `false`: what it would switch on is not there.
    Off,
    Number(i64, i64),
    Fraction,
    /// Between the bounds, or -1.
    NumberOrDefault(i64, i64),
    Text,
    /// `*`, or `partition:broker` pairs, as replication throttles have them.
    Replicas,
    /// It describes the node and cannot be set.
    Fixed,
}

impl Check {
    /// The text to keep, if it may be.
    pub(super) fn accept(self, key: &str, value: &str) -> Result<String, ConfigError> {
        const SWITCH: &[(&str, bool)] = &[("true", true), ("false", false)];
        match self {
            Self::Boolean => Ok(one_of(key, value, SWITCH)?.to_string()),
            Self::Off => match one_of(key, value, SWITCH)? {
                false => Ok("false".to_owned()),
                true => {
                    let expected = "false: there is no remote storage here";
                    Err(ConfigError::invalid(key, value, expected))
                }
            },
            Self::Number(min, max) => Ok(number(key, value, min..=max)?.to_string()),
            Self::Fraction => {
                number(key, value, 0.0..=f64::MAX)?;
                Ok(value.trim().to_owned())
            }
            Self::NumberOrDefault(min, max) => match value.trim() {
                "-1" => Ok("-1".to_owned()),
                _ => Ok(number(key, value, min..=max)?.to_string()),
            },
            Self::Text => Ok(value.trim().to_owned()),
            Self::Replicas => replicas(key, value),
            Self::Fixed => {
                let expected = "no change: it tells how this node was started";
                Err(ConfigError::invalid(key, value, expected))
            }
        }
    }
}

fn replicas(key: &str, value: &str) -> Result<String, ConfigError> {
    let value = value.trim();
    let is_pair = |pair: &str| {
        pair.trim().split_once(':').is_some_and(|(partition, broker)| {
            partition.parse::<u32>().is_ok() && broker.parse::<u32>().is_ok()
        })
    };
    if value.is_empty() || value == "*" || value.split(',').all(is_pair) {
        Ok(value.to_owned())
    } else {
        Err(ConfigError::invalid(
            key,
            value,
            "* for all replicas, or PARTITION:BROKER pairs separated by commas",
        ))
    }
}
