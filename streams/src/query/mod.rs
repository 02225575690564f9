//! Typed reads of committed state, over all tasks of an application, from any thread: Kafka Streams' interactive queries, for the tasks of this process.
//!
//! A view sees committed data only: what a transaction wrote appears when it is committed, all of it at once per task. Tasks commit on their own,
//! so two tasks may be one commit apart. While a task is being opened its part is missing, and reads of the store are refused, never incomplete;
//! the error tells whether the task was not opened yet, is being restored, or is not here.
//! Raw readers for SQL: [`StoreRegistry::readers`]. How the layers are read: `state/reader.rs`.
//! Next: `view.rs` (keys), `windows.rs`, `versions.rs` for what can be asked; `registry.rs` for what there is.
//!
//! ```
//! use std::time::Duration;
//! use millpond_streams::dsl::{Consumed, Materialized, StreamsBuilder};
//! use millpond_streams::testing::TopologyTestDriver;
//!
//! let builder = StreamsBuilder::new();
//! let versioned = Materialized::default().versioned(Duration::from_secs(3600));
//! builder.table_with::<String, i64>("price-list", "prices", Consumed::default(), versioned);
//! let mut driver = TopologyTestDriver::new(&builder.build()?)?;
//! let list = driver.input::<String, i64>("price-list");
//! for (time, item, price) in [(0, "tea", 3), (10, "tea", 4), (20, "coffee", 5)] {
//!     driver.pipe(&list, item.to_owned(), price, time)?;
//! }
//! // A running application gives the same view: `StreamsHandle::store`.
//! let prices = driver.query::<String, i64>("prices")?;
//! assert_eq!(prices.get(&"tea".to_owned())?, Some(4));
//! assert_eq!(prices.reverse_all()?, [("tea".to_owned(), 4), ("coffee".to_owned(), 5)]);
//! assert_eq!(prices.get_as_of(&"tea".to_owned(), 5)?.map(|found| found.value), Some(3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod registry;
mod versions;
mod view;
mod windows;

pub use error::QueryError;
pub use registry::{StorePart, StoreRegistry};
pub use versions::VersionedRecord;
pub use view::StoreView;
pub use windows::WindowEntry;

#[cfg(test)]
mod query_test;
