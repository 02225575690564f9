//! A connection to one broker: frames, correlation ids, the versions it speaks.
//!
//! What is always true: one request is under way at a time, and its answer carries its correlation id; a frame is refused by its length
//! before a byte of it is allocated. A connection that failed once is not used again: the caller drops it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, VersionRange};
use millpond::log::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::peer::{Peer, Source};
use super::{text, within};
use crate::cli::failure::Failure;
use crate::cli::settings::Settings;

/// Longest answer that is read: a broker never sends more than it is asked for.
const FRAME_BYTES_MAX: usize = 256 << 20;
/// Kafka's code for a version of a request that the broker does not speak.
const UNSUPPORTED_VERSION: i16 = 35;

/// A connection that has agreed on versions.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    peer: Peer,
    client_id: String,
    next_correlation: i32,
    versions: BTreeMap<i16, VersionRange>,
    /// Features as they are finalised in the cluster, with their level.
    features: Vec<(String, i16)>,
    clock: Arc<dyn Clock>,
}

impl Connection {
    /// Connects and asks for the versions the broker speaks.
    pub(crate) async fn open(
        peer: &Peer,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Connection> {
        let limit = settings.connect_timeout();
        let connecting = TcpStream::connect((peer.host.as_str(), peer.port));
        let stream = match within(&**clock, limit, connecting).await {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => return Err(unreachable_peer(peer, &words(&error)).into()),
            None => return Err(unreachable_peer(peer, &format!("no answer in {limit:?}")).into()),
        };
        stream
            .set_nodelay(true)
            .with_context(|| format!("cannot set up the connection to {peer}"))?;
        let mut connection = Connection {
            stream,
            peer: peer.clone(),
            client_id: settings.client_id().to_owned(),
            next_correlation: 1,
            versions: BTreeMap::new(),
            features: Vec::new(),
            clock: Arc::clone(clock),
        };
        connection.negotiate(limit).await?;
        Ok(connection)
    }

    /// Asks for the versions; a broker older than the question answers with version 0 and an error, and is asked again with that.
    async fn negotiate(&mut self, limit: Duration) -> anyhow::Result<()> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text("millpond"))
            .with_client_software_version(text(env!("CARGO_PKG_VERSION")));
        let mut body = self
            .exchange(3, &request, limit)
            .await
            .map_err(|error| not_kafka(&self.peer, error))?;
        let mut version = 3;
        if body.get(..2) == Some(&UNSUPPORTED_VERSION.to_be_bytes()) {
            body = self.exchange(0, &ApiVersionsRequest::default(), limit).await?;
            version = 0;
        }
        let answer =
            ApiVersionsResponse::decode(&mut body, version).map_err(|error| not_kafka(&self.peer, error))?;
        if answer.error_code != 0 {
            return Err(super::kafka_failure(
                &format!("{} refuses this client", self.peer),
                answer.error_code,
                None,
            )
            .into());
        }
        self.versions = answer
            .api_keys
            .iter()
            .map(|api| {
                let range = VersionRange {
                    min: api.min_version,
                    max: api.max_version,
                };
                (api.api_key, range)
            })
            .collect();
        self.features = answer
            .finalized_features
            .iter()
            .map(|feature| (feature.name.to_string(), feature.max_version_level))
            .collect();
        Ok(())
    }

    /// Finalised features of the cluster, with their level.
    pub(crate) fn features(&self) -> &[(String, i16)] {
        &self.features
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Highest version of a request that both sides speak, `cap` at most.
    pub(crate) fn version_of<R: Request>(&self, cap: i16) -> Result<i16, Failure> {
        let theirs = self.versions.get(&R::KEY);
        let both = theirs.map(|theirs| R::VERSIONS.intersect(theirs));
        match both {
            Some(both) if !both.is_empty() && both.min <= cap => Ok(both.max.min(cap)),
            _ => {
                let name =
                    ApiKey::try_from(R::KEY).map_or_else(|()| R::KEY.to_string(), |key| format!("{key:?}"));
                Err(Failure::failed(format!("{} does not support {name}", self.peer))
                    .hint("the broker is too old, or the cluster is no Apache Kafka and lacks this"))
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        limit: Duration,
    ) -> anyhow::Result<R::Response> {
        let mut body = self.exchange(version, request, limit).await?;
        R::Response::decode(&mut body, version)
            .map_err(|error| error.context(format!("{} sent an answer that cannot be read", self.peer)))
    }

    /// The answer behind its header.
    async fn exchange<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        limit: Duration,
    ) -> anyhow::Result<Bytes> {
        let correlation_id = self.next_correlation;
        self.next_correlation = self.next_correlation.wrapping_add(1);
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(text(self.client_id.clone())))
            .encode(&mut frame, R::header_version(version))
            .context("cannot encode a request header")?;
        request
            .encode(&mut frame, version)
            .context("cannot encode a request")?;
        let length = i32::try_from(frame.len() - 4).context("the request is too long")?;
        frame[..4].copy_from_slice(&length.to_be_bytes());

        let clock = Arc::clone(&self.clock);
        let answered = within(&*clock, limit, async {
            self.stream
                .write_all(&frame)
                .await
                .map_err(|error| broken(&self.peer, &error))?;
            self.read_frame().await
        });
        let Some(answered) = answered.await else {
            return Err(
                Failure::connect(format!("{} did not answer in {limit:?}", self.peer))
                    .hint("-X request.timeout.ms=… waits longer")
                    .into(),
            );
        };
        let mut answer = answered?;
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version))
            .map_err(|error| not_kafka(&self.peer, error))?;
        anyhow::ensure!(
            header.correlation_id == correlation_id,
            "{} answered request {} instead of {correlation_id}",
            self.peer,
            header.correlation_id
        );
        Ok(answer)
    }

    async fn read_frame(&mut self) -> anyhow::Result<Bytes> {
        let mut length = [0; 4];
        self.stream
            .read_exact(&mut length)
            .await
            .map_err(|error| broken(&self.peer, &error))?;
        // A TLS alert or handshake record, and the first letters of an HTTP answer, where a length should be.
        match length {
            [0x15 | 0x16, 0x03, ..] => return Err(speaks_tls(&self.peer).into()),
            [b'H', b'T', b'T', b'P'] => {
                return Err(
                    Failure::connect(format!("{} is a web server, not a Kafka broker", self.peer))
                        .hint("Kafka's port is usually 9092")
                        .into(),
                );
            }
            _ => {}
        }
        let length = usize::try_from(i32::from_be_bytes(length))
            .ok()
            .filter(|length| (4..=FRAME_BYTES_MAX).contains(length))
            .ok_or_else(|| {
                Failure::connect(format!("{} does not speak Kafka's protocol", self.peer))
                    .hint("check host and port; Kafka's port is usually 9092")
            })?;
        let mut frame = BytesMut::zeroed(length);
        self.stream
            .read_exact(&mut frame)
            .await
            .map_err(|error| broken(&self.peer, &error))?;
        Ok(frame.freeze())
    }
}

