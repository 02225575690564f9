//! Brokers that answer by script: what no single honest broker shows, several leaders, one that moves, an old broker, answers that never come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, MetadataResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use millpond_log::clock::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
pub(crate) struct Asked {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) body: Bytes,
}

impl Asked {
    /// An answer in the version of the request.
    pub(crate) fn answer(&self, response: &impl Encodable) -> Answer {
        let mut body = BytesMut::new();
        response
            .encode(&mut body, self.version)
            .expect("it can be encoded");
        Answer::Body(body.freeze())
    }
}

/// What a script says to a request.
pub(crate) enum Answer {
    Body(Bytes),
    /// Nothing for so long, then the end of the connection.
    Silence(Duration),
    /// The end of the connection.
    HangUp,
}

type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A listener with a script. ApiVersions it answers by itself.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

/// A port, before what is said there is known: scripts name each other's.
pub(crate) struct Port {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Port {
    pub(crate) async fn free() -> Port {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        Port { listener, address }
    }

    /// Answers by script, and ApiVersions with everything the codec knows and TV2.
    pub(crate) fn serve(self, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scripted {
        self.serve_raw(move |asked| match asked.key {
            ApiKey::ApiVersions => asked.answer(&versions(|_, range| Some(range))),
            _ => script(asked),
        })
    }

    /// Answers everything by script.
    pub(crate) fn serve_raw(self, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scripted {
        let Port { listener, address } = self;
        let script: Arc<Script> = Arc::new(script);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let script = script.clone();
                tokio::spawn(async move {
                    // Every end of a connection is one; there is nothing to tell.
                    talk(client, &*script).await.ok();
                });
            }
        });
        Scripted { address, accepting }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn talk(mut client: TcpStream, script: &Script) -> std::io::Result<()> {
    loop {
        let length = client.read_u32().await?;
        let mut frame = vec![0; length as usize];
        client.read_exact(&mut frame).await?;
        let mut body = Bytes::from(frame);
        let key = ApiKey::try_from(i16::from_be_bytes([body[0], body[1]])).expect("a known request");
        let version = i16::from_be_bytes([body[2], body[3]]);
        let header = RequestHeader::decode(&mut body, key.request_header_version(version)).expect("a header");
        let asked = Asked { key, version, body };
        let body = match script(&asked) {
            Answer::Body(body) => body,
            Answer::Silence(wait) => {
                SystemClock::new().sleep(wait).await;
                return Ok(());
            }
            Answer::HangUp => return Ok(()),
        };
        let mut answer = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(header.correlation_id)
            .encode(&mut answer, key.response_header_version(version))
            .expect("a header");
        answer.extend_from_slice(&body);
        client
            .write_u32(u32::try_from(answer.len()).expect("small"))
            .await?;
        client.write_all(&answer).await?;
    }
}

/// The answer to ApiVersions, each range as `adapt` leaves it.
pub(crate) fn versions(adapt: impl Fn(ApiKey, (i16, i16)) -> Option<(i16, i16)>) -> ApiVersionsResponse {
    let keys = (0..=75).filter_map(|key| ApiKey::try_from(key).ok());
    let ranges = keys.filter_map(|key| {
        let range = key.valid_versions();
        let (min, max) = adapt(key, (range.min, range.max))?;
        Some(
            ApiVersion::default()
                .with_api_key(key as i16)
                .with_min_version(min)
                .with_max_version(max),
        )
    });
    let tv2 = FinalizedFeatureKey::default()
        .with_name(StrBytes::from_static_str("transaction.version"))
        .with_max_version_level(2)
        .with_min_version_level(2);
    ApiVersionsResponse::default()
        .with_api_keys(ranges.collect())
        .with_finalized_features(vec![tv2])
}

/// Metadata of one topic whose partitions are led as told; brokers are numbered from 1.
pub(crate) fn metadata(brokers: &[SocketAddr], topic: &str, leaders: &[i32]) -> MetadataResponse {
    let brokers = (1..).zip(brokers).map(|(id, address)| {
        MetadataResponseBroker::default()
            .with_node_id(id.into())
            .with_host(StrBytes::from_string(address.ip().to_string()))
            .with_port(address.port().into())
    });
    let partitions = (0..).zip(leaders).map(|(index, leader)| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id((*leader).into())
    });
    let topic = MetadataResponseTopic::default()
        .with_name(Some(StrBytes::from_string(topic.to_owned()).into()))
        .with_partitions(partitions.collect());
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_topics(vec![topic])
}
