//! Which APIs this broker serves, at which versions.
//!
//! Always true: a version is advertised only if it behaves fully. The one exception is Produce, advertised from 0 as Kafka does: older
//! librdkafka gives up compression otherwise (KAFKA-18659); versions 0 to 2 are refused. `api_test.rs` compares the table with Kafka 4.3's.
//! Where to look next: `../server/dispatch.rs`, one line per API.

use kafka_protocol::messages::ApiKey;

use super::legacy;

/// One API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedApi {
    /// Its key.
    pub key: ApiKey,
    /// Lowest version that is answered.
    pub min: i16,
    /// Highest version that is answered.
    pub max: i16,
}

const fn api(key: ApiKey, min: i16, max: i16) -> ServedApi {
    ServedApi { key, min, max }
}

/// Every API served, by key.
pub const SERVED: &[ServedApi] = &[
    api(ApiKey::Produce, 3, 13),
    api(ApiKey::Fetch, 4, 18),
    api(ApiKey::ListOffsets, 1, 10),
    api(ApiKey::Metadata, 0, 13),
    api(ApiKey::OffsetCommit, 0, 10),
    api(ApiKey::OffsetFetch, 1, 10),
    api(ApiKey::FindCoordinator, 0, 6),
    api(ApiKey::JoinGroup, 0, 9),
    api(ApiKey::Heartbeat, 0, 4),
    api(ApiKey::LeaveGroup, 0, 5),
    api(ApiKey::SyncGroup, 0, 5),
    api(ApiKey::DescribeGroups, 0, 6),
    api(ApiKey::ListGroups, 0, 5),
    api(ApiKey::ApiVersions, 0, 4),
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::DeleteTopics, 1, 6),
    api(ApiKey::DeleteRecords, 0, 2),
    api(ApiKey::InitProducerId, 0, 5),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4),
    api(ApiKey::AddPartitionsToTxn, 0, 5),
    api(ApiKey::AddOffsetsToTxn, 0, 4),
    api(ApiKey::EndTxn, 0, 5),
    api(ApiKey::WriteTxnMarkers, 1, 1),
    api(ApiKey::TxnOffsetCommit, 0, 5),
    api(ApiKey::DescribeAcls, 1, 3),
    api(ApiKey::CreateAcls, 1, 3),
    api(ApiKey::DeleteAcls, 1, 3),
    api(ApiKey::DescribeConfigs, 1, 4),
    api(ApiKey::AlterConfigs, 0, 2),
    api(ApiKey::AlterReplicaLogDirs, 1, 2),
    api(ApiKey::DescribeLogDirs, 1, 4),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::DeleteGroups, 0, 2),
    api(ApiKey::ElectLeaders, 0, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1),
    api(ApiKey::AlterPartitionReassignments, 0, 1),
    api(ApiKey::ListPartitionReassignments, 0, 0),
    api(ApiKey::OffsetDelete, 0, 0),
    api(ApiKey::DescribeQuorum, 0, 2),
    api(ApiKey::UpdateFeatures, 0, 2),
    api(ApiKey::DescribeCluster, 0, 2),
    api(ApiKey::DescribeProducers, 0, 0),
    api(ApiKey::UnregisterBroker, 0, 0),
    api(ApiKey::DescribeTransactions, 0, 0),
    api(ApiKey::ListTransactions, 0, 2),
    api(ApiKey::ConsumerGroupHeartbeat, 0, 1),
    api(ApiKey::ConsumerGroupDescribe, 0, 1),
    api(ApiKey::GetTelemetrySubscriptions, 0, 0),
    api(ApiKey::PushTelemetry, 0, 0),
    api(ApiKey::ListConfigResources, 0, 1),
    api(ApiKey::DescribeTopicPartitions, 0, 0),
    api(ApiKey::AddRaftVoter, 0, 0),
    api(ApiKey::RemoveRaftVoter, 0, 0),
];

impl ServedApi {
    /// The lowest version clients are told of.
    pub fn advertised_min(&self) -> i16 {
        match self.key {
            ApiKey::Produce => 0,
            key => legacy::floor(key).unwrap_or(self.min),
        }
    }

    /// The highest version clients are told of.
    pub fn advertised_max(&self) -> i16 {
        legacy::ceiling(self.key).unwrap_or(self.max)
    }
}

/// What there is for a key and version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is served.
    Served(ApiKey),
    /// The API is served at other versions.
    UnsupportedVersion(ApiKey),
    /// No such API here.
    UnknownKey,
}

/// Finds the API of a request.
pub fn lookup(key: i16, version: i16) -> Lookup {
    match SERVED.iter().find(|api| api.key as i16 == key) {
        Some(api) if (api.min..=api.max).contains(&version) => Lookup::Served(api.key),
        Some(api) if legacy::stands_for(api.key, version).is_some() => Lookup::Served(api.key),
        Some(api) => Lookup::UnsupportedVersion(api.key),
        None => Lookup::UnknownKey,
    }
}

#[cfg(test)]
#[path = "api_test.rs"]
mod api_test;
