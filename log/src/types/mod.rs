//! The words of the log as types: offsets, epochs, names, producer identities. Values only, no I/O.
//!
//! Always true: an identifier of one kind cannot be passed where another is meant, and a [`TopicName`] that exists
//! obeys Kafka's naming rule. Order of the positions of a partition, everywhere in this crate:
//! `log_start_offset ≤ last_stable_offset ≤ high_watermark ≤ log_end_offset`.
//!
//! Next: [`crate::record`] for the bytes these values travel in.

mod base64;
mod group;
mod offset;
mod producer;
mod topic;
mod transaction_version;

pub use group::{GroupId, GroupInstanceId, MemberId, TransactionalId};
pub use offset::{LeaderEpoch, Offset};
pub use producer::{ProducerEpoch, ProducerId, Sequence};
pub use topic::{
    InvalidTopicId, InvalidTopicName, MAX_TOPIC_NAME_LENGTH, PartitionId, TopicId, TopicName, TopicPartition,
};
pub use transaction_version::TransactionVersion;

/// Milliseconds since 1970-01-01T00:00:00Z; `-1` where Kafka means "no timestamp".
pub type Timestamp = i64;

/// Kafka's "no timestamp".
pub const NO_TIMESTAMP: Timestamp = -1;

/// A newtype over an integer: ordered, hashable, displayed as the bare number.
macro_rules! integer_newtype {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the raw number as it stands in Kafka's formats.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The raw number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl From<$name> for $inner {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}
pub(crate) use integer_newtype;

#[cfg(test)]
mod types_test;
