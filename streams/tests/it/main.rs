//! The runtime on a real broker in a temporary directory, with RocksDB state, on threads of its own.

mod docs;
mod evolution;
mod exactly_once;
mod global_tables;
mod hooked_log;
mod joins;
mod lost_answers;
mod operations;
mod positions;
mod queries;
mod remote;
mod support;
mod table_joins;
mod windows;
mod word_count;
