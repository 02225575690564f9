//! The functions that a plan names in a word, such as `mod:3:1`: the same as the recorder's `Words.java`.

use std::sync::Arc;

pub(super) type Text = Option<String>;
/// Whether a record or an entry is taken.
pub(super) type Predicate = Arc<dyn Fn(Option<&str>, Option<&str>) -> bool + Send + Sync>;
/// A new key or value made of key and value.
pub(super) type Map = Arc<dyn Fn(Option<&str>, Option<&str>) -> Text + Send + Sync>;
/// What was there, and what is added.
pub(super) type Add = Arc<dyn Fn(Option<&str>, Option<&str>) -> Text + Send + Sync>;

/// A number for a text, the same on every machine; 0 for null.
fn hash(text: Option<&str>) -> usize {
    let add = |hash: u64, byte: u8| (hash * 31 + u64::from(byte)) & 0x7fff_ffff;
    text.map_or(0, |text| text.bytes().fold(0, add) as usize)
}

fn parts(word: &str) -> (String, Vec<String>) {
    let mut parts = word.split(':').map(str::to_owned);
    (parts.next().unwrap_or_default(), parts.collect())
}

pub(super) fn number(text: &str) -> u64 {
    text.parse()
        .unwrap_or_else(|error| panic!("{text} in a plan: {error}"))
}

fn numbers(parts: &[String]) -> Vec<usize> {
    parts.iter().map(|part| number(part) as usize).collect()
}

pub(super) fn predicate(word: &str) -> Predicate {
    let (what, rest) = parts(word);
    match what.as_str() {
        "mod" => {
            let rest = numbers(&rest);
            Arc::new(move |_, value| hash(value) % rest[0] == rest[1])
        }
        "key" => Arc::new(move |key, _| key == Some(rest[0].as_str())),
        "null" => Arc::new(|_, value| value.is_none()),
        "some" => Arc::new(|_, value| value.is_some()),
        "short" => {
            let rest = numbers(&rest);
            Arc::new(move |_, value| value.is_none_or(|value| value.len() < rest[0]))
        }
        _ => panic!("{word} is no predicate of a plan"),
    }
}

pub(super) fn value(word: &str) -> Map {
    let (what, rest) = parts(word);
    match what.as_str() {
        "mark" => Arc::new(move |_, value| Some(format!("{}{}", value.unwrap_or("nil"), rest[0]))),
        "group" => {
            let rest = numbers(&rest);
            Arc::new(move |_, value| value.map(|text| format!("g{}", hash(Some(text)) % rest[0])))
        }
        "drop" => {
            let rest = numbers(&rest);
            Arc::new(move |_, value| {
                value
                    .filter(|_| !hash(value).is_multiple_of(rest[0]))
                    .map(str::to_owned)
            })
        }
        "keyed" => Arc::new(|key, value| Some(format!("{}:{}", text(key), text(value)))),
        "same" => Arc::new(|_, value| value.map(str::to_owned)),
        _ => panic!("{word} makes no value of a plan"),
    }
}

pub(super) fn key(word: &str) -> Map {
    let (what, rest) = parts(word);
    match what.as_str() {
        "group" => value(word),
        "const" => Arc::new(move |_, _| Some(rest[0].clone())),
        "value" => Arc::new(|_, value| value.map(str::to_owned)),
        "same" => Arc::new(|key, _| key.map(str::to_owned)),
        "none" => Arc::new(|_, _| None),
        "before" => Arc::new(|_, value| {
            let named = value.filter(|value| !value.starts_with('-'))?;
            named.split(':').next().map(str::to_owned)
        }),
        "spread" => {
            let rest = numbers(&rest);
            Arc::new(move |key, value| key.map(|key| format!("{key}{}", hash(value) % rest[0])))
        }
        "pick" => Arc::new(move |_, value| {
            let picked = &rest[hash(value) % rest.len()];
            (picked != "-").then(|| picked.clone())
        }),
        _ => panic!("{word} makes no key of a plan"),
    }
}

pub(super) fn add(word: &str) -> Add {
    match word {
        "join" => Arc::new(joined),
        "delete" => Arc::new(|so_far, value| {
            if hash(value).is_multiple_of(5) {
                None
            } else {
                joined(so_far, value)
            }
        }),
        "minus" => Arc::new(|so_far, value| match so_far {
            Some(so_far) if so_far.len() <= 20 => Some(format!("{so_far}-{}", text(value))),
            _ => Some(format!("-{}", text(value))),
        }),
        "last" => Arc::new(|_, value| value.map(str::to_owned)),
        _ => panic!("{word} adds nothing in a plan"),
    }
}

fn joined(so_far: Option<&str>, value: Option<&str>) -> Text {
    match so_far {
        Some(so_far) if so_far.len() <= 20 => Some(format!("{so_far}+{}", text(value))),
        _ => value.map(str::to_owned),
    }
}

/// Two sessions' values made one.
pub(super) fn merge(left: &str, right: &str) -> String {
    if left.len() > 20 {
        right.to_owned()
    } else {
        format!("{left}&{right}")
    }
}

/// Null as Java writes it.
fn text(value: Option<&str>) -> &str {
    value.unwrap_or("null")
}

/// What joiners make of two sides.
pub(super) fn pair(left: Option<&str>, right: Option<&str>) -> String {
    format!("{}/{}", text(left), text(right))
}
