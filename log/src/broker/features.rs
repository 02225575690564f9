//! The features of the cluster and the levels they are finalized at (KIP-584).
//!
//! Always true: what is finalized is supported. Clients speak TV2 only if `transaction.version` is at 2; one that has not noticed yet that it went down is served
//! all the same, as in Kafka: each request says by its version which protocol it belongs to. The consumer group protocol is refused while
//! `group.version` is 0. The rules of going up and down are in `../metadata/features.rs`.

use super::{Broker, BrokerError, ErrorCode};
use crate::metadata::features::{GROUP_VERSION, SUPPORTED_FEATURES};

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
    /// What is, by name; those at 0 are off and not listed.
    pub finalized: Vec<(&'static str, i16)>,
    /// Grows whenever `finalized` changes: the last offset of the metadata.
    pub epoch: i64,
}

impl Broker {
    /// What this broker can do and what is in force. Answered from memory.
    pub fn features(&self) -> Features {
        let image = self.node().image();
        let supported = SUPPORTED_FEATURES.iter().map(|feature| SupportedFeature {
            name: feature.name,
            min: feature.min,
            max: feature.max,
        });
        let finalized = SUPPORTED_FEATURES
            .iter()
            .map(|feature| (feature.name, image.feature_level(feature.name)))
            .filter(|(_, level)| *level > 0);
        Features {
            supported: supported.collect(),
            finalized: finalized.collect(),
            epoch: image.applied_to().get() - 1,
        }
    }

    /// Errs with `UnsupportedVersion` while `group.version` is 0: there is no protocol of KIP-848 then. Classic members of a consumer group go on.
    pub(super) fn check_consumer_protocol(&self) -> Result<(), BrokerError> {
        if self.node().image().feature_level(GROUP_VERSION) >= 1 {
            return Ok(());
        }
        let message = "group.version is 0: the consumer group protocol is switched off; raise the feature, or use group.protocol=classic";
        Err(BrokerError::new(ErrorCode::UnsupportedVersion, message))
    }
}
