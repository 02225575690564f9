//! Kafka's error codes as the errors the commit protocol knows.

use super::*;

fn of(found: ResponseError) -> LogError {
    error(found.code(), "asking", None)
}

#[test]
fn what_may_have_happened_is_unknown() {
    use ResponseError as E;
    for code in [
        E::UnknownServerError,
        E::RequestTimedOut,
        E::NetworkException,
        E::NotEnoughReplicasAfterAppend,
        E::CoordinatorNotAvailable,
    ] {
        assert!(matches!(of(code), LogError::Unknown(_)), "{code}");
    }
}

#[test]
fn what_surely_did_not_happen_is_repeated() {
    use ResponseError as E;
    for code in [
        E::NotCoordinator,
        E::CoordinatorLoadInProgress,
        E::ConcurrentTransactions,
        E::UnstableOffsetCommit,
        E::NotLeaderOrFollower,
        E::LeaderNotAvailable,
        E::NotEnoughReplicas,
        E::ThrottlingQuotaExceeded,
    ] {
        assert!(matches!(of(code), LogError::Retriable(_)), "{code}");
    }
}

#[test]
fn a_newer_producer_fences_under_each_of_its_codes() {
    use ResponseError as E;
    for code in [
        E::InvalidProducerEpoch,
        E::ProducerFenced,
        E::InvalidProducerIdMapping,
        E::TransactionCoordinatorFenced,
    ] {
        assert!(matches!(of(code), LogError::Fenced(_)), "{code}");
    }
}

#[test]
fn what_the_topic_never_takes_is_told_apart() {
    use ResponseError as E;
    assert!(matches!(of(E::MessageTooLarge), LogError::TooLarge(_)));
    assert!(matches!(of(E::InvalidRecord), LogError::Rejected(_)));
    assert!(matches!(of(E::InvalidTimestamp), LogError::Rejected(_)));
    assert!(matches!(of(E::OffsetMetadataTooLarge), LogError::Rejected(_)));
    assert!(matches!(of(E::OffsetOutOfRange), LogError::OffsetOutOfRange(_)));
}

#[test]
fn a_broken_order_of_batches_is_refused_and_not_repeated() {
    use ResponseError as E;
    for code in [
        E::OutOfOrderSequenceNumber,
        E::UnknownProducerId,
        E::InvalidTxnState,
        E::TransactionAbortable,
    ] {
        assert!(matches!(of(code), LogError::Refused(_)), "{code}");
    }
}

#[test]
fn only_metadata_may_say_that_a_topic_is_gone() {
    let code = ResponseError::UnknownTopicOrPartition.code();
    assert!(matches!(error(code, "", None), LogError::UnknownTopic(_)));
    assert!(matches!(partition_error(code, "", None), LogError::Retriable(_)));
    assert!(leader_moved(code));
}

#[test]
fn errors_have_kafkas_names_and_the_brokers_words() {
    let text = error(16, "fetching offsets of group g", None).to_string();
    assert_eq!(text, "fetching offsets of group g: NOT_COORDINATOR");
    let text = error(40, "creating topic t", Some("Unknown topic config name: x.")).to_string();
    assert_eq!(
        text,
        "creating topic t: INVALID_CONFIG: Unknown topic config name: x"
    );
    assert_eq!(error(999, "asking", None).to_string(), "asking: error 999");
    assert_eq!(check(NONE, "asking", None), Ok(()));
    assert_eq!(first_failed([0, 0, 5, 3]), 5);
}
