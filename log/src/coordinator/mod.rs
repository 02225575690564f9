//! Coordinators: transactions, and groups with their committed offsets.
//!
//! Each is a pure core (event and `now` in, records and commands out) plus a shell that appends the records to an internal topic in
//! Kafka's own record formats, waits until they are durable, and only then takes the new state on and answers. Loading is replay through
//! the same core.

pub mod group;
pub(crate) mod log_io;
pub(crate) mod producer_ids;
pub(crate) mod runtime;
pub mod txn;

#[cfg(test)]
mod runtime_test;
