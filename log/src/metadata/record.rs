//! What the metadata log holds, one change a record.
//!
//! Framed and laid out as Kafka's metadata records are (frame version, API key, version, flexible body), with one difference: settings of
//! a topic name it by id, never by name. A topic's name, its partitions and its settings are separate records; those of one topic
//! travel in one batch and so take effect together. Records once written are read for ever: new fields get new tags or versions.

use bytes::Bytes;
use uuid::Uuid;

use crate::codec::{CodecError, Reader, Writer};
use crate::types::{LeaderEpoch, PartitionId, TopicId, TopicName};

/// One change to the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataRecord {
    /// The cluster was founded.
    Cluster {
        /// Its id, for ever.
        cluster_id: Uuid,
    },
    /// A topic exists.
    Topic {
        /// Its name.
        name: TopicName,
        /// Its id.
        id: TopicId,
    },
    /// A partition exists, or who serves it changed.
    Partition(PartitionRecord),
    /// A setting of a topic was set (or removed: none).
    TopicConfig {
        /// Whose.
        topic: TopicId,
        /// Kafka's name of the setting.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// A setting of a broker, a group or a client metrics subscription was set (or removed: none).
    Config {
        /// Whose.
        owner: ConfigOwner,
        /// Kafka's name of the setting.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// A feature of the cluster is at this level from now on.
    Feature {
        /// Kafka's name of it.
        name: String,
        /// Its level; 0 is off.
        level: i16,
    },
    /// A topic is gone, with all its partitions and settings.
    RemoveTopic {
        /// Which.
        id: TopicId,
    },
    /// Producer ids below `next_producer_id` have been given out.
    ProducerIds {
        /// The broker that took the block.
        broker_id: i32,
        /// First id not given out.
        next_producer_id: i64,
    },
}

/// Who has settings besides topics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigOwner {
    /// All brokers together: the default each of them may override.
    AllBrokers,
    /// One broker.
    Broker(i32),
    /// A group.
    Group(String),
    /// A client metrics subscription (KIP-714).
    ClientMetrics(String),
}

/// A partition, apart from its topic's name and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// Whose.
    pub topic: TopicId,
    /// Which.
    pub partition: PartitionId,
    /// Brokers that hold it, the preferred one first.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// The one that leads.
    pub leader: i32,
    /// Term of the leader.
    pub leader_epoch: LeaderEpoch,
}

const FRAME_VERSION: u32 = 1;
const TOPIC: u32 = 2;
const PARTITION: u32 = 3;
const CONFIG: u32 = 4;
const REMOVE_TOPIC: u32 = 9;
const FEATURE: u32 = 12;
const PRODUCER_IDS: u32 = 15;
/// Kafka keeps the cluster id in a file; here it is a record, beyond Kafka's numbers.
const CLUSTER: u32 = 10_000;

const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
const CLIENT_METRICS_RESOURCE: i8 = 16;
const GROUP_RESOURCE: i8 = 32;

impl ConfigOwner {
    /// Kafka's resource type and name; all brokers together have the empty name.
    fn to_resource(&self) -> (i8, String) {
        match self {
            Self::AllBrokers => (BROKER_RESOURCE, String::new()),
            Self::Broker(id) => (BROKER_RESOURCE, id.to_string()),
            Self::Group(group) => (GROUP_RESOURCE, group.clone()),
            Self::ClientMetrics(name) => (CLIENT_METRICS_RESOURCE, name.clone()),
        }
    }

    fn from_resource(resource: i8, name: &str) -> Result<Self, CodecError> {
        Ok(match resource {
            BROKER_RESOURCE if name.is_empty() => Self::AllBrokers,
            BROKER_RESOURCE => Self::Broker(name.parse().map_err(|_| CodecError::Unexpected {
                what: "broker id of length",
                value: name.len() as i64,
            })?),
            GROUP_RESOURCE => Self::Group(name.to_owned()),
            CLIENT_METRICS_RESOURCE => Self::ClientMetrics(name.to_owned()),
            _ => {
                return Err(CodecError::Unexpected {
                    what: "config resource",
                    value: resource.into(),
                });
            }
        })
    }
}

