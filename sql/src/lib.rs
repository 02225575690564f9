//! Streaming SQL on the millpond log.
