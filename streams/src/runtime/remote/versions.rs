//! Which version of each request a broker speaks, and which protocol of transactions its cluster has finalised.

use std::collections::BTreeMap;

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use kafka_protocol::protocol::{Request, VersionRange};

/// The feature that says how transactions work; from level 2 on every transaction has an epoch of its own (KIP-890, "TV2").
const TRANSACTION_VERSION: &str = "transaction.version";

/// What a broker answered to ApiVersions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Versions {
    ranges: BTreeMap<i16, (i16, i16)>,
    transactions: i16,
}

impl Versions {
    pub(super) fn of_answer(answer: &ApiVersionsResponse) -> Versions {
        let ranges = answer.api_keys.iter();
        let feature = answer
            .finalized_features
            .iter()
            .find(|feature| feature.name.as_str() == TRANSACTION_VERSION);
        Versions {
            ranges: ranges
                .map(|api| (api.api_key, (api.min_version, api.max_version)))
                .collect(),
            transactions: feature.map_or(0, |feature| feature.max_version_level),
        }
    }

    /// The highest version of a request within `wanted` (both inclusive) that both sides know. Errs with a sentence.
    pub(super) fn choose<R: Request>(&self, wanted: (i16, i16)) -> Result<i16, String> {
        let (least, most) = wanted;
        let ours = R::VERSIONS.intersect(&VersionRange {
            min: least,
            max: most,
        });
        let name = || match ApiKey::try_from(R::KEY) {
            Ok(key) => format!("{key:?}"),
            Err(()) => format!("request {}", R::KEY),
        };
        let Some((min, max)) = self.ranges.get(&R::KEY).copied() else {
            return Err(format!("does not know {}", name()));
        };
        let both = ours.intersect(&VersionRange { min, max });
        match both.is_empty() {
            true => Err(format!(
                "speaks {} in versions {min} to {max}, needed is one of {} to {}",
                name(),
                ours.min,
                ours.max
            )),
            false => Ok(both.max),
        }
    }

    /// Whether the cluster has finalised TV2.
    pub(super) fn has_tv2(&self) -> bool {
        self.transactions >= 2
    }
}

#[cfg(test)]
#[path = "versions_test.rs"]
mod versions_test;