impl MetadataRecord {
    /// The bytes of a record's value.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        let mut frame = |api_key: u32| {
            writer.uvarint(FRAME_VERSION).uvarint(api_key).uvarint(0);
        };
        match self {
            Self::Cluster { cluster_id } => {
                frame(CLUSTER);
                writer.uuid(*cluster_id);
            }
            Self::Topic { name, id } => {
                frame(TOPIC);
                writer.compact_string(name.as_str()).uuid(id.get());
            }
            Self::Partition(partition) => {
                frame(PARTITION);
                writer
                    .i32(partition.partition.get())
                    .uuid(partition.topic.get())
                    .compact_i32s(&partition.replicas)
                    .compact_i32s(&partition.isr)
                    .compact_i32s(&[])
                    .compact_i32s(&[])
                    .i32(partition.leader)
                    .i32(partition.leader_epoch.get())
                    .i32(0);
            }
            Self::TopicConfig { topic, name, value } => {
                frame(CONFIG);
                writer
                    .i8(TOPIC_RESOURCE)
                    .compact_string(&topic.to_string())
                    .compact_string(name)
                    .compact_nullable_string(value.as_deref());
            }
            Self::Config { owner, name, value } => {
                frame(CONFIG);
                let (resource, owner) = owner.to_resource();
                writer
                    .i8(resource)
                    .compact_string(&owner)
                    .compact_string(name)
                    .compact_nullable_string(value.as_deref());
            }
            Self::Feature { name, level } => {
                frame(FEATURE);
                writer.compact_string(name).i16(*level);
            }
            Self::RemoveTopic { id } => {
                frame(REMOVE_TOPIC);
                writer.uuid(id.get());
            }
            Self::ProducerIds {
                broker_id,
                next_producer_id,
            } => {
                frame(PRODUCER_IDS);
                writer.i32(*broker_id).i64(-1).i64(*next_producer_id);
            }
        }
        writer.tagged(&[]).finish()
    }

    /// The record of these bytes. Errs on a record of a kind or version this build does not know: metadata is never guessed.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let frame = reader.uvarint()?;
        if frame != FRAME_VERSION {
            return Err(CodecError::Unexpected {
                what: "metadata frame version",
                value: frame.into(),
            });
        }
        let api_key = reader.uvarint()?;
        let version = reader.uvarint()?;
        if version != 0 {
            return Err(CodecError::Unexpected {
                what: "metadata record version",
                value: version.into(),
            });
        }
        let record = match api_key {
            CLUSTER => Self::Cluster {
                cluster_id: reader.uuid()?,
            },
            TOPIC => {
                let name = reader.compact_string()?;
                let what = "topic name of length";
                let name = TopicName::new(name).map_err(|_| CodecError::Unexpected {
                    what,
                    value: name.len() as i64,
                })?;
                Self::Topic {
                    name,
                    id: TopicId::new(reader.uuid()?),
                }
            }
            PARTITION => {
                let partition = PartitionId::new(reader.i32()?);
                let topic = TopicId::new(reader.uuid()?);
                let replicas = reader.compact_i32s()?;
                let isr = reader.compact_i32s()?;
                let (_removing, _adding) = (reader.compact_i32s()?, reader.compact_i32s()?);
                let leader = reader.i32()?;
                let leader_epoch = LeaderEpoch::new(reader.i32()?);
                let _partition_epoch = reader.i32()?;
                Self::Partition(PartitionRecord {
                    topic,
                    partition,
                    replicas,
                    isr,
                    leader,
                    leader_epoch,
                })
            }
            CONFIG => {
                let resource = reader.i8()?;
                let owner = reader.compact_string()?;
                let name = reader.compact_string()?.to_owned();
                let value = reader.compact_nullable_string()?.map(str::to_owned);
                if resource == TOPIC_RESOURCE {
                    let what = "topic id of length";
                    let topic = owner.parse().map_err(|_| CodecError::Unexpected {
                        what,
                        value: owner.len() as i64,
                    })?;
                    Self::TopicConfig { topic, name, value }
                } else {
                    let owner = ConfigOwner::from_resource(resource, owner)?;
                    Self::Config { owner, name, value }
                }
            }
            FEATURE => Self::Feature {
                name: reader.compact_string()?.to_owned(),
                level: reader.i16()?,
            },
            REMOVE_TOPIC => Self::RemoveTopic {
                id: TopicId::new(reader.uuid()?),
            },
            PRODUCER_IDS => {
                let broker_id = reader.i32()?;
                let _broker_epoch = reader.i64()?;
                Self::ProducerIds {
                    broker_id,
                    next_producer_id: reader.i64()?,
                }
            }
            unknown => {
                return Err(CodecError::Unexpected {
                    what: "metadata record kind",
                    value: unknown.into(),
                });
            }
        };
        reader.tagged(|_, _| Ok(()))?;
        Ok(record)
    }
}
