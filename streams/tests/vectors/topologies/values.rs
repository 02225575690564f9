//! What the topologies share: functions of values, the same as the recorder's `Dsl.java`.

use std::time::Duration;

pub(super) type Text = Option<String>;

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The number in a value such as `i12`; 0 for null.
pub(super) fn number(value: Option<&str>) -> i64 {
    value.map_or(0, |value| value[1..].parse().expect("a letter and a number"))
}

pub(super) fn even(value: Option<&str>) -> bool {
    number(value) % 2 == 0
}

/// The group of a value: `m0`, `m1` or `m2`; null for null.
pub(super) fn group(value: Option<&str>) -> Text {
    value.map(|text| format!("m{}", number(Some(text)) % 3))
}

/// `so far+value`, begun anew when it grows long; null reads as "null" where it is added to something.
pub(super) fn add(so_far: &str, value: Option<&str>) -> Text {
    if so_far.len() > 20 {
        value.map(str::to_owned)
    } else {
        Some(format!("{so_far}+{}", text(value)))
    }
}

/// As `add`, but a value divisible by 5 deletes, and so does null.
pub(super) fn add_or_delete(so_far: &str, value: Option<&str>) -> Text {
    if number(value) % 5 == 0 {
        None
    } else {
        add(so_far, value)
    }
}

/// Null as Java writes it.
pub(super) fn text(value: Option<&str>) -> &str {
    value.unwrap_or("null")
}

pub(super) fn pair(left: Option<&str>, right: Option<&str>) -> String {
    format!("{}/{}", text(left), text(right))
}
