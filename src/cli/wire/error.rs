//! Kafka's error codes as failures of a command: by name, with what to do, and whether to try again.

use kafka_protocol::error::ResponseError;
use serde_json::Value;

use crate::cli::failure::Failure;

/// Name of a code as Kafka writes it: `UNKNOWN_TOPIC_OR_PARTITION`; 0 is `NONE`.
pub(crate) fn code_name(code: i16) -> String {
    let Some(error) = ResponseError::try_from_code(code) else {
        return "NONE".to_owned();
    };
    if let ResponseError::Unknown(code) = error {
        return format!("ERROR_{code}");
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

/// The failure of one item: what it was, Kafka's code, and the broker's words if it sent any.
pub(crate) fn kafka_failure(what: &str, code: i16, message: Option<&str>) -> Failure {
    let name = code_name(code);
    let text = match message.map(str::trim).filter(|message| !message.is_empty()) {
        Some(message) => format!("{what}: {name}: {}", message.trim_end_matches('.')),
        None => format!("{what}: {name}"),
    };
    let retriable = ResponseError::try_from_code(code).is_some_and(|error| error.is_retriable());
    let failure = Failure::failed(text).facts([
        ("code", Value::from(name)),
        // Kafka's clients try again while a topic may still become known; at a command line it does not exist.
        ("retriable", Value::from(retriable && code != 3)),
    ]);
    match hint(code) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn hint(code: i16) -> Option<&'static str> {
    Some(match ResponseError::try_from_code(code)? {
        ResponseError::UnknownTopicOrPartition => "`millpond topic list` shows what there is",
        ResponseError::TopicAlreadyExists => "--if-not-exists makes this no failure",
        ResponseError::InvalidReplicationFactor => {
            "a topic cannot have more replicas than there are brokers: -r, and `millpond cluster info`"
        }
        ResponseError::InvalidTopicException => "letters, digits, '.', '_' and '-', 249 at most",
        ResponseError::NonEmptyGroup => "stop its members first: `millpond group describe` names them",
        ResponseError::GroupIdNotFound => "`millpond group list` shows what there is",
        ResponseError::UnknownMemberId | ResponseError::IllegalGeneration => {
            "the group has members: stop them first, `millpond group describe` names them"
        }
        ResponseError::PolicyViolation => "a policy of the cluster forbids it",
        ResponseError::MessageTooLarge => {
            "raise max.message.bytes of the topic, or -X message.max.bytes for the producer"
        }
        ResponseError::TopicAuthorizationFailed
        | ResponseError::GroupAuthorizationFailed
        | ResponseError::ClusterAuthorizationFailed
        | ResponseError::TransactionalIdAuthorizationFailed => "this user lacks the right; ask for an ACL",
        ResponseError::RequestTimedOut
        | ResponseError::CoordinatorNotAvailable
        | ResponseError::CoordinatorLoadInProgress
        | ResponseError::LeaderNotAvailable => "try again; `millpond cluster health` tells what is missing",
        _ => return None,
    })
}

/// Whether the same request may succeed a moment later although nothing is changed by anyone.
pub(super) fn is_transient(code: i16) -> bool {
    matches!(
        ResponseError::try_from_code(code),
        Some(
            ResponseError::LeaderNotAvailable
                | ResponseError::NotLeaderOrFollower
                | ResponseError::ReplicaNotAvailable
                | ResponseError::CoordinatorLoadInProgress
                | ResponseError::CoordinatorNotAvailable
                | ResponseError::NotCoordinator
                | ResponseError::NotController
                | ResponseError::FencedLeaderEpoch
                | ResponseError::UnknownLeaderEpoch
                | ResponseError::ConcurrentTransactions
                | ResponseError::UnstableOffsetCommit
                | ResponseError::OffsetNotAvailable
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kafkas_names() {
        assert_eq!(code_name(0), "NONE");
        assert_eq!(code_name(3), "UNKNOWN_TOPIC_OR_PARTITION");
        assert_eq!(code_name(-1), "UNKNOWN_SERVER_ERROR");
        assert_eq!(code_name(36), "TOPIC_ALREADY_EXISTS");
        assert_eq!(code_name(999), "ERROR_999");
    }

    #[test]
    fn a_failure_says_what_why_and_the_brokers_words() {
        let failure = kafka_failure("topic orders", 36, Some("Topic 'orders' already exists."));
        assert_eq!(
            failure.to_string(),
            "topic orders: TOPIC_ALREADY_EXISTS: Topic 'orders' already exists"
        );
    }
}
