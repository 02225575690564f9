//! Why a setting was refused.

use super::suggest::nearest;

/// A refused setting. The text names the key, the value, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No setting has this name.
    #[error("unknown {object} setting \"{key}\"{}", hint(.suggestion))]
    UnknownKey {
        /// `topic`, `broker`, `group` or `client metrics`.
        object: &'static str,
        /// What was given.
        key: String,
        /// A near name that exists.
        suggestion: Option<String>,
    },
    /// It can be set only when the broker starts.
    #[error(
        "setting \"{key}\" cannot be changed while the broker runs; set it in the broker's file and restart it"
    )]
    ReadOnly {
        /// The setting.
        key: String,
    },
    /// APPEND or SUBTRACT on a setting that is no list.
    #[error("setting \"{key}\" is no list: {operation} cannot be used on it; use SET")]
    NoList {
        /// The setting.
        key: String,
        /// `APPEND` or `SUBTRACT`.
        operation: &'static str,
    },
    /// A setting is named twice in one request.
    #[error("setting \"{key}\" is named twice in the request; name it once")]
    Twice {
        /// The setting.
        key: String,
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
    pub(crate) fn unknown(
        object: &'static str,
        key: &str,
        known: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        Self::UnknownKey {
            object,
            key: key.to_owned(),
            suggestion: nearest(key, known).map(str::to_owned),
        }
    }

    /// The same refusal under the name the setting has elsewhere.
    pub(crate) fn renamed(self, name: &str) -> Self {
        match self {
            Self::InvalidValue { value, expected, .. } => Self::InvalidValue {
                key: name.to_owned(),
                value,
                expected,
            },
            other => other,
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
