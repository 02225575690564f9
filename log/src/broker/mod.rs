//! The `Broker` handle: one typed async method per Kafka API, each in its own file.
//!
//! The one semantic path: the embedded clients call these methods directly, a socket server decodes a request and calls the same
//! ones. Always true: an answer that says "done" is durable as the topic's `durability` promises; a dropped future leaves the
//! request either done or not done, never half done. Deliberately absent: sockets, wire encoding.
//!
//! Where to look next: `produce.rs` and `fetch.rs` for the data path, `end_txn.rs` and `../coordinator/` for transactions,
//! `../metadata/` for topics.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_configs;
mod describe_groups;
mod describe_producers;
mod describe_topics;
mod describe_transaction;
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
mod list_groups;
mod list_offsets;
mod list_transactions;
mod node;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod options;
mod produce;
mod sync_group;
mod topic_metadata;
mod txn_offset_commit;
mod vitals;
mod write_txn_markers;

pub use alter_configs::{AlterConfigs, ConfigChange};
pub use consumer_group_describe::{
    ConsumerGroupState, DescribedConsumerGroup, DescribedConsumerGroupMember, DescribedPartitions,
};
pub use consumer_group_heartbeat::{
    ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, PartitionSet, TopicIdPartition,
};
pub use create_topics::NewTopic;
pub use describe_configs::{ConfigEntry, ConfigResource};
pub use describe_groups::{GroupDescription, MemberDescription};
pub use describe_producers::ProducerDescription;
pub use describe_topics::TopicDescription;
pub use describe_transaction::TransactionDescription;
pub use end_txn::TxnResult;
pub use error::{BrokerError, ErrorKind};
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
pub use options::BrokerOptions;
pub use produce::{Acks, ProduceAck, ProducePartition, ProduceRequest, Producing};
pub use sync_group::{SyncGroup, SyncedGroup};
pub use topic_metadata::TopicMetadata;
pub use txn_offset_commit::TxnOffsetCommit;
pub use vitals::{GroupLag, Vitals};
pub use write_txn_markers::WritableTxnMarker;

pub(crate) use node::{Node, TopicSpec, run_to_end, unknown_partition};
pub use node::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC};

pub use crate::storage::{AbortedTxn, Isolation};
