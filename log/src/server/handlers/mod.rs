//! One file per Kafka API: wire struct in, typed `Broker` call, wire struct out.
//!
//! Always true: nothing is decided here that an embedded client would not meet too. Shared translations are in `wire.rs`.

pub(super) mod api_versions;
pub(super) mod fetch;
pub(super) mod list_offsets;
pub(super) mod metadata;
pub(super) mod produce;
mod txn_codes;
pub(super) mod wire;
