//! **millpond**: a durable log that keeps Kafka's formats and transactions, a Kafka-Streams-style DSL on it, and
//! streaming SQL on the same runtime. One library, one binary.
//!
//! This crate is the facade: it re-exports the three parts and has no behaviour of its own; they know nothing of it.
//! The binary beside it (`src/main.rs`, `src/cli`) is one more user of the same library.
//!
//! | module | crate | what it is |
//! | --- | --- | --- |
//! | [`log`] | `millpond-log` | partitions, transactions, the `Broker` handle, embedded clients |
//! | [`streams`] (feature `streams`) | `millpond-streams` | `StreamsBuilder`, `KStream`, `KTable`, the exactly-once runtime |
//! | [`sql`] (feature `sql`) | `millpond-sql` | `CREATE STREAM`, materialised views, pull queries |
//!
//! With `default-features = false` only the log is built: no RocksDB, no DataFusion, no C++ compiler.

pub use millpond_log as log;
#[cfg(feature = "sql")]
pub use millpond_sql as sql;
#[cfg(feature = "streams")]
pub use millpond_streams as streams;
