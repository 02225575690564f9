//! A Kafka-Streams-style DSL for Rust on the millpond log, with RocksDB state and exactly-once.

pub mod config;
pub mod dsl;
pub mod error;
pub mod metrics;
pub mod processor;
pub mod query;
pub mod runtime;
pub mod serde;
pub mod state;
pub mod testing;
pub mod topology;
