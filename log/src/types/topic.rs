//! Names and identities of topics and their partitions.
//!
//! Always true: a [`TopicName`] is legal as a Kafka topic and as the start of a directory name; a [`TopicId`] is printed
//! and parsed as Kafka does (URL base64), because it stands so in `partition.metadata`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::{base64, integer_newtype};
use crate::rng::Rng;

integer_newtype! {
    /// Number of a partition within its topic, from 0.
    PartitionId(i32)
}

/// Longest legal topic name, in bytes: leaves room for the partition number and a suffix in a 255-byte file name.
pub const MAX_TOPIC_NAME_LENGTH: usize = 249;

/// Why a text cannot name a topic.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidTopicName {
    /// Nothing given.
    #[error("topic name is empty")]
    Empty,
    /// `.` and `..` mean something else to a file system.
    #[error("topic name cannot be {0:?}")]
    Dots(String),
    /// More than [`MAX_TOPIC_NAME_LENGTH`] bytes.
    #[error("topic name has {length} bytes, at most {MAX_TOPIC_NAME_LENGTH} are allowed")]
    TooLong {
        /// Length found, in bytes.
        length: usize,
    },
    /// A character outside letters, digits, `.`, `_` and `-`.
    #[error(
        "topic name {name:?} contains {character:?}; only ASCII letters, digits, '.', '_' and '-' are allowed"
    )]
    Character {
        /// The name as given.
        name: String,
        /// The first character at fault.
        character: char,
    },
}

/// Name of a topic; legal by construction, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Checks Kafka's rule: 1 to 249 ASCII letters, digits, `.`, `_`, `-`; neither `.` nor `..`.
    pub fn new(name: &str) -> Result<TopicName, InvalidTopicName> {
        if name.is_empty() {
            return Err(InvalidTopicName::Empty);
        }
        if name == "." || name == ".." {
            return Err(InvalidTopicName::Dots(name.to_owned()));
        }
        if name.len() > MAX_TOPIC_NAME_LENGTH {
            return Err(InvalidTopicName::TooLong { length: name.len() });
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match name.chars().find(|&c| !legal(c)) {
            Some(character) => Err(InvalidTopicName::Character {
                name: name.to_owned(),
                character,
            }),
            None => Ok(TopicName(Arc::from(name))),
        }
    }

    /// Whether the node keeps records of its own here (`__millpond_…`), not those of clients: the SQL catalogue, for one.
    pub fn is_of_the_node(&self) -> bool {
        self.0.starts_with("__millpond_")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TopicName {
    type Error = InvalidTopicName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        TopicName::new(&name)
    }
}

impl TryFrom<&str> for TopicName {
    type Error = InvalidTopicName;

    fn try_from(name: &str) -> Result<Self, Self::Error> {
        TopicName::new(name)
    }
}

impl std::str::FromStr for TopicName {
    type Err = InvalidTopicName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        TopicName::new(name)
    }
}

impl From<TopicName> for String {
    fn from(name: TopicName) -> Self {
        name.0.to_string()
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Identity of a topic: a topic deleted and created again under the same name gets another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicId(Uuid);

/// A text that is not a topic id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a topic id (22 characters of URL base64)")]
pub struct InvalidTopicId(pub String);

impl TopicId {
    /// Kafka's "no topic id".
    pub const ZERO: TopicId = TopicId(Uuid::nil());

    /// Wraps an id read from a file or a request.
    pub const fn new(id: Uuid) -> TopicId {
        TopicId(id)
    }

    /// A fresh id. As in Kafka its text never starts with `-`, which command lines would take for a flag.
    pub fn random(rng: &dyn Rng) -> TopicId {
        loop {
            let id = TopicId(rng.uuid());
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    /// The id as a UUID.
    pub const fn get(self) -> Uuid {
        self.0
    }
}

impl std::str::FromStr for TopicId {
    type Err = InvalidTopicId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        base64::decode(text)
            .map(|bytes| TopicId(Uuid::from_bytes(bytes)))
            .ok_or_else(|| InvalidTopicId(text.to_owned()))
    }
}

impl TryFrom<String> for TopicId {
    type Error = InvalidTopicId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TopicId> for String {
    fn from(id: TopicId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(self.0.into_bytes()))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

/// One partition of one topic. Displayed as `topic-0`, which is also the name of its directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition within it.
    pub partition: PartitionId,
}

impl TopicPartition {
    /// The given partition of the given topic.
    pub fn new(topic: TopicName, partition: impl Into<PartitionId>) -> TopicPartition {
        TopicPartition {
            topic,
            partition: partition.into(),
        }
    }

    /// Reads the directory form `topic-0`: the number after the last `-`, written without sign or leading zeros.
    pub fn from_dir_name(name: &str) -> Option<TopicPartition> {
        let (topic, number) = name.rsplit_once('-')?;
        let partition: i32 = number.parse().ok()?;
        if partition < 0 || partition.to_string() != number {
            return None;
        }
        Some(TopicPartition {
            topic: TopicName::new(topic).ok()?,
            partition: PartitionId::new(partition),
        })
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
