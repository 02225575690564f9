//! Testing a topology without a broker, threads or time passing.
//!
//! `topology_test_driver.rs` runs all tasks (`driver_task.rs`) of a topology in memory; `test_topics.rs` are the typed ends to put records in and take
//! them out, `driver_stores.rs` looks into stores.
//! It is the same executor and the same state layers as the runtime's, on the in-memory store host.

mod driver_error;
mod driver_globals;
mod driver_options;
mod driver_queries;
mod driver_stores;
mod driver_task;
mod test_topics;
mod topology_test_driver;

pub use driver_error::DriverError;
pub use driver_options::DriverOptions;
pub use test_topics::{TestInputTopic, TestOutputTopic, TestRecord};
pub use topology_test_driver::TopologyTestDriver;
