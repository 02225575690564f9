//! Why a group refuses a request.
//!
//! Precise inside, Kafka's code outside: `code()` is the only place where the two meet. Nothing was done when one of these comes back.

use crate::broker::{BrokerError, ErrorCode};
use crate::types::{GroupId, GroupInstanceId, MemberId, TopicName};

/// A refusal of the group coordinator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// No such group.
    #[error("group {group} does not exist")]
    GroupIdNotFound {
        /// Which.
        group: GroupId,
    },
    /// The group is of another kind than the request is for.
    #[error("group {group} is not a {expected} group")]
    WrongKind {
        /// Which.
        group: GroupId,
        /// The kind the request is for.
        expected: &'static str,
    },
    /// The member is not in the group.
    #[error("member {member} is not in the group; join again with an empty member id")]
    UnknownMember {
        /// Who asked.
        member: MemberId,
    },
    /// Another member with the same instance id took over.
    #[error("group instance id {instance} belongs to another member now; {member} must stop")]
    FencedInstance {
        /// Whose place it is.
        instance: GroupInstanceId,
        /// Who lost it.
        member: MemberId,
    },
    /// The generation is not the current one.
    #[error("generation {found} is not the group's current one, {current}; join again")]
    IllegalGeneration {
        /// What the member said.
        found: i32,
        /// What the group says.
        current: i32,
    },
    /// Members must join again.
    #[error("group rebalances; join again")]
    RebalanceInProgress,
    /// The protocol type or the protocols do not fit.
    #[error("protocol type or protocols do not fit those of the group's members")]
    InconsistentProtocol,
    /// KIP-394: a member joins with an id it was given before.
    #[error("join again with the member id of this answer")]
    MemberIdRequired,
    /// `group.max.size` is reached.
    #[error("group has {limit} members, the most group.max.size allows")]
    GroupFull {
        /// The limit.
        limit: usize,
    },
    /// The session timeout is out of bounds.
    #[error(
        "session timeout of {found} ms is outside group.min.session.timeout.ms {min} to group.max.session.timeout.ms {max}"
    )]
    InvalidSessionTimeout {
        /// What was asked for.
        found: i32,
        /// Least allowed.
        min: i32,
        /// Most allowed.
        max: i32,
    },
    /// The group has members.
    #[error("group has members; stop them first")]
    NonEmpty,
    /// The group consumes the topic.
    #[error("group is subscribed to topic {topic}; stop its members first")]
    Subscribed {
        /// Which.
        topic: TopicName,
    },
    /// The group is just being removed, or could not be stored.
    #[error("group cannot be served now; try again")]
    NotAvailable,
    /// A consumer group (KIP-848) refuses; these refusals differ only in code and words.
    #[error("{message}")]
    Refused {
        /// Kafka's code.
        code: ErrorCode,
        /// What is wrong and what to do.
        message: String,
    },
    /// A cap is reached.
    #[error("coordinator has {limit} groups, the most allowed")]
    TooManyGroups {
        /// The limit.
        limit: usize,
    },
}

impl GroupError {
    /// A refusal in words of its own.
    pub(super) fn refused(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Refused { code, message }
    }

    /// Kafka's code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::GroupIdNotFound { .. } | Self::WrongKind { .. } => ErrorCode::GroupIdNotFound,
            Self::UnknownMember { .. } => ErrorCode::UnknownMemberId,
            Self::FencedInstance { .. } => ErrorCode::FencedInstanceId,
            Self::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
            Self::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            Self::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
            Self::MemberIdRequired => ErrorCode::MemberIdRequired,
            Self::GroupFull { .. } => ErrorCode::GroupMaxSizeReached,
            Self::InvalidSessionTimeout { .. } => ErrorCode::InvalidSessionTimeout,
            Self::NonEmpty => ErrorCode::NonEmptyGroup,
            Self::Subscribed { .. } => ErrorCode::GroupSubscribedToTopic,
            Self::NotAvailable => ErrorCode::CoordinatorNotAvailable,
            Self::TooManyGroups { .. } => ErrorCode::PolicyViolation,
            Self::Refused { code, .. } => *code,
        }
    }
}

impl From<GroupError> for BrokerError {
    fn from(error: GroupError) -> Self {
        BrokerError::new(error.code(), error.to_string()).with_source(error)
    }
}
