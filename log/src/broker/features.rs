//! The features of the cluster and the levels they are finalized at (KIP-584).
//!
//! Always true: what is finalized is supported. Clients speak TV2 only if `transaction.version` is at 2, and the consumer group protocol only
//! if `group.version` is at 1.

use super::Broker;

/// A feature this software can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// Features, supported and in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// What could be.
    pub supported: Vec<SupportedFeature>,
    /// What is, by name.
    pub finalized: Vec<(&'static str, i16)>,
    /// Grows whenever `finalized` changes.
    pub epoch: i64,
}

/// Every feature, with the level a new cluster has it at: that of Kafka 4.3 (`metadata.version` 4.3-IV0 is 30).
const FEATURES: &[(SupportedFeature, i16)] = &[
    (feature("group.version", 0, 1), 1),
    (feature("kraft.version", 0, 1), 1),
    (feature("metadata.version", 7, 30), 30),
    (feature("transaction.version", 0, 2), 2),
];

const fn feature(name: &'static str, min: i16, max: i16) -> SupportedFeature {
    SupportedFeature { name, min, max }
}

impl Broker {
    /// What this broker can do and what is in force. Answered from memory.
    pub fn features(&self) -> Features {
        Features {
            supported: FEATURES.iter().map(|(feature, _)| *feature).collect(),
            finalized: FEATURES
                .iter()
                .map(|(feature, level)| (feature.name, *level))
                .collect(),
            epoch: 0,
        }
    }
}
