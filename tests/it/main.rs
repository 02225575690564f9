//! End to end: the `millpond` binary as a user starts it, killed as the world kills it.
//!
//! What is always true: every test has a data directory of its own and starts the binary that cargo built beside it;
//! nothing here calls the library. Where to look next: `crash.rs` (SIGKILL anywhere changes nothing), `bad_input.rs`
//! (one clear sentence, nothing lost), `command_line.rs` (formats, exit codes), `cluster_verbs.rs` `cluster_admin.rs`, `cluster_flow.rs` and `cluster_connect.rs` (the verbs for clusters, over the wire), `examples.rs` (the examples end and check themselves), `tidy.rs` (rules about the source).

#[cfg(feature = "sql")]
mod bad_input;
#[cfg(feature = "clients")]
mod cluster_admin;
#[cfg(feature = "clients")]
mod cluster_connect;
#[cfg(feature = "clients")]
mod cluster_flow;
#[cfg(feature = "clients")]
mod cluster_verbs;
#[cfg(feature = "sql")]
mod command_line;
#[cfg(feature = "sql")]
mod crash;
mod examples;
#[cfg(feature = "clients")]
mod node;
#[cfg_attr(
    not(feature = "sql"),
    allow(dead_code, reason = "the tests that kill need the demo")
)]
mod process;
#[cfg(feature = "clients")]
mod streams_reset;
#[cfg(all(feature = "clients", feature = "streams"))]
mod streams_reset_run;
mod tidy;