/// The socket failed under a request.
fn broken(peer: &Peer, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Failure::connect(
            format!("{peer} closed the connection"),
        )
        .hint("a listener for TLS or SASL does that to a plaintext client; this build speaks plaintext only"),
        _ => Failure::connect(format!("lost the connection to {peer}: {}", words(error))),
    }
}

fn speaks_tls(peer: &Peer) -> Failure {
    Failure::connect(format!("{peer} speaks TLS, and this client plaintext"))
        .hint("connect to a plaintext listener, or through a tunnel such as stunnel")
}

/// What answered, but not as a broker does. Failures with words of their own keep them.
fn not_kafka(peer: &Peer, error: anyhow::Error) -> anyhow::Error {
    if error.downcast_ref::<Failure>().is_some() {
        return error;
    }
    Failure::connect(format!("{peer} does not answer as a Kafka broker: {error}"))
        .hint("check host and port; Kafka's port is usually 9092")
        .into()
}

fn unreachable_peer(peer: &Peer, why: &str) -> Failure {
    match &peer.source {
        Source::Settings(_) => Failure::connect(format!("cannot connect to {peer}: {why}")).hint(
            "is a broker running there? -b names another one, `millpond profile show --origin` tells what applies",
        ),
        Source::Advertised { node, told_by } => Failure::connect(format!(
            "broker {node} advertises {}, which cannot be reached from here: {why}",
            peer.address()
        ))
        .hint(format!(
            "{told_by} answers, so the cluster runs: set advertised.listeners of broker {node} to an address that this machine can reach"
        )),
    }
}

/// An I/O error without the number of the operating system.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            // The resolver's words begin with what failed.
            match text.strip_prefix("failed to lookup address information: ") {
                Some(why) => format!("cannot resolve the name: {why}"),
                None => text.to_owned(),
            }
        }
    }
}
