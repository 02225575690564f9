//! The log behind a socket: any cluster that speaks Kafka's protocol, millpond's or Apache Kafka's.
//!
//! Why not `rdkafka`: the runtime's contract with the log is about whole batches and single requests, and librdkafka shows neither. It builds the batches and
//! numbers them itself (here producer id, epoch and sequence are ours, and changelog and output leave in one encoding); it fences by itself and calls
//! an error fatal where I4 needs InitProducerId with *this* identity, then the committed offsets; its commit is one call that hides which of its requests
//! had no answer; a pause, a rebalance or a poll is needed where the runtime only asks. So this is a client of our own, on the codec the broker
//! uses, and it needs no C++ compiler.
//!
//! ```text
//!   log_client.rs ─► fetch · produce · transactions, old_transactions, claim · offsets · topics      one file per kind of request
//!                       │
//!                    cluster.rs     who leads, who coordinates; learnt when asked for, forgotten when wrong
//!                       │
//!                    pool.rs        one request under way per connection
//!                       │
//!                    connection.rs · frame.rs · versions.rs · address.rs        bytes
//! ```
//! What is always true:
//! - `LogError` tells whether it happened (`code.rs`): no answer after something was sent is `Unknown`, whatever else is known.
//! - A request is sent once per call: repeating is the caller's, who knows whether that is safe. Only metadata, descriptions and the creation of
//!   topics are repeated here, as their callers ask once.
//! - Sockets live on a thread of the client's own; workers only wait for answers.
//!
//! Needs Apache Kafka 3.0 or later. Absent: TLS and SASL, fetch sessions, fetching from followers, topic ids (a topic that is deleted and made
//! again under its name is told by its offsets).

mod address;
mod claim;
mod cluster;
mod code;
mod connection;
mod fetch;
mod frame;
mod grouping;
mod log_client;
mod offsets;
mod old_transactions;
mod options;
mod pool;
mod produce;
mod producers;
mod topics;
mod transactions;
mod versions;

pub use log_client::RemoteLog;
pub use options::RemoteOptions;
