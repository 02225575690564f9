//! Settings of a client metrics subscription (KIP-714): which metrics which clients are to send, and how often.
//!
//! They are kept and told; no client is asked for metrics yet. Pure.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::kind::ConfigKind;
use super::parse::number;

/// A setting of a client metrics subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientMetricsDefinition {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Type of its value.
    pub kind: ConfigKind,
    /// Its default.
    pub default: &'static str,
    /// What it does.
    pub documentation: &'static str,
}

/// Every setting of a subscription, by name.
pub const CLIENT_METRICS_DEFINITIONS: &[ClientMetricsDefinition] = &[
    ClientMetricsDefinition {
        name: "interval.ms",
        kind: ConfigKind::Int,
        default: "300000",
        documentation: "How often clients send their metrics, from 100 to 3600000.",
    },
    ClientMetricsDefinition {
        name: "match",
        kind: ConfigKind::List,
        default: "",
        documentation: "Which clients: PROPERTY=REGEX pairs, all of which must fit; empty for all clients.",
    },
    ClientMetricsDefinition {
        name: "metrics",
        kind: ConfigKind::List,
        default: "",
        documentation: "Prefixes of the names of the metrics; * for all, empty for none.",
    },
];

/// What a client can be chosen by.
const PROPERTIES: &[&str] = &[
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Checks the settings of a subscription.
pub(crate) fn check_client_metrics(overrides: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    for (key, value) in overrides {
        match key.as_str() {
            "interval.ms" => {
                number(key, value, 100..=3_600_000)?;
            }
            "match" => check_match(key, value)?,
            "metrics" => {}
            _ => return Err(unknown(key)),
        }
    }
    Ok(())
}

fn check_match(key: &str, value: &str) -> Result<(), ConfigError> {
    for pair in value.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((property, pattern)) = pair.split_once('=') else {
            return Err(ConfigError::invalid(
                key,
                value,
                "PROPERTY=REGEX pairs separated by commas",
            ));
        };
        if !PROPERTIES.contains(&property.trim()) {
            let expected = format!("a property among {}", PROPERTIES.join(", "));
            return Err(ConfigError::invalid(key, value, expected));
        }
        if regex::Regex::new(pattern.trim()).is_err() {
            let expected = format!("a regular expression after {property}=");
            return Err(ConfigError::invalid(key, value, expected));
        }
    }
    Ok(())
}

/// The error of a name that no setting of a subscription has.
pub(super) fn unknown(key: &str) -> ConfigError {
    let known = CLIENT_METRICS_DEFINITIONS
        .iter()
        .map(|definition| definition.name);
    ConfigError::unknown("client metrics", key, known)
}
