//! The typed DSL: Kafka Streams' words, Rust's types.
//!
//! `builder.rs` is where streams begin; `stream.rs` (`KStream`), `grouped.rs`, `time_windowed.rs` and `table*.rs` (`KTable`) what can be done with them; `operators/` the
//! processors behind. Always true: state and internal topics are named by the user; null is a matter of type; nothing here runs before the
//! topology is built. Next: `operators/aggregate/` for windows, lateness and caching, `operators/spans/` for sessions and
//! sliding windows.
//! Processors of the user's own: `stream_process.rs` puts them into a stream, `process/` is what they implement and touch, `stores/` what they keep.

mod aggregate_plan;
mod builder;
mod change;
mod change_serde;
mod cogroup_windowed;
mod cogrouped;
mod emit_strategy;
mod global_table;
mod group_windows;
mod grouped;
mod grouped_table;
mod join_windows;
mod joined;
mod late_records;
mod on_error;
mod operators;
mod options;
mod process;
mod row;
mod session_windowed;
mod session_windows;
mod sliding_windows;
mod split;
mod stores;
mod stream;
mod stream_global_join;
mod stream_join;
mod stream_joined;
mod stream_process;
mod stream_sink;
mod stream_table_join;
mod stream_to_table;
mod suppressed;
mod table;
mod table_foreign_join;
mod table_join;
mod table_lookup;
mod table_map;
mod table_origin;
mod table_suppress;
mod table_transform;
mod time_windowed;
mod time_windows;
mod timestamps;
mod unlimited_windows;
mod versioned_table;
mod window_fold;
mod windowed;

#[cfg(test)]
mod cogrouped_test;
#[cfg(test)]
mod emit_every_test;
#[cfg(test)]
mod emit_on_close_test;
#[cfg(test)]
mod foreign_join_random_test;
#[cfg(test)]
mod foreign_join_test;
#[cfg(test)]
mod grouped_table_test;
#[cfg(test)]
mod grouped_test;
#[cfg(test)]
mod held_values_test;
#[cfg(test)]
mod operator_time_random_test;
#[cfg(test)]
mod process_script;
#[cfg(test)]
mod process_test;
#[cfg(test)]
mod process_time_test;
#[cfg(test)]
mod random_spans_test;
#[cfg(test)]
mod random_windows_test;
#[cfg(test)]
mod session_windows_test;
#[cfg(test)]
mod sliding_windows_test;
#[cfg(test)]
mod stream_global_join_test;
#[cfg(test)]
mod stream_join_random_test;
#[cfg(test)]
mod stream_join_test;
#[cfg(test)]
mod stream_sink_test;
#[cfg(test)]
mod stream_table_join_random_test;
#[cfg(test)]
mod stream_table_join_test;
#[cfg(test)]
mod stream_test;
#[cfg(test)]
mod suppress_test;
#[cfg(test)]
mod suppress_windows_test;
#[cfg(test)]
mod table_join_random_test;
#[cfg(test)]
mod table_join_test;
#[cfg(test)]
mod table_test;
#[cfg(test)]
mod table_test_support;
#[cfg(test)]
mod table_transform_test;
#[cfg(test)]
mod test_hosts;
#[cfg(test)]
mod timestamps_test;
#[cfg(test)]
mod versioned_table_test;
#[cfg(test)]
mod window_aggregate_test;
#[cfg(test)]
mod windowed_tables_test;
#[cfg(test)]
mod windows_harness;

pub use builder::StreamsBuilder;
pub use cogroup_windowed::{CogroupWindows, SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream};
pub use cogrouped::{CogroupedKStream, CogroupedValue};
pub use emit_strategy::EmitStrategy;
pub use global_table::GlobalKTable;
pub use group_windows::GroupWindows;
pub use grouped::KGroupedStream;
pub use grouped_table::KGroupedTable;
pub use join_windows::JoinWindows;
pub use joined::Joined;
pub use operators::late::LateRecord;
pub(crate) use operators::versioned_table::stored_versions::{StoredVersions, history_store};
pub use options::{Consumed, Grouped, Materialized, Produced};
pub use process::{
    Cancellable, FixedKeyContext, FixedKeyInit, FixedKeyProcessor, FixedKeyRecord, ProcessorContext,
    ProcessorInit, PunctuationType, Record, RecordMetadata, RecordProcessor, Timer, TimerKind, UnknownChild,
    ValueTransformerContext, ValueTransformerInit, ValueTransformerWithKey,
};
pub use session_windowed::SessionWindowedKStream;
pub use session_windows::SessionWindows;
pub use sliding_windows::SlidingWindows;
pub use split::SplitStream;
pub use stores::{
    KeyValueStore, ListStore, ReadOnly, ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyWindowStore,
    SessionStore, StateContext, StateStore, StoreBuilder, Stores, Timers, ValueAndTimestamp, WindowStore,
};
pub use stream::KStream;
pub use stream_joined::StreamJoined;
pub use stream_sink::RecordContext;
pub use suppressed::{EagerBuffer, StrictBuffer, SuppressBuffer, Suppressed};
pub use table::KTable;
pub use table_foreign_join::TableJoined;
pub use time_windowed::TimeWindowedKStream;
pub use time_windows::TimeWindows;
pub use timestamps::{RecordTimes, TimestampExtractor};
pub use unlimited_windows::UnlimitedWindows;
pub use windowed::{SessionWindowedSerde, Window, Windowed, WindowedSerde};

// What every processor touches, though it is not only theirs.
pub use crate::processor::{BoxError, Headers};
