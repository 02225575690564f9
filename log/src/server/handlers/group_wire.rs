//! Translations that the handlers of group APIs share.

use kafka_protocol::protocol::StrBytes;

use crate::broker::{BrokerError, ErrorCode};
use crate::types::{GroupId, GroupInstanceId, MemberId};

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
