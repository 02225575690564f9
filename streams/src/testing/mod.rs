//! Testing a topology without a broker, threads or time passing.
//!
//! `topology_test_driver.rs` runs all tasks of a topology in memory; `test_topics.rs` are the typed ends to put records in and take them out.
//! It is the same executor and the same state layers as the runtime's, on the in-memory store host.

mod test_topics;
mod topology_test_driver;

pub use test_topics::{TestInputTopic, TestOutputTopic, TestRecord};
pub use topology_test_driver::{DriverError, DriverOptions, TopologyTestDriver};
