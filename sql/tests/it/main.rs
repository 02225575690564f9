//! The crate from outside: statements on an embedded broker, compared with plain batch queries.

mod node;
mod script;
