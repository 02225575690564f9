//! A record on its way to a topic.

use bytes::Bytes;

use crate::record::Header;
use crate::types::{PartitionId, Timestamp, TopicName};

/// What to write where. Without a partition, the key decides; without a key, records fill one partition's batch after another's.
///
/// ```
/// use millpond_log::client::ProducerRecord;
/// use millpond_log::types::TopicName;
///
/// let topic = TopicName::new("orders")?;
/// let record = ProducerRecord::new(&topic).key("42").value(r#"{"total": 9.5}"#);
/// assert!(record.partition.is_none());
/// # Ok::<(), millpond_log::types::InvalidTopicName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerRecord {
    /// The topic.
    pub topic: TopicName,
    /// The partition; none leaves it to the key.
    pub partition: Option<PartitionId>,
    /// The key; none is a null key.
    pub key: Option<Bytes>,
    /// The value; none is a null value, which on a compacted topic deletes the key.
    pub value: Option<Bytes>,
    /// Milliseconds since the epoch; none takes the time of `send`.
    pub timestamp: Option<Timestamp>,
    /// Headers, in order.
    pub headers: Vec<Header>,
}

impl ProducerRecord {
    /// A record with null key and value.
    pub fn new(topic: &TopicName) -> Self {
        Self {
            topic: topic.clone(),
            partition: None,
            key: None,
            value: None,
            timestamp: None,
            headers: Vec::new(),
        }
    }

    /// With this key.
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With this value.
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// To this partition.
    pub fn partition(mut self, partition: impl Into<PartitionId>) -> Self {
        self.partition = Some(partition.into());
        self
    }

    /// At this time.
    pub fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// With one more header.
    pub fn header(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header::new(key, value));
        self
    }

    /// Upper bound of what it takes in a batch.
    pub(super) fn size_bytes(&self) -> usize {
        const FRAMING: usize = 32;
        let part = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let header = |header: &Header| 10 + header.key.len() + header.value.as_ref().map_or(0, Bytes::len);
        FRAMING + part(&self.key) + part(&self.value) + self.headers.iter().map(header).sum::<usize>()
    }
}
