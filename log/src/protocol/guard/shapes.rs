//! The shapes of requests: which fields, at which versions, of what kind. Facts of the protocol, from Kafka 4.3's message definitions.
//!
//! One line a request, fields in wire order; the number of an `Array` is the memory one decoded element takes, rounded up. Where to look next:
//! `mod.rs`, which walks them.

use kafka_protocol::messages::ApiKey;

use super::shape::Kind::{Array, Bytes, Fixed, FixedArray, NullableStruct, Struct, Text, TextArray};
use super::shape::{Field, MAX, NEVER, Shape, field, shape, tagged};

/// Every request of a client, by key.
#[rustfmt::skip]
pub(super) const REQUESTS: &[Shape] = &[
    shape(ApiKey::Produce, 9, &[field(3, MAX, Text), field(0, MAX, Fixed(2)), field(0, MAX, Fixed(4)), field(0, MAX, Array(104, &[field(0, 12, Text), field(13, MAX, Fixed(16)), field(0, MAX, Array(72, &[field(0, MAX, Fixed(4)), field(0, MAX, Bytes)]))]))]),
    shape(ApiKey::Fetch, 12, &[tagged(0, 12, MAX, Text), field(0, 14, Fixed(4)), tagged(1, 15, MAX, Struct(&[field(15, MAX, Fixed(4)), field(15, MAX, Fixed(8))])), field(0, MAX, Fixed(4)), field(0, MAX, Fixed(4)), field(3, MAX, Fixed(4)), field(4, MAX, Fixed(1)), field(7, MAX, Fixed(4)), field(7, MAX, Fixed(4)), field(0, MAX, Array(104, &[field(0, 12, Text), field(13, MAX, Fixed(16)), field(0, MAX, Array(96, &[field(0, MAX, Fixed(4)), field(9, MAX, Fixed(4)), field(0, MAX, Fixed(8)), field(12, MAX, Fixed(4)), field(5, MAX, Fixed(8)), field(0, MAX, Fixed(4)), tagged(0, 17, MAX, Fixed(16)), tagged(1, 18, MAX, Fixed(8))]))])), field(7, MAX, Array(104, &[field(7, 12, Text), field(13, MAX, Fixed(16)), field(7, MAX, FixedArray(4))])), field(11, MAX, Text)]),
    shape(ApiKey::ListOffsets, 6, &[field(0, MAX, Fixed(4)), field(2, MAX, Fixed(1)), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, Array(48, &[field(0, MAX, Fixed(4)), field(4, MAX, Fixed(4)), field(0, MAX, Fixed(8))]))])), field(10, MAX, Fixed(4))]),
    shape(ApiKey::Metadata, 9, &[field(0, MAX, Array(80, &[field(10, MAX, Fixed(16)), field(0, MAX, Text)])), field(4, MAX, Fixed(1)), field(8, 10, Fixed(1)), field(8, MAX, Fixed(1))]),
    shape(ApiKey::OffsetCommit, 8, &[field(0, MAX, Text), field(1, MAX, Fixed(4)), field(1, MAX, Text), field(7, MAX, Text), field(2, 4, Fixed(8)), field(0, MAX, Array(104, &[field(0, 9, Text), field(10, MAX, Fixed(16)), field(0, MAX, Array(88, &[field(0, MAX, Fixed(4)), field(0, MAX, Fixed(8)), field(1, 1, Fixed(8)), field(6, MAX, Fixed(4)), field(0, MAX, Text)]))]))]),
    shape(ApiKey::OffsetFetch, 6, &[field(0, 7, Text), field(0, 7, Array(88, &[field(0, 7, Text), field(0, 7, FixedArray(4))])), field(8, MAX, Array(136, &[field(8, MAX, Text), field(9, MAX, Text), field(9, MAX, Fixed(4)), field(8, MAX, Array(104, &[field(8, 9, Text), field(10, MAX, Fixed(16)), field(8, MAX, FixedArray(4))]))])), field(7, MAX, Fixed(1))]),
    shape(ApiKey::FindCoordinator, 3, &[field(0, 3, Text), field(1, MAX, Fixed(1)), field(4, MAX, TextArray)]),
    shape(ApiKey::JoinGroup, 6, &[field(0, MAX, Text), field(0, MAX, Fixed(4)), field(1, MAX, Fixed(4)), field(0, MAX, Text), field(5, MAX, Text), field(0, MAX, Text), field(0, MAX, Array(104, &[field(0, MAX, Text), field(0, MAX, Bytes)])), field(8, MAX, Text)]),
    shape(ApiKey::Heartbeat, 4, &[field(0, MAX, Text), field(0, MAX, Fixed(4)), field(0, MAX, Text), field(3, MAX, Text)]),
    shape(ApiKey::LeaveGroup, 4, &[field(0, MAX, Text), field(0, 2, Text), field(3, MAX, Array(144, &[field(3, MAX, Text), field(3, MAX, Text), field(5, MAX, Text)]))]),
    shape(ApiKey::SyncGroup, 4, &[field(0, MAX, Text), field(0, MAX, Fixed(4)), field(0, MAX, Text), field(3, MAX, Text), field(5, MAX, Text), field(5, MAX, Text), field(0, MAX, Array(104, &[field(0, MAX, Text), field(0, MAX, Bytes)]))]),
    shape(ApiKey::DescribeGroups, 5, &[field(0, MAX, TextArray), field(3, MAX, Fixed(1))]),
    shape(ApiKey::ListGroups, 3, &[field(4, MAX, TextArray), field(5, MAX, TextArray)]),
    shape(ApiKey::SaslHandshake, NEVER, &[field(0, MAX, Text)]),
    shape(ApiKey::ApiVersions, 3, &[field(3, MAX, Text), field(3, MAX, Text)]),
    shape(ApiKey::CreateTopics, 5, &[field(0, MAX, Array(128, &[field(0, MAX, Text), field(0, MAX, Fixed(4)), field(0, MAX, Fixed(2)), field(0, MAX, Array(56, &[field(0, MAX, Fixed(4)), field(0, MAX, FixedArray(4))])), field(0, MAX, Array(104, &[field(0, MAX, Text), field(0, MAX, Text)]))])), field(0, MAX, Fixed(4)), field(1, MAX, Fixed(1))]),
    shape(ApiKey::DeleteTopics, 4, &[field(6, MAX, Array(80, &[field(6, MAX, Text), field(6, MAX, Fixed(16))])), field(0, 5, TextArray), field(0, MAX, Fixed(4))]),
    shape(ApiKey::DeleteRecords, 2, &[field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, Array(40, &[field(0, MAX, Fixed(4)), field(0, MAX, Fixed(8))]))])), field(0, MAX, Fixed(4))]),
    shape(ApiKey::InitProducerId, 2, &[field(0, MAX, Text), field(0, MAX, Fixed(4)), field(3, MAX, Fixed(8)), field(3, MAX, Fixed(2)), field(6, MAX, Fixed(1)), field(6, MAX, Fixed(1))]),
    shape(ApiKey::OffsetForLeaderEpoch, 4, &[field(3, MAX, Fixed(4)), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, Array(48, &[field(0, MAX, Fixed(4)), field(2, MAX, Fixed(4)), field(0, MAX, Fixed(4))]))]))]),
    shape(ApiKey::AddPartitionsToTxn, 3, &[field(4, MAX, Array(112, &[field(4, MAX, Text), field(4, MAX, Fixed(8)), field(4, MAX, Fixed(2)), field(4, MAX, Fixed(1)), field(4, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, FixedArray(4))]))])), field(0, 3, Text), field(0, 3, Fixed(8)), field(0, 3, Fixed(2)), field(0, 3, Array(88, &[field(0, MAX, Text), field(0, MAX, FixedArray(4))]))]),
    shape(ApiKey::AddOffsetsToTxn, 3, &[field(0, MAX, Text), field(0, MAX, Fixed(8)), field(0, MAX, Fixed(2)), field(0, MAX, Text)]),
    shape(ApiKey::EndTxn, 3, &[field(0, MAX, Text), field(0, MAX, Fixed(8)), field(0, MAX, Fixed(2)), field(0, MAX, Fixed(1))]),
    shape(ApiKey::WriteTxnMarkers, 1, &[field(0, MAX, Array(88, &[field(0, MAX, Fixed(8)), field(0, MAX, Fixed(2)), field(0, MAX, Fixed(1)), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, FixedArray(4))])), field(0, MAX, Fixed(4)), field(2, MAX, Fixed(1))]))]),
    shape(ApiKey::TxnOffsetCommit, 3, &[field(0, MAX, Text), field(0, MAX, Text), field(0, MAX, Fixed(8)), field(0, MAX, Fixed(2)), field(3, MAX, Fixed(4)), field(3, MAX, Text), field(3, MAX, Text), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, Array(88, &[field(0, MAX, Fixed(4)), field(0, MAX, Fixed(8)), field(2, MAX, Fixed(4)), field(0, MAX, Text)]))]))]),
    shape(ApiKey::DescribeAcls, 2, &[field(0, MAX, Fixed(1)), field(0, MAX, Text), field(1, MAX, Fixed(1)), field(0, MAX, Text), field(0, MAX, Text), field(0, MAX, Fixed(1)), field(0, MAX, Fixed(1))]),
    shape(ApiKey::CreateAcls, 2, &[field(0, MAX, Array(176, &[field(0, MAX, Fixed(1)), field(0, MAX, Text), field(1, MAX, Fixed(1)), field(0, MAX, Text), field(0, MAX, Text), field(0, MAX, Fixed(1)), field(0, MAX, Fixed(1))]))]),
    shape(ApiKey::DeleteAcls, 2, &[field(0, MAX, Array(176, &[field(0, MAX, Fixed(1)), field(0, MAX, Text), field(1, MAX, Fixed(1)), field(0, MAX, Text), field(0, MAX, Text), field(0, MAX, Fixed(1)), field(0, MAX, Fixed(1))]))]),
    shape(ApiKey::DescribeConfigs, 4, &[field(0, MAX, Array(96, &[field(0, MAX, Fixed(1)), field(0, MAX, Text), field(0, MAX, TextArray)])), field(1, MAX, Fixed(1)), field(3, MAX, Fixed(1))]),
    shape(ApiKey::AlterConfigs, 2, &[field(0, MAX, Array(96, &[field(0, MAX, Fixed(1)), field(0, MAX, Text), field(0, MAX, Array(104, &[field(0, MAX, Text), field(0, MAX, Text)]))])), field(0, MAX, Fixed(1))]),
    shape(ApiKey::AlterReplicaLogDirs, 2, &[field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, FixedArray(4))]))]))]),
    shape(ApiKey::DescribeLogDirs, 2, &[field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, FixedArray(4))]))]),
    shape(ApiKey::SaslAuthenticate, 2, &[field(0, MAX, Bytes)]),
    shape(ApiKey::CreatePartitions, 2, &[field(0, MAX, Array(96, &[field(0, MAX, Text), field(0, MAX, Fixed(4)), field(0, MAX, Array(48, &[field(0, MAX, FixedArray(4))]))])), field(0, MAX, Fixed(4)), field(0, MAX, Fixed(1))]),
    shape(ApiKey::DeleteGroups, 2, &[field(0, MAX, TextArray)]),
    shape(ApiKey::ElectLeaders, 2, &[field(1, MAX, Fixed(1)), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, FixedArray(4))])), field(0, MAX, Fixed(4))]),
    shape(ApiKey::IncrementalAlterConfigs, 1, &[field(0, MAX, Array(96, &[field(0, MAX, Fixed(1)), field(0, MAX, Text), field(0, MAX, Array(112, &[field(0, MAX, Text), field(0, MAX, Fixed(1)), field(0, MAX, Text)]))])), field(0, MAX, Fixed(1))]),
    shape(ApiKey::AlterPartitionReassignments, 0, &[field(0, MAX, Fixed(4)), field(1, MAX, Fixed(1)), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, Array(56, &[field(0, MAX, Fixed(4)), field(0, MAX, FixedArray(4))]))]))]),
    shape(ApiKey::ListPartitionReassignments, 0, &[field(0, MAX, Fixed(4)), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, FixedArray(4))]))]),
    shape(ApiKey::OffsetDelete, NEVER, &[field(0, MAX, Text), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, Array(32, &[field(0, MAX, Fixed(4))]))]))]),
    shape(ApiKey::DescribeClientQuotas, 1, &[field(0, MAX, Array(112, &[field(0, MAX, Text), field(0, MAX, Fixed(1)), field(0, MAX, Text)])), field(0, MAX, Fixed(1))]),
    shape(ApiKey::AlterClientQuotas, 1, &[field(0, MAX, Array(72, &[field(0, MAX, Array(104, &[field(0, MAX, Text), field(0, MAX, Text)])), field(0, MAX, Array(80, &[field(0, MAX, Text), field(0, MAX, Fixed(8)), field(0, MAX, Fixed(1))]))])), field(0, MAX, Fixed(1))]),
    shape(ApiKey::DescribeUserScramCredentials, 0, &[field(0, MAX, Array(64, &[field(0, MAX, Text)]))]),
    shape(ApiKey::AlterUserScramCredentials, 0, &[field(0, MAX, Array(72, &[field(0, MAX, Text), field(0, MAX, Fixed(1))])), field(0, MAX, Array(160, &[field(0, MAX, Text), field(0, MAX, Fixed(1)), field(0, MAX, Fixed(4)), field(0, MAX, Bytes), field(0, MAX, Bytes)]))]),
    shape(ApiKey::DescribeQuorum, 0, &[field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, Array(32, &[field(0, MAX, Fixed(4))]))]))]),
    shape(ApiKey::UpdateFeatures, 0, &[field(0, MAX, Fixed(4)), field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, Fixed(2)), field(0, 0, Fixed(1)), field(1, MAX, Fixed(1))])), field(1, MAX, Fixed(1))]),
    shape(ApiKey::DescribeCluster, 0, &[field(0, MAX, Fixed(1)), field(1, MAX, Fixed(1)), field(2, MAX, Fixed(1))]),
    shape(ApiKey::DescribeProducers, 0, &[field(0, MAX, Array(88, &[field(0, MAX, Text), field(0, MAX, FixedArray(4))]))]),
    shape(ApiKey::UnregisterBroker, 0, &[field(0, MAX, Fixed(4))]),
    shape(ApiKey::DescribeTransactions, 0, &[field(0, MAX, TextArray)]),
    shape(ApiKey::ListTransactions, 0, &[field(0, MAX, TextArray), field(0, MAX, FixedArray(8)), field(1, MAX, Fixed(8)), field(2, MAX, Text)]),
    shape(ApiKey::ConsumerGroupHeartbeat, 0, &[field(0, MAX, Text), field(0, MAX, Text), field(0, MAX, Fixed(4)), field(0, MAX, Text), field(0, MAX, Text), field(0, MAX, Fixed(4)), field(0, MAX, TextArray), field(1, MAX, Text), field(0, MAX, Text), field(0, MAX, Array(64, &[field(0, MAX, Fixed(16)), field(0, MAX, FixedArray(4))]))]),
    shape(ApiKey::ConsumerGroupDescribe, 0, &[field(0, MAX, TextArray), field(0, MAX, Fixed(1))]),
    shape(ApiKey::GetTelemetrySubscriptions, 0, &[field(0, MAX, Fixed(16))]),
    shape(ApiKey::PushTelemetry, 0, &[field(0, MAX, Fixed(16)), field(0, MAX, Fixed(4)), field(0, MAX, Fixed(1)), field(0, MAX, Fixed(1)), field(0, MAX, Bytes)]),
    shape(ApiKey::ListConfigResources, 0, &[field(1, MAX, FixedArray(1))]),
    shape(ApiKey::DescribeTopicPartitions, 0, &[field(0, MAX, Array(64, &[field(0, MAX, Text)])), field(0, MAX, Fixed(4)), field(0, MAX, NullableStruct(&[field(0, MAX, Text), field(0, MAX, Fixed(4))]))]),
    shape(ApiKey::AddRaftVoter, 0, &[field(0, MAX, Text), field(0, MAX, Fixed(4)), field(0, MAX, Fixed(4)), field(0, MAX, Fixed(16)), field(0, MAX, Array(112, &[field(0, MAX, Text), field(0, MAX, Text), field(0, MAX, Fixed(2))])), field(1, MAX, Fixed(1))]),
    shape(ApiKey::RemoveRaftVoter, 0, &[field(0, MAX, Text), field(0, MAX, Fixed(4)), field(0, MAX, Fixed(16))]),
];

/// What a consumer says of itself when it joins a classic group. It is read into ordered sets and maps, whose nodes may be half full.
#[rustfmt::skip]
pub(super) const CONSUMER_SUBSCRIPTION: &[Field] = &[field(0, MAX, Array(72, &[field(0, MAX, Text)])), field(0, MAX, Bytes), field(1, MAX, Array(176, &[field(1, MAX, Text), field(1, MAX, FixedArray(4))])), field(2, MAX, Fixed(4)), field(3, MAX, Text)];

/// What the leader of a classic group gives to a member.
#[rustfmt::skip]
pub(super) const CONSUMER_ASSIGNMENT: &[Field] = &[field(0, MAX, Array(176, &[field(0, MAX, Text), field(0, MAX, FixedArray(4))])), field(0, MAX, Bytes)];
