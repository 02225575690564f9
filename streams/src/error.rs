//! Errors of the streams crate.
