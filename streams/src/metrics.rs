//! Counters of the runtime.
