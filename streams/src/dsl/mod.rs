//! The typed DSL.
