//! What one request makes of the settings somebody has: set, remove, append to a list, take out of a list. Pure.
//!
//! Always true: all changes of a request are taken or none; whether the result is sound is for the settings' own rules to say.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::kind::ConfigKind;

/// What is done to a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// It gets this value.
    Set(String),
    /// It goes back to its default.
    Delete,
    /// These go to the end of the list, but for those that are in it.
    Append(String),
    /// These are taken out of the list.
    Subtract(String),
}

/// One change to a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Kafka's name of it.
    pub name: String,
    /// What is done to it.
    pub operation: ConfigOperation,
}

impl ConfigChange {
    /// Sets a setting.
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            operation: ConfigOperation::Set(value.into()),
        }
    }

    /// Takes a setting back to its default.
    pub fn delete(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            operation: ConfigOperation::Delete,
        }
    }
}

/// What is known of a setting that is to change: the type of its value and the value in force without an own one; none if there is no such
/// setting.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<(ConfigKind, String)>;

/// The settings `current` after these changes. Errs on an unknown name (`unknown` makes the error), a name given twice, and a list operation on
/// what is no list.
pub(crate) fn changed(
    current: &BTreeMap<String, String>,
    changes: &[ConfigChange],
    lookup: Lookup<'_>,
    unknown: fn(&str) -> ConfigError,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut changed = current.clone();
    for (at, ConfigChange { name, operation }) in changes.iter().enumerate() {
        if changes[..at].iter().any(|earlier| earlier.name == *name) {
            return Err(ConfigError::Twice { key: name.clone() });
        }
        let (kind, default) = lookup(name).ok_or_else(|| unknown(name))?;
        let list_of = |operation| {
            if kind != ConfigKind::List {
                let key = name.clone();
                return Err(ConfigError::NoList { key, operation });
            }
            let value = current.get(name).unwrap_or(&default);
            Ok(elements(value).map(str::to_owned).collect::<Vec<_>>())
        };
        match operation {
            ConfigOperation::Set(value) => {
                changed.insert(name.clone(), value.clone());
            }
            ConfigOperation::Delete => {
                changed.remove(name);
            }
            ConfigOperation::Append(more) => {
                let mut list = list_of("APPEND")?;
                for element in elements(more) {
                    if !list.iter().any(|there| there == element) {
                        list.push(element.to_owned());
                    }
                }
                changed.insert(name.clone(), list.join(","));
            }
            ConfigOperation::Subtract(less) => {
                let mut list = list_of("SUBTRACT")?;
                list.retain(|there| !elements(less).any(|element| element == there));
                changed.insert(name.clone(), list.join(","));
            }
        }
    }
    Ok(changed)
}

fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
}
