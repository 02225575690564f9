//! Translations that the handlers of group APIs share.

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::wire::topic_partition;
use crate::broker::{BrokerError, ErrorCode};
use crate::protocol::offset_requests::TOPIC_IDS;
use crate::server::context::RequestContext;
use crate::types::{GroupId, GroupInstanceId, MemberId, TopicId, TopicName, TopicPartition};

pub(super) fn group(id: &kafka_protocol::messages::GroupId) -> GroupId {
    GroupId::new(id)
}

pub(super) fn member(id: &StrBytes) -> MemberId {
    MemberId::new(id)
}

pub(super) fn instance(id: Option<&StrBytes>) -> Option<GroupInstanceId> {
    id.map(|id| GroupInstanceId::new(id))
}

/// The error of a commit in a version that may know an older code only: before 9 a commit to no group was one of another generation.
pub(super) fn commit_code(error: &BrokerError, version: i16, knows_not_found: i16) -> i16 {
    match error.code() {
        ErrorCode::GroupIdNotFound if version < knows_not_found => ErrorCode::IllegalGeneration.code(),
        code => code.code(),
    }
}

/// The topic of a request about offsets, named or, from version 10 on, by id. A name no topic can have is an unknown topic.
pub(super) fn offset_topic(
    context: &RequestContext,
    name: &kafka_protocol::messages::TopicName,
    id: Uuid,
) -> Result<TopicName, BrokerError> {
    if context.version < TOPIC_IDS {
        return topic_partition(name, 0).map(|TopicPartition { topic, .. }| topic);
    }
    let id = TopicId::new(id);
    context
        .broker()
        .topic_name_of(id)
        .ok_or_else(|| BrokerError::new(ErrorCode::UnknownTopicId, format!("no topic has the id {id}")))
}
