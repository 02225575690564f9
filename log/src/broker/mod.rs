//! The `Broker` handle: one typed async method per Kafka API, each in its own file.
//!
//! The one semantic path: the embedded clients call these methods directly, a socket server decodes a request and calls the same
//! ones. Always true: an answer that says "done" is durable as the topic's `durability` promises; a dropped future leaves the
//! request either done or not done, never half done. Deliberately absent: sockets, wire encoding.
//!
//! Where to look next: `produce.rs` and `fetch.rs` for the data path, `end_txn.rs` and `../coordinator/` for transactions,
//! `../metadata/` for topics.

mod acls;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod assignment;
mod config_resource;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_topics;
mod describe_transaction;
mod elect_leaders;
mod end_txn;
mod error;
mod error_code;
mod error_map;
mod features;
mod fetch;
mod find_coordinator;
mod handle;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod node;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod options;
mod produce;
mod reassignments;
mod sync_group;
mod telemetry;
mod topic_metadata;
mod txn_offset_commit;
mod update_features;
mod vitals;
mod write_txn_markers;

pub use alter_configs::AlterConfigs;
pub use config_resource::ConfigResource;
pub use consumer_group_describe::{
    ConsumerGroupState, DescribedConsumerGroup, DescribedConsumerGroupMember, DescribedPartitions,
};
pub use consumer_group_heartbeat::{
    ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, PartitionSet, TopicIdPartition,
};
pub use create_partitions::NewPartitions;
pub use create_topics::NewTopic;
pub use delete_topics::TopicRef;
pub use describe_groups::{GroupDescription, MemberDescription};
pub use describe_log_dirs::LogDirDescription;
pub use describe_producers::ProducerDescription;
pub use describe_quorum::QuorumDescription;
pub use describe_topic_partitions::{PAGE_PARTITIONS, TopicCursor, TopicPartitionsPage};
pub use describe_topics::TopicDescription;
pub use describe_transaction::TransactionDescription;
pub use end_txn::TxnResult;
pub use error::{BadRecord, BrokerError, ErrorKind};
pub use error_code::ErrorCode;
pub use features::{Features, SupportedFeature};
pub use fetch::{FetchPartition, FetchRequest, FetchResponse, FetchedData};
pub use find_coordinator::CoordinatorKind;
pub use handle::Broker;
pub(crate) use handle::WeakBroker;
pub use init_producer_id::ProducerIdentity;
pub use join_group::{GroupProtocol, JoinGroup, JoinRefused, JoinedGroup, JoinedMember};
pub use leave_group::LeavingMember;
pub use list_groups::{GroupListing, GroupType};
pub use list_offsets::{ListedOffset, OffsetSpec};
pub use list_transactions::{TransactionFilter, TransactionListing, TransactionalIdPattern};
pub use offset_commit::{Committer, GroupOffsetCommit, OffsetAndMetadata};
pub use offset_fetch::{FetchedOffset, GroupOffsetFetch};
pub use offset_for_leader_epoch::{EpochEnd, EpochQuery};
pub use options::BrokerOptions;
pub use produce::{Acks, ProduceAck, ProducePartition, ProduceRequest, Producing};
pub use sync_group::{SyncGroup, SyncedGroup};
pub use telemetry::TelemetrySubscription;
pub use topic_metadata::TopicMetadata;
pub use txn_offset_commit::TxnOffsetCommit;
pub use update_features::FeatureUpdate;
pub use vitals::{GroupLag, Vitals};
pub use write_txn_markers::WritableTxnMarker;

pub(crate) use node::{BROKER_ID, Node, TopicSpec, run_to_end, unknown_partition};
pub use node::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC};

pub use crate::config::{ConfigChange, ConfigEntry, ConfigOperation, ConfigSource, ConfigSynonym};
pub use crate::storage::{AbortedTxn, Isolation};
