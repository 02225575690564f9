//! Errors shared by the crate.
