//! Kafka Streams' own answers, replayed: `recorded/` holds what its TopologyTestDriver said to topologies fed with seeded inputs, `topologies/` the same
//! topologies in our DSL.
//!
//! Always true: every file in `recorded/` has a topology here (or a plan in its head, built by `plan/`) and the other way round; nothing here needs Java.
//! `recording.rs` reads a file, `replay.rs` runs one of its cases over our driver, `matrix.rs` says in how many ways, `checks.rs` compares. The recorder is in
//! `java/`, run by `record`; see `README.md`.

mod checks;
mod formats;
mod matrix;
mod plan;
mod recording;
mod replay;
mod topologies;
