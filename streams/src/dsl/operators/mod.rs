//! The processors behind the DSL. Each is generic over the types of its stream, so that a batch is downcast once and then runs without dynamic calls.

pub(super) mod aggregate;
pub(super) mod early;
pub(super) mod entry_writer;
pub(super) mod extract_sink;
pub(super) mod foreign_join;
pub(super) mod late;
pub(super) mod own_time;
mod pane_cache;
pub(super) mod process;
pub(super) mod regroup_table;
pub(super) mod sink;
pub(super) mod source;
pub(super) mod spans;
pub(super) mod stateless;
pub(super) mod stream_join;
pub(super) mod stream_table_join;
pub(super) mod suppress;
mod suppress_entry;
pub(super) mod table_join;
pub(super) mod table_map;
pub(super) mod table_source;
pub(super) mod table_transform;
pub(super) mod table_writer;
pub(super) mod versioned_table;
