//! The log behind a socket: the same requests and the same jobs on a log in this process, on a broker served on loopback, and on a cluster.
//!
//! `MILLPOND_TEST_KAFKA=HOST:PORT cargo test -p millpond-streams --test it remote` runs them against a cluster too (Apache Kafka, say); it gets topics and
//! groups with names of this run's own. Begin with `places.rs`.

mod brokers_by_script;
mod claims;
mod contract;
#[allow(dead_code, reason = "shared with the crash tests; not all of it is used here")]
mod cut_proxy;
mod cuts;
mod log_io;
mod lost_commits;
mod places;
mod restarts;
mod rules;
mod same_job;
mod scripted;
mod unreachable;
