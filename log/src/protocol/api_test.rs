//! The table of APIs beside the one a broker of Kafka 4.3 answers with.

use kafka_protocol::messages::ApiKey;

use super::*;

/// What Kafka 4.3 advertises: key, lowest and highest version.
#[rustfmt::skip]
const KAFKA_4_3: &[(i16, i16, i16)] = &[
    (0, 0, 13), (1, 4, 18), (2, 1, 11), (3, 0, 13), (8, 2, 10), (9, 1, 10), (10, 0, 6), (11, 0, 9),
    (12, 0, 4), (13, 0, 5), (14, 0, 5), (15, 0, 6), (16, 0, 5), (17, 0, 1), (18, 0, 4), (19, 2, 7),
    (20, 1, 6), (21, 0, 2), (22, 0, 5), (23, 2, 4), (24, 0, 5), (25, 0, 4), (26, 0, 5), (27, 1, 2),
    (28, 0, 5), (29, 1, 3), (30, 1, 3), (31, 1, 3), (32, 1, 4), (33, 0, 2), (34, 1, 2), (35, 1, 5),
    (36, 0, 2), (37, 0, 3), (38, 1, 3), (39, 1, 2), (40, 1, 2), (41, 1, 3), (42, 0, 2), (43, 0, 2),
    (44, 0, 1), (45, 0, 1), (46, 0, 0), (47, 0, 0), (48, 0, 1), (49, 0, 1), (50, 0, 0), (51, 0, 0),
    (55, 0, 2), (57, 0, 2), (60, 0, 2), (61, 0, 0), (64, 0, 0), (65, 0, 0), (66, 0, 2), (68, 0, 1),
    (69, 0, 1), (74, 0, 1), (75, 0, 0), (76, 1, 1), (77, 1, 1), (78, 1, 2), (79, 1, 2), (80, 0, 1),
    (81, 0, 0), (83, 0, 0), (84, 0, 0), (85, 0, 1), (86, 0, 0), (87, 0, 1), (88, 0, 0), (89, 0, 0),
    (90, 0, 1), (91, 0, 0), (92, 0, 0),
];

/// Client-facing APIs that are not served, and why.
const LEFT_OUT: &[(ApiKey, &str)] = &[
    (ApiKey::SaslHandshake, "authentication is the next step"),
    (ApiKey::SaslAuthenticate, "authentication is the next step"),
    (ApiKey::CreateDelegationToken, "delegation tokens"),
    (ApiKey::RenewDelegationToken, "delegation tokens"),
    (ApiKey::ExpireDelegationToken, "delegation tokens"),
    (ApiKey::DescribeDelegationToken, "delegation tokens"),
    (ApiKey::DescribeClientQuotas, "quotas are the next step"),
    (ApiKey::AlterClientQuotas, "quotas are the next step"),
    (
        ApiKey::DescribeUserScramCredentials,
        "authentication is the next step",
    ),
    (
        ApiKey::AlterUserScramCredentials,
        "authentication is the next step",
    ),
    (ApiKey::ShareGroupHeartbeat, "share groups"),
    (ApiKey::ShareGroupDescribe, "share groups"),
    (ApiKey::ShareFetch, "share groups"),
    (ApiKey::ShareAcknowledge, "share groups"),
    (ApiKey::InitializeShareGroupState, "share groups"),
    (ApiKey::ReadShareGroupState, "share groups"),
    (ApiKey::WriteShareGroupState, "share groups"),
    (ApiKey::DeleteShareGroupState, "share groups"),
    (ApiKey::ReadShareGroupStateSummary, "share groups"),
    (ApiKey::DescribeShareGroupOffsets, "share groups"),
    (ApiKey::AlterShareGroupOffsets, "share groups"),
    (ApiKey::DeleteShareGroupOffsets, "share groups"),
];

/// Streams groups (KIP-1071) have no name in the codec crate.
const STREAMS_GROUPS: &[i16] = &[88, 89];

/// Highest versions that stay below Kafka's because the codec crate does not write them.
const BELOW_KAFKA: &[(ApiKey, i16)] = &[(ApiKey::WriteTxnMarkers, 1), (ApiKey::AddRaftVoter, 0)];

/// Kafka has them too, but tells of them only where a plugin receives the metrics (KIP-714).
const TELEMETRY: &[ApiKey] = &[ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry];

#[test]
fn trap_4_the_table_is_that_of_kafka_4_3_but_for_what_is_named_here() {
    for (key, min, max) in KAFKA_4_3 {
        let api = ApiKey::try_from(*key);
        let served = SERVED.iter().find(|served| served.key as i16 == *key);
        let Some(served) = served else {
            let excused = STREAMS_GROUPS.contains(key)
                || api.is_ok_and(|api| LEFT_OUT.iter().any(|(left_out, _)| *left_out == api));
            assert!(
                excused,
                "api {key} ({api:?}) is neither served nor left out with a reason"
            );
            continue;
        };
        let below = BELOW_KAFKA.iter().find(|(api, _)| *api == served.key);
        let highest = below.map_or(*max, |(_, highest)| *highest);
        assert_eq!(served.advertised_max(), highest, "{:?}", served.key);
        assert!(served.advertised_min() <= *min, "{:?}", served.key);
    }
}

#[test]
fn nothing_is_served_that_kafka_does_not_have() {
    for served in SERVED {
        let known = KAFKA_4_3.iter().any(|(key, _, _)| *key == served.key as i16);
        assert!(known || TELEMETRY.contains(&served.key), "{:?}", served.key);
    }
}

#[test]
fn keys_are_in_order_and_stand_once() {
    assert!(SERVED.is_sorted_by(|left, right| (left.key as i16) < right.key as i16));
}
