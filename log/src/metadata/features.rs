//! Feature levels of the cluster (KIP-584): which there are, which level holds, and when it may change. Pure.
//!
//! Always true: a level in the image lies inside the supported range of the build that wrote it; a level of 0 means "off" and is not listed as
//! finalized. The levels that say how metadata is written never go down: what is written at the higher one could not be read. Next: `record.rs` for the record, `broker/update_features.rs` for the request.

use super::image::MetadataImage;
use super::record::MetadataRecord;

/// A feature this build knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Lowest level supported.
    pub min: i16,
    /// Highest level supported.
    pub max: i16,
    /// Level of a new cluster.
    pub initial: i16,
}

/// `metadata.version` of Kafka 4.3 (4.3-IV0).
pub const METADATA_VERSION_LEVEL: i16 = 30;
/// Kafka's name of the feature that carries the layout of metadata.
pub const METADATA_VERSION: &str = "metadata.version";
/// Kafka's name of the feature that switches consumer groups of KIP-848 on.
pub const GROUP_VERSION: &str = "group.version";
/// Kafka's name of the feature that carries the protocol of transactions; 2 is KIP-890.
pub const TRANSACTION_VERSION: &str = "transaction.version";
/// Kafka's name of the feature that keeps the quorum's voters in the metadata log.
pub const KRAFT_VERSION: &str = "kraft.version";

/// Every feature, by name.
pub const SUPPORTED_FEATURES: &[SupportedFeature] = &[
    feature(GROUP_VERSION, 0, 1, 1),
    feature(KRAFT_VERSION, 0, 1, 1),
    feature(
        METADATA_VERSION,
        7,
        METADATA_VERSION_LEVEL,
        METADATA_VERSION_LEVEL,
    ),
    feature(TRANSACTION_VERSION, 0, 2, 2),
];

const fn feature(name: &'static str, min: i16, max: i16, initial: i16) -> SupportedFeature {
    SupportedFeature {
        name,
        min,
        max,
        initial,
    }
}

/// Which way a feature may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureUpgrade {
    /// Up only.
    Upgrade,
    /// Down, if nothing is lost by it.
    SafeDowngrade,
    /// Down, whatever is lost.
    UnsafeDowngrade,
}

impl FeatureUpgrade {
    /// By Kafka's number; none if it is unknown.
    pub fn from_wire(number: i8) -> Option<Self> {
        match number {
            1 => Some(Self::Upgrade),
            2 => Some(Self::SafeDowngrade),
            3 => Some(Self::UnsafeDowngrade),
            _ => None,
        }
    }
}

/// The records that found the features of a cluster.
pub(super) fn founding_records() -> impl Iterator<Item = MetadataRecord> {
    SUPPORTED_FEATURES.iter().map(|feature| MetadataRecord::Feature {
        name: feature.name.to_owned(),
        level: feature.initial,
    })
}

/// The record that takes a feature to `level`, none if it is there already; or why that cannot be, as a sentence.
pub fn update_record(
    image: &MetadataImage,
    name: &str,
    level: i16,
    upgrade: FeatureUpgrade,
) -> Result<Option<MetadataRecord>, String> {
    let refused = |reason: String| {
        Err(format!(
            "invalid update version {level} for feature {name}: {reason}"
        ))
    };
    let Some(supported) = SUPPORTED_FEATURES.iter().find(|feature| feature.name == name) else {
        let names: Vec<_> = SUPPORTED_FEATURES.iter().map(|feature| feature.name).collect();
        return refused(format!(
            "this node does not support the feature; it supports {}",
            names.join(", ")
        ));
    };
    if !(supported.min..=supported.max).contains(&level) {
        return refused(format!(
            "this node supports only versions {} to {}",
            supported.min, supported.max
        ));
    }
    let current = image.feature_level(name);
    if level < current && upgrade == FeatureUpgrade::Upgrade {
        return refused("set the upgrade type to safe or unsafe downgrade to go down".to_owned());
    }
    if level < current && matches!(name, METADATA_VERSION | KRAFT_VERSION) {
        return refused(format!(
            "it is at {current}, and a downgrade would lose metadata; keep this version"
        ));
    }
    if level > current && upgrade != FeatureUpgrade::Upgrade {
        return refused(
            "a downgrade cannot go to a newer version; set the upgrade type to upgrade".to_owned(),
        );
    }
    Ok((level != current).then(|| MetadataRecord::Feature {
        name: name.to_owned(),
        level,
    }))
}

#[cfg(test)]
#[path = "features_test.rs"]
mod features_test;
