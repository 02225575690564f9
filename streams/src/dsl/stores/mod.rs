//! Stores of the user: declared once, connected to processors by name, read and written through typed handles.
//!
//! ```
//! use millpond_streams::dsl::{StreamsBuilder, Stores};
//! use std::time::Duration;
//!
//! let builder = StreamsBuilder::new();
//! // Per key one value, on disk and in a changelog: the default.
//! builder.add_state_store(Stores::key_value::<String, u64>("totals"));
//! // A set, whose keys are forgotten an hour of stream time after they were written; kept in memory, restored from its changelog.
//! builder.add_state_store(Stores::key_value::<String, ()>("seen").with_ttl(Duration::from_secs(3600)).in_memory());
//! // Windows of a minute, kept for an hour.
//! builder.add_state_store(Stores::window::<String, u64>("per-minute", Duration::from_secs(60), Duration::from_secs(3600)));
//! // Any number of values per key, each an entry of its own.
//! builder.add_state_store(Stores::list::<String, String>("waiting").without_changelog());
//! ```
//!
//! Always true: keys and values go through their serdes, entries carry a timestamp (`state/value_envelope.rs`), order is the order of key bytes. Everything a
//! handle does is part of the open transaction. What is expired is never seen, whether or not it was removed already.
//! Next: `builder.rs` (declaring), `key_value.rs`, `window.rs`, `session.rs`, `list.rs` (the handles), `read_only.rs` (the stores of tables), `access.rs` (how they reach the task's state).

pub(super) mod access;
mod builder;
#[cfg(test)]
mod handles_test;
mod key_value;
mod list;
mod read_only;
mod session;
#[cfg(test)]
mod stores_test;
pub(super) mod timers;
mod window;

pub use access::StateContext;
pub(super) use builder::{Expiry, StoreDefinition};
pub use builder::{StateStore, StoreBuilder, Stores};
pub use key_value::{KeyValueStore, ValueAndTimestamp};
pub use list::ListStore;
pub use read_only::{ReadOnly, ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyWindowStore};
pub use session::SessionStore;
pub use timers::Timers;
pub use window::WindowStore;
