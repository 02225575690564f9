//! Broker and topic settings under Kafka's names.
//!
//! Parsed and validated here, and only here: an unknown name is an error that suggests a near one, a value out of range an error that
//! says what is accepted. Pure: no files, no environment; `src/cli` reads those and calls `set`.

mod broker;
mod error;
mod groups;
mod parse;
mod suggest;
mod topic;

pub use broker::{BROKER_SETTINGS, BrokerConfig};
pub use error::ConfigError;
pub use groups::GroupConfig;
pub use suggest::nearest;
pub use topic::{TOPIC_SETTINGS, TopicSettings};

#[cfg(test)]
mod config_test;
