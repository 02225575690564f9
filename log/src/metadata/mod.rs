//! Cluster metadata: a state machine applied from its own log.
//!
//! `record.rs` what the log holds · `image.rs` the state, as persistent maps · `delta.rs` what a batch changed · `state_machine.rs` records →
//! image, live and at replay · `features.rs` feature levels · `limits.rs` every cap. These are pure; `manager.rs` owns the log. Ready to be put under a quorum: nothing here knows who decides that a
//! record is committed.

mod delta;
pub mod features;
mod image;
pub mod limits;
mod manager;
mod record;
mod state_machine;

pub use delta::MetadataDelta;
pub use image::{MetadataImage, PartitionImage, TopicImage};
pub use manager::METADATA_TOPIC;
pub(crate) use manager::MetadataManager;
pub use record::{ConfigOwner, MetadataRecord, PartitionRecord};
pub use state_machine::ApplyError;

#[cfg(test)]
mod metadata_test;
