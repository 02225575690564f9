//! Typed reads of committed state.
