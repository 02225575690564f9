//! Which version of an API both sides know, and which protocol of transactions.

use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
use kafka_protocol::messages::{EndTxnRequest, FetchRequest, MetadataRequest, ProduceRequest};
use kafka_protocol::protocol::StrBytes;

use super::*;

fn broker(apis: &[(i16, i16, i16)], transactions: Option<i16>) -> Versions {
    let api = |(key, min, max): &(i16, i16, i16)| {
        ApiVersion::default()
            .with_api_key(*key)
            .with_min_version(*min)
            .with_max_version(*max)
    };
    let feature = |level| {
        FinalizedFeatureKey::default()
            .with_name(StrBytes::from_static_str(TRANSACTION_VERSION))
            .with_max_version_level(level)
    };
    Versions::of_answer(
        &ApiVersionsResponse::default()
            .with_api_keys(apis.iter().map(api).collect())
            .with_finalized_features(transactions.map(feature).into_iter().collect()),
    )
}

#[test]
fn the_highest_version_both_sides_know_is_taken_within_the_callers_bounds() {
    let versions = broker(&[(0, 3, 13), (1, 4, 18), (3, 0, 99)], None);
    assert_eq!(versions.choose::<ProduceRequest>((3, 12)), Ok(12));
    assert_eq!(
        versions.choose::<FetchRequest>((4, i16::MAX)),
        Ok(FetchRequest::VERSIONS.max)
    );
    assert_eq!(
        versions.choose::<MetadataRequest>((0, i16::MAX)),
        Ok(MetadataRequest::VERSIONS.max)
    );
}

use kafka_protocol::protocol::Message;

#[test]
fn what_a_broker_does_not_speak_is_said_with_its_versions() {
    let versions = broker(&[(26, 0, 4)], None);
    let error = versions.choose::<EndTxnRequest>((5, 5)).expect_err("too old");
    assert!(error.contains("EndTxn") && error.contains("0 to 4"), "{error}");
    let error = versions.choose::<ProduceRequest>((3, 12)).expect_err("not there");
    assert!(error.contains("Produce"), "{error}");
}

#[test]
fn transactions_have_epochs_of_their_own_only_where_that_is_finalised() {
    assert!(broker(&[], Some(2)).has_tv2());
    assert!(!broker(&[], Some(1)).has_tv2());
    assert!(!broker(&[], None).has_tv2());
}
