//! The log of millpond: partitions in Kafka's formats, transactions, embedded clients.

pub mod broker;
pub mod client;
pub mod clock;
mod codec;
pub mod config;
pub mod coordinator;
pub mod error;
pub mod faults;
pub mod http;
pub mod metadata;
pub mod metrics;
pub mod protocol;
pub mod record;
pub mod rng;
pub mod server;
pub mod storage;
pub mod types;
