//! The broker and its clients, end to end, in one process: on a real disk in a temporary directory, and on a simulated one that loses power.
//!
//! One module a subject; `support.rs` has what they share. Simulations run on a paused clock and print their seed.

mod admin_wire;
mod administration;
mod configs;
mod consumer_group_migration;
mod consumer_groups;
mod full_disk;
mod group_expiry;
mod group_wire;
mod groups;
mod idempotence;
mod offsets;
mod old_protocol;
mod produce_fetch;
mod restart;
mod support;
mod topics;
mod transactions;
mod transactions_by_turns;
mod wire;
mod wire_consumer_groups;
mod wire_hostile;
mod wire_records;
mod wire_server;
mod wire_transactions;
mod wire_traps;
