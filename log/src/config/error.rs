//! Why a setting was refused.

use super::suggest::nearest;

/// A refused setting. The text names the key, the value, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No setting has this name.
    #[error("unknown {object} setting \"{key}\"{}", hint(.suggestion))]
    UnknownKey {
        /// `topic` or `broker`.
        object: &'static str,
        /// What was given.
        key: String,
        /// A near name that exists.
        suggestion: Option<String>,
    },
    /// The value does not parse or lies outside its range.
    #[error("setting \"{key}\" cannot be \"{value}\": expected {expected}")]
    InvalidValue {
        /// The setting.
        key: String,
        /// What was given.
        value: String,
        /// What would be accepted.
        expected: String,
    },
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map(|name| format!("; did you mean \"{name}\"?"))
        .unwrap_or_default()
}

impl ConfigError {
    pub(crate) fn unknown(object: &'static str, key: &str, known: &[&'static str]) -> Self {
        Self::UnknownKey {
            object,
            key: key.to_owned(),
            suggestion: nearest(key, known.iter().copied()).map(str::to_owned),
        }
    }

    pub(crate) fn invalid(key: &str, value: &str, expected: impl Into<String>) -> Self {
        Self::InvalidValue {
            key: key.to_owned(),
            value: value.to_owned(),
            expected: expected.into(),
        }
    }
}
