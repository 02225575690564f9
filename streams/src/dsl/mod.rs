//! The typed DSL: Kafka Streams' words, Rust's types.
//!
//! `builder.rs` is where streams begin; `stream.rs` (`KStream`), `grouped.rs`, `time_windowed.rs` and `table*.rs` (`KTable`) what can be done with them; `operators/` the
//! processors behind. Always true: state and internal topics are named by the user; null is a matter of type; nothing here runs before the
//! topology is built. Next: `operators/aggregate.rs` for windows, lateness and caching.

mod builder;
mod change;
mod change_serde;
mod grouped;
mod grouped_table;
mod operators;
mod options;
mod process;
mod row;
mod split;
mod stores;
mod stream;
mod stream_process;
mod stream_sink;
mod stream_to_table;
mod suppressed;
mod table;
mod table_foreign_join;
mod table_join;
mod table_lookup;
mod table_map;
mod table_origin;
mod table_suppress;
mod time_windowed;
mod time_windows;
mod timestamps;
mod windowed;

#[cfg(test)]
mod foreign_join_test;
#[cfg(test)]
mod grouped_table_test;
#[cfg(test)]
mod grouped_test;
#[cfg(test)]
mod process_test;
#[cfg(test)]
mod random_windows_test;
#[cfg(test)]
mod stream_sink_test;
#[cfg(test)]
mod stream_test;
#[cfg(test)]
mod suppress_test;
#[cfg(test)]
mod table_join_test;
#[cfg(test)]
mod table_test;
#[cfg(test)]
mod table_test_support;
#[cfg(test)]
mod timestamps_test;
#[cfg(test)]
mod window_aggregate_test;

pub use builder::StreamsBuilder;
pub use grouped::KGroupedStream;
pub use grouped_table::KGroupedTable;
pub use operators::aggregate::LateRecord;
pub use options::{Consumed, Grouped, Materialized, Produced};
pub use process::{
    Cancellable, FixedKeyContext, FixedKeyInit, FixedKeyProcessor, FixedKeyRecord, ProcessorContext,
    ProcessorInit, PunctuationType, Record, RecordMetadata, RecordProcessor, Timer, TimerKind, UnknownChild,
};
pub use split::SplitStream;
pub use stores::{
    KeyValueStore, ListStore, StateContext, StateStore, StoreBuilder, Stores, Timers, ValueAndTimestamp,
    WindowStore,
};
pub use stream::KStream;
pub use stream_sink::RecordContext;
pub use suppressed::{EagerBuffer, StrictBuffer, SuppressBuffer, Suppressed};
pub use table::KTable;
pub use table_foreign_join::TableJoined;
pub use time_windowed::TimeWindowedKStream;
pub use time_windows::TimeWindows;
pub use timestamps::{RecordTimes, TimestampExtractor};
pub use windowed::{Window, Windowed, WindowedSerde};
