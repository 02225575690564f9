//! Whose settings: the resources of DescribeConfigs, AlterConfigs and their kin, as the wire names them and as they are.

use super::{Broker, BrokerError, ErrorCode};
use crate::metadata::ConfigOwner;
use crate::types::TopicName;

/// Whose settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    /// A topic's.
    Topic(TopicName),
    /// This broker's.
    Broker,
    /// Those all brokers have unless they say otherwise.
    AllBrokers,
    /// A group's.
    Group(String),
    /// A client metrics subscription's (KIP-714).
    ClientMetrics(String),
}

/// Kinds of resources by Kafka's numbers.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

impl ConfigResource {
    /// Kafka's number of its kind, and its name; a broker's is its id, that of all brokers is empty.
    pub fn to_wire(&self, node_id: i32) -> (i8, String) {
        match self {
            Self::Topic(name) => (TOPIC, name.to_string()),
            Self::Broker => (BROKER, node_id.to_string()),
            Self::AllBrokers => (BROKER, String::new()),
            Self::Group(group) => (GROUP, group.clone()),
            Self::ClientMetrics(name) => (CLIENT_METRICS, name.clone()),
        }
    }

    /// Who the metadata files these settings under; none for a topic, whose are filed under its id.
    pub(super) fn owner(&self, node_id: i32) -> Option<ConfigOwner> {
        Some(match self {
            Self::Topic(_) => return None,
            Self::Broker => ConfigOwner::Broker(node_id),
            Self::AllBrokers => ConfigOwner::AllBrokers,
            Self::Group(group) => ConfigOwner::Group(group.clone()),
            Self::ClientMetrics(name) => ConfigOwner::ClientMetrics(name.clone()),
        })
    }
}

impl Broker {
    /// The resource of this kind and name. Errs with `InvalidRequest` (a kind there is none of, another broker, no name) and
    /// `InvalidTopicException`.
    pub fn config_resource(&self, kind: i8, name: &str) -> Result<ConfigResource, BrokerError> {
        let refused = |message: String| Err(BrokerError::new(ErrorCode::InvalidRequest, message));
        let named = |what: &str| match name {
            "" => Err(BrokerError::new(
                ErrorCode::InvalidRequest,
                format!("{what} has no name; name it"),
            )),
            name => Ok(name.to_owned()),
        };
        match kind {
            TOPIC => match TopicName::new(name) {
                Ok(name) => Ok(ConfigResource::Topic(name)),
                Err(wrong) => Err(BrokerError::new(
                    ErrorCode::InvalidTopicException,
                    wrong.to_string(),
                )),
            },
            BROKER if name.is_empty() => Ok(ConfigResource::AllBrokers),
            BROKER if name.parse() == Ok(self.node_id()) => Ok(ConfigResource::Broker),
            BROKER => refused(format!(
                "unexpected broker id {name:?}: expected {} or an empty name for all brokers",
                self.node_id()
            )),
            BROKER_LOGGER => refused(
                "log levels cannot be asked for or changed over the wire; start the broker with MILLPOND_LOG"
                    .to_owned(),
            ),
            GROUP => named("the group").map(ConfigResource::Group),
            CLIENT_METRICS => named("the client metrics subscription").map(ConfigResource::ClientMetrics),
            other => refused(format!("resource type {other} has no settings")),
        }
    }
}
