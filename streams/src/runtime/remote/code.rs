//! Kafka's error codes → what the runtime must do about them. The only place that reads them by number.
//!
//! Always true: a code that can come after the request was carried out is never "surely not done". `COORDINATOR_NOT_AVAILABLE` is one: Kafka's
//! coordinators answer it when the write to their log timed out, and that write may still stand.

use kafka_protocol::error::ResponseError;

use crate::runtime::log_client::LogError;

/// No error.
pub(super) const NONE: i16 = 0;
pub(super) const INVALID_TXN_STATE: i16 = ResponseError::InvalidTxnState.code();
pub(super) const TRANSACTIONAL_ID_NOT_FOUND: i16 = ResponseError::TransactionalIdNotFound.code();
pub(super) const GROUP_ID_NOT_FOUND: i16 = ResponseError::GroupIdNotFound.code();
pub(super) const UNSUPPORTED_VERSION: i16 = ResponseError::UnsupportedVersion.code();

/// `Ok` for "no error", else [`error`].
pub(super) fn check(code: i16, what: &str, said: Option<&str>) -> Result<(), LogError> {
    match code {
        NONE => Ok(()),
        code => Err(error(code, what, said)),
    }
}

/// The error a code means. `what` says what was asked, `said` are the broker's own words.
pub(super) fn error(code: i16, what: &str, said: Option<&str>) -> LogError {
    use ResponseError as E;
    let found = E::try_from_code(code).unwrap_or(E::Unknown(code));
    let text = match (hint(found), said.map(str::trim).filter(|said| !said.is_empty())) {
        (Some(hint), _) => format!("{what}: {} ({hint})", name(found)),
        (None, Some(said)) => format!("{what}: {}: {}", name(found), said.trim_end_matches('.')),
        (None, None) => format!("{what}: {}", name(found)),
    };
    match found {
        E::OffsetOutOfRange => LogError::OffsetOutOfRange(text),
        E::UnknownTopicOrPartition | E::UnknownTopicId => LogError::UnknownTopic(text),
        E::MessageTooLarge | E::RecordListTooLarge => LogError::TooLarge(text),
        E::InvalidRecord | E::InvalidTimestamp | E::OffsetMetadataTooLarge => LogError::Rejected(text),
        E::InvalidProducerEpoch
        | E::ProducerFenced
        | E::InvalidProducerIdMapping
        | E::TransactionCoordinatorFenced => LogError::Fenced(text),
        E::UnknownServerError
        | E::RequestTimedOut
        | E::NetworkException
        | E::NotEnoughReplicasAfterAppend
        | E::CoordinatorNotAvailable => LogError::Unknown(text),
        E::LeaderNotAvailable
        | E::NotLeaderOrFollower
        | E::ReplicaNotAvailable
        | E::BrokerNotAvailable
        | E::FencedLeaderEpoch
        | E::UnknownLeaderEpoch
        | E::OffsetNotAvailable
        | E::KafkaStorageError
        | E::NotController
        | E::NotCoordinator
        | E::CoordinatorLoadInProgress
        | E::NotEnoughReplicas
        | E::ConcurrentTransactions
        | E::UnstableOffsetCommit
        | E::ThrottlingQuotaExceeded => LogError::Retriable(text),
        _ => LogError::Refused(text),
    }
}

/// Whether the broker that answered is not, or may not be, the one that leads the partition.
pub(super) fn leader_moved(code: i16) -> bool {
    use ResponseError as E;
    matches!(
        E::try_from_code(code),
        Some(
            E::LeaderNotAvailable
                | E::NotLeaderOrFollower
                | E::ReplicaNotAvailable
                | E::FencedLeaderEpoch
                | E::UnknownLeaderEpoch
                | E::KafkaStorageError
                | E::UnknownTopicOrPartition
                | E::UnknownTopicId
        )
    )
}

/// Whether the broker that answered is not, or may not be, the coordinator.
pub(super) fn coordinator_moved(code: i16) -> bool {
    use ResponseError as E;
    matches!(
        E::try_from_code(code),
        Some(E::NotCoordinator | E::CoordinatorNotAvailable)
    )
}

/// What a partition's leader answered. A broker that does not know the partition any more is asked about by way of the metadata, which alone
/// can say that the topic is gone.
pub(super) fn partition_error(code: i16, what: &str, said: Option<&str>) -> LogError {
    match error(code, what, said) {
        LogError::UnknownTopic(text) => LogError::Retriable(text),
        error => error,
    }
}

/// The first code among those of single parts that is an error.
pub(super) fn first_failed(codes: impl IntoIterator<Item = i16>) -> i16 {
    codes.into_iter().find(|code| *code != NONE).unwrap_or(NONE)
}

/// Kafka's name of an error, `NOT_COORDINATOR`.
fn name(error: ResponseError) -> String {
    if let ResponseError::Unknown(code) = error {
        return format!("error {code}");
    }
    let mut name = String::new();
    for letter in error.to_string().chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn hint(error: ResponseError) -> Option<&'static str> {
    use ResponseError as E;
    Some(match error {
        E::UnknownMemberId | E::IllegalGeneration | E::FencedInstanceId => {
            "the group has members of its own; the application id must not be the group of a consumer"
        }
        E::TopicAuthorizationFailed
        | E::GroupAuthorizationFailed
        | E::ClusterAuthorizationFailed
        | E::TransactionalIdAuthorizationFailed => {
            "this client is anonymous, and the cluster wants to know who asks"
        }
        E::IllegalSaslState | E::SaslAuthenticationFailed | E::UnsupportedSaslMechanism => {
            "the listener wants SASL, which this client does not speak; name a plaintext listener"
        }
        E::InvalidTransactionTimeout => {
            "transaction_timeout is above the broker's transaction.max.timeout.ms, or not positive"
        }
        _ => return None,
    })
}

#[cfg(test)]
#[path = "code_test.rs"]
mod code_test;
