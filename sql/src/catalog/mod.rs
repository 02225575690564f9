//! What SQL names mean: streams, views and materialised views, kept in a compacted topic.
//!
//! Always true: names are unique over all kinds; what the memory holds was written to the topic first; replaying the topic
//! gives the same catalogue. `definition.rs` holds the records, `sql_type.rs` the column types, `model.rs` the catalogue
//! in memory, `state_layout.rs` how a view's groups were stored when it was made, `topic.rs` the topic `__millpond_catalog`,
//! `topic_table.rs` a topic seen as a table.

mod definition;
mod model;
mod sql_type;
mod state_layout;
mod topic;
mod topic_table;

pub use definition::{
    CatalogRecord, ColumnDefinition, Emit, Format, MaterializedViewDefinition, StoreDefinition,
    StreamDefinition, ViewDefinition, WatermarkDefinition,
};
pub use model::{Catalog, Entry};
pub use sql_type::SqlType;
pub use state_layout::{AggregateLayout, StateLayout, WindowLayout, layout_type};
pub use topic::{CATALOG_TOPIC, CatalogTopic};
pub use topic_table::{TopicTable, Upserts};

#[cfg(test)]
mod catalog_test;
