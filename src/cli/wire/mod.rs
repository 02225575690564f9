//! An admin client for Kafka clusters: connect, negotiate versions, send a request to the broker that can answer it.
//!
//! What is always true: one connection a broker, one request under way on each; every wait has an end; an error names the
//! address, and for the first brokers where the address came from. It knows no verb: those build requests and read answers.
//!
//! | file | what |
//! | --- | --- |
//! | `peer.rs` | addresses and where they came from |
//! | `connection.rs` | a socket: frames, correlation ids, ApiVersions |
//! | `client.rs` | the cluster: brokers, coordinators, controller, retries |
//! | `error.rs` | Kafka's codes by name, with hints |
//! | `offsets.rs` | ends of partitions and offsets at times |
//! | `fetch.rs` | records by plain Fetch requests, aborted transactions left out |

mod client;
mod connection;
mod error;
mod fetch;
mod offsets;
mod peer;

pub(crate) use self::client::{Client, To, Topic, reach};
pub(crate) use self::error::{code_name, kafka_failure};
pub(crate) use self::fetch::{Fetched, Fetcher, Isolation, Part, oldest_times};
pub(crate) use self::offsets::{OffsetAt, Spot};

use std::future::Future;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;
use millpond::log::clock::Clock;

/// Text as requests carry it.
pub(crate) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// What `work` yields, or `None` if it takes longer than `limit`; it is cancelled then.
pub(crate) async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep(limit) => None,
    }
}
