//! What a store is: its name, its kind and its place in the task.
//!
//! A store is known on disk by its name, in memory by its [`StoreIndex`]. Adding or reordering operators may change
//! the index and never the name.

use std::collections::BTreeMap;
use std::fmt;

/// Place of a store in its task's list of [`StoreSpec`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreIndex(u32);

impl StoreIndex {
    /// The store at `index` of the task's list.
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The place in the list.
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for StoreIndex {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// How a store's keys are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Keys as the operator gives them.
    KeyValue,
    /// Keys start with their pane ([`window_key`](super::window_key)).
    Window {
        /// Length of a window in milliseconds.
        size_ms: i64,
        /// How long a pane is kept after its start, in milliseconds of stream time. May change between runs.
        retention_ms: i64,
    },
    /// Keys start with their pane, values are lists of spans ([`span_list`](super::span_list)): sessions and sliding windows.
    Spans {
        /// Width of a pane in milliseconds.
        pane_ms: i64,
        /// How long spans are kept after their anchor, in milliseconds of stream time. May change between runs.
        retention_ms: i64,
    },
}

impl StoreKind {
    /// How long entries are kept, in milliseconds of stream time; `None` when they do not expire.
    pub fn retention_ms(&self) -> Option<i64> {
        match *self {
            StoreKind::KeyValue => None,
            StoreKind::Window { retention_ms, .. } | StoreKind::Spans { retention_ms, .. } => {
                (retention_ms < i64::MAX).then_some(retention_ms)
            }
        }
    }
}

/// A store as the topology declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    /// Unique in the task; names the column family and the changelog topic.
    pub name: String,
    /// Layout of the keys.
    pub kind: StoreKind,
    /// What the bytes mean, in words ("string → i64"). A store written under another schema is refused.
    pub schema: String,
    /// Whether it is kept on disk. One that is not begins empty at every start and is read from its changelog.
    pub persistent: bool,
    /// Whether its changes go to a changelog topic. A store without one is empty or stale after a crash.
    pub logged: bool,
    /// Extra settings for the changelog topic, by Kafka's names.
    pub changelog_configs: BTreeMap<String, String>,
}

impl StoreSpec {
    /// A logged key-value store.
    pub fn key_value(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: StoreKind::KeyValue,
            schema: String::new(),
            persistent: true,
            logged: true,
            changelog_configs: BTreeMap::new(),
        }
    }

    /// A logged window store; `size_ms` and `retention_ms` as in [`StoreKind::Window`].
    pub fn window(name: impl Into<String>, size_ms: i64, retention_ms: i64) -> Self {
        Self {
            kind: StoreKind::Window {
                size_ms,
                retention_ms,
            },
            ..Self::key_value(name)
        }
    }

    /// A logged store of spans; `pane_ms` and `retention_ms` as in [`StoreKind::Spans`].
    pub fn spans(name: impl Into<String>, pane_ms: i64, retention_ms: i64) -> Self {
        Self {
            kind: StoreKind::Spans {
                pane_ms,
                retention_ms,
            },
            ..Self::key_value(name)
        }
    }

    /// The same store with `schema` written beside it.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The same store without a changelog.
    #[must_use]
    pub fn without_changelog(mut self) -> Self {
        self.logged = false;
        self
    }

    /// The same store in memory only.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.persistent = false;
        self
    }

    /// What must stay the same for bytes on disk to be readable; two specs with the same text are compatible.
    pub(crate) fn shape(&self) -> String {
        let kind = match self.kind {
            StoreKind::KeyValue => "key-value".to_owned(),
            // Retention is left out: it decides how long a pane lives, not how it is written.
            StoreKind::Window { size_ms, .. } => format!("window of {size_ms} ms"),
            StoreKind::Spans { pane_ms, .. } => format!("spans in panes of {pane_ms} ms"),
        };
        if self.schema.is_empty() {
            kind
        } else {
            format!("{kind}, {}", self.schema)
        }
    }
}
