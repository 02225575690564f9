//! Bytes from strangers: each ends its own connection at most, and takes no memory worth speaking of.

use std::time::Duration;

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, MetadataRequest};
use millpond_log::server::ConnectionLimits;

use crate::wire::Served;

/// Somebody else is still served.
async fn serves_others(at: &Served) {
    let mut other = at.connect().await;
    let answer = other.ask(12, MetadataRequest::default().with_topics(None)).await;
    assert_eq!(answer.brokers.len(), 1);
}

#[tokio::test]
async fn lengths_that_cannot_be_end_the_connection_and_nobody_elses() {
    let at = Served::new().await;
    for length in [-1, i32::MIN, i32::MAX, (100 << 20) + 1] {
        let mut stranger = at.connect().await;
        stranger.send_raw(&length.to_be_bytes()).await;
        stranger.hung_up().await;
    }
    serves_others(&at).await;
}

#[tokio::test]
async fn a_frame_too_short_for_a_header_ends_the_connection() {
    let at = Served::new().await;
    for frame in [
        &[0, 0, 0, 0][..],
        &[0, 0, 0, 3, 0, 3, 0],
        &[0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 0, 1],
    ] {
        let mut stranger = at.connect().await;
        stranger.send_raw(frame).await;
        stranger.hung_up().await;
    }
    serves_others(&at).await;
}

#[tokio::test]
async fn counts_that_do_not_fit_end_the_connection() {
    let at = Served::new().await;
    let bodies: [(ApiKey, i16, &[u8]); 4] = [
        (ApiKey::Metadata, 1, &[0x7f, 0xff, 0xff, 0xff]),
        (ApiKey::Metadata, 12, &[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 0]),
        (
            ApiKey::Produce,
            3,
            &[0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff],
        ),
        (ApiKey::Fetch, 12, &[0xff; 64]),
    ];
    for (api, version, body) in bodies {
        let mut stranger = at.connect().await;
        stranger.send_body(api as i16, version, body).await;
        stranger.hung_up().await;
    }
    serves_others(&at).await;
}

#[tokio::test]
async fn apis_and_versions_that_are_not_served_end_the_connection() {
    let at = Served::new().await;
    for (key, version) in [(4i16, 0i16), (999, 0), (-1, 0), (3, 99), (3, -1), (0, 2)] {
        let mut stranger = at.connect().await;
        let mut frame = vec![0, 0, 0, 10];
        frame.extend(key.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend([0, 0, 0, 1, 0xff, 0xff]);
        stranger.send_raw(&frame).await;
        stranger.hung_up().await;
    }
    serves_others(&at).await;
}

#[tokio::test]
async fn connections_above_the_caps_are_closed_and_places_come_back() {
    let limits = ConnectionLimits {
        connections_per_address: 2,
        ..ConnectionLimits::default()
    };
    let at = Served::within(limits).await;
    let mut first = at.connect().await;
    let mut second = at.connect().await;
    for wire in [&mut first, &mut second] {
        wire.ask(0, ApiVersionsRequest::default()).await;
    }
    at.connect().await.hung_up().await;
    // An unserved request ends the first connection; its place is free once the server has hung up.
    first.send_body(ApiKey::Fetch as i16, 12, &[0xff; 64]).await;
    first.hung_up().await;
    loop {
        let mut next = at.connect().await;
        next.send(0, &ApiVersionsRequest::default()).await;
        if next.frame().await.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn a_silent_connection_is_closed_after_the_idle_time() {
    let limits = ConnectionLimits {
        idle: Duration::from_millis(50),
        ..ConnectionLimits::default()
    };
    let at = Served::within(limits).await;
    let mut silent = at.connect().await;
    silent.hung_up().await;
    // Half a frame is silence too.
    let mut dribbling = at.connect().await;
    dribbling.send_raw(&[0, 0, 1, 0, 0, 3]).await;
    dribbling.hung_up().await;
}

#[tokio::test]
async fn a_request_may_be_only_as_long_as_the_cap() {
    let limits = ConnectionLimits {
        request_bytes: 1000,
        ..ConnectionLimits::default()
    };
    let at = Served::within(limits).await;
    let mut wire = at.connect().await;
    wire.send_raw(&1001i32.to_be_bytes()).await;
    wire.hung_up().await;
    serves_others(&at).await;
}

#[tokio::test]
async fn names_that_could_leave_the_directory_are_no_topics() {
    use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
    let at = Served::new().await;
    let mut wire = at.connect().await;
    let long = "x".repeat(250);
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "../../etc",
        "a\0b",
        "a\nb",
        "\u{1b}[31m",
        "t\u{e9}",
        &long,
    ] {
        let topic = MetadataRequestTopic::default().with_name(Some(crate::wire::text(name).into()));
        let answer = wire
            .ask(12, MetadataRequest::default().with_topics(Some(vec![topic])))
            .await;
        assert_eq!(answer.topics[0].error_code, 17, "{name:?}");
    }
    let made: Vec<_> = std::fs::read_dir(at.dir.path())
        .expect("readable")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().ends_with("-0"))
        .collect();
    assert_eq!(made, ["__cluster_metadata-0"]);
}
