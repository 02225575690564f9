//! Text of one setting → its value. Pure.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::error::ConfigError;

pub(super) fn number<T>(key: &str, value: &str, range: RangeInclusive<T>) -> Result<T, ConfigError>
where
    T: FromStr + PartialOrd + Display,
{
    let expected = || format!("a number from {} to {}", range.start(), range.end());
    let parsed: T = value
        .trim()
        .parse()
        .map_err(|_| ConfigError::invalid(key, value, expected()))?;
    if range.contains(&parsed) {
        Ok(parsed)
    } else {
        Err(ConfigError::invalid(key, value, expected()))
    }
}

pub(super) fn one_of<T: Copy>(
    key: &str,
    value: &str,
    choices: &[(&'static str, T)],
) -> Result<T, ConfigError> {
    choices
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(value.trim()))
        .map(|(_, choice)| *choice)
        .ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            ConfigError::invalid(key, value, format!("one of {}", names.join(", ")))
        })
}
