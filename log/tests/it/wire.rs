//! A Kafka server in this process, a client that speaks to it byte by byte, and the requests that many tests send.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FetchRequest, ListOffsetsRequest, ProduceRequest, RequestHeader,
    ResponseHeader, UpdateFeaturesRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use millpond_log::broker::{Broker, BrokerOptions};
use millpond_log::config::BrokerConfig;
use millpond_log::server::{ConnectionLimits, Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Text for the wire.
pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A broker in a directory of its own, and its server.
pub(crate) struct Served {
    pub(crate) broker: Broker,
    pub(crate) server: Server,
    pub(crate) dir: tempfile::TempDir,
}

impl Served {
    /// With default settings.
    pub(crate) async fn new() -> Self {
        Self::with(BrokerConfig::default()).await
    }

    /// The same with a topic.
    pub(crate) async fn topic(name: &str, partitions: i32) -> Self {
        let at = Self::new().await;
        crate::support::create(&at.broker, name, partitions).await;
        at
    }

    /// With these settings.
    pub(crate) async fn with(config: BrokerConfig) -> Self {
        Self::start(config, ConnectionLimits::default()).await
    }

    /// With these caps on what a client may take.
    pub(crate) async fn within(limits: ConnectionLimits) -> Self {
        Self::start(BrokerConfig::default(), limits).await
    }

    async fn start(config: BrokerConfig, limits: ConnectionLimits) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let broker = Broker::start(BrokerOptions::at(dir.path()).with_config(config))
            .await
            .expect("broker starts");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let options = ServerOptions {
            limits,
            ..ServerOptions::on(any)
        };
        let server = Server::start(broker.clone(), options)
            .await
            .expect("server starts");
        Self { broker, server, dir }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Wire {
        let socket = TcpStream::connect(self.server.local_addr())
            .await
            .expect("server is reached");
        Wire {
            socket,
            correlation_id: 0,
        }
    }

    /// Stops both in order.
    pub(crate) async fn stop(self) {
        self.server.shutdown().await;
        self.broker.shutdown().await.expect("broker stops");
    }
}

/// Records for one partition, named by topic.
pub(crate) fn produce(name: &str, partition: i32, records: Bytes, acks: i16) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(text(name).into())
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}

/// What partition 0 has from `offset` on, outside a session; waits for the first byte.
pub(crate) fn fetch(name: &str, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(text(name).into())
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// The offset of a timestamp in partition 0.
pub(crate) fn list_offsets(name: &str, timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(text(name).into())
        .with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_topics(vec![topic])
}

/// Takes a feature to a level: 0 switches it off.
pub(crate) fn feature(name: &str, level: i16) -> UpdateFeaturesRequest {
    const UPGRADE: i8 = 1;
    const SAFE_DOWNGRADE: i8 = 2;
    let update = FeatureUpdateKey::default()
        .with_feature(text(name))
        .with_max_version_level(level)
        .with_upgrade_type(if level == 0 { SAFE_DOWNGRADE } else { UPGRADE });
    UpdateFeaturesRequest::default()
        .with_timeout_ms(1000)
        .with_feature_updates(vec![update])
}

/// One connection.
pub(crate) struct Wire {
    socket: TcpStream,
    correlation_id: i32,
}

impl Wire {
    /// Sends a request of this version and waits for its answer.
    pub(crate) async fn ask<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        self.send(version, &request).await;
        self.answer::<R>(version).await
    }

    /// The level at which a feature is finalized, as clients learn it; none if it is off.
    pub(crate) async fn finalized(&mut self, name: &str) -> Option<i16> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text("tests"))
            .with_client_software_version(text("1"));
        let answer = self.ask(3, request).await;
        let found = answer
            .finalized_features
            .iter()
            .find(|feature| *feature.name == *name);
        found.map(|feature| feature.max_version_level)
    }

    /// Sends a body as it is and reads the answer as one of version `answered`, for what the codec cannot write.
    pub(crate) async fn ask_body<R: Request>(
        &mut self,
        version: i16,
        answered: i16,
        body: &[u8],
    ) -> R::Response {
        self.send_body(R::KEY, version, body).await;
        let api = ApiKey::try_from(R::KEY).expect("a known API");
        let header = api.response_header_version(version);
        self.decoded::<R>(header, answered, self.correlation_id).await
    }

    /// Sends a request without waiting.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).expect("request is encoded");
        self.send_body(R::KEY, version, &body).await;
    }

    /// Sends a body as it is, behind a sound header.
    pub(crate) async fn send_body(&mut self, key: i16, version: i16, body: &[u8]) {
        self.correlation_id += 1;
        let api = ApiKey::try_from(key).expect("a known API");
        let mut frame = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(text("test")))
            .encode(&mut frame, api.request_header_version(version))
            .expect("header is encoded");
        frame.extend_from_slice(body);
        let mut sized = BytesMut::new();
        sized.put_i32(frame.len() as i32);
        sized.extend_from_slice(&frame);
        self.send_raw(&sized).await;
    }

    /// Sends bytes as they are. The server may have hung up already; what it answers tells.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.ok();
    }

    /// The answer to the last request.
    pub(crate) async fn answer<R: Request>(&mut self, version: i16) -> R::Response {
        let correlation_id = self.correlation_id;
        self.answer_to::<R>(version, correlation_id).await
    }

    /// The next answer, which must be that to the request of this correlation id.
    pub(crate) async fn answer_to<R: Request>(&mut self, version: i16, correlation_id: i32) -> R::Response {
        let api = ApiKey::try_from(R::KEY).expect("a known API");
        let header = api.response_header_version(version);
        self.decoded::<R>(header, version, correlation_id).await
    }

    async fn decoded<R: Request>(&mut self, header: i16, version: i16, correlation_id: i32) -> R::Response {
        let mut answer = self.frame().await.expect("an answer");
        let header = ResponseHeader::decode(&mut answer, header).expect("header is decoded");
        assert_eq!(header.correlation_id, correlation_id);
        let decoded = R::Response::decode(&mut answer, version).expect("answer is decoded");
        assert!(!answer.has_remaining(), "bytes are left over");
        decoded
    }

    /// The next frame from the server; none if it hung up.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        let size = self.socket.read_i32().await.ok()?;
        let mut frame = vec![0; size as usize];
        self.socket.read_exact(&mut frame).await.expect("a whole frame");
        Some(Bytes::from(frame))
    }

    /// Waits until the server hangs up; anything it still says is a failure.
    pub(crate) async fn hung_up(&mut self) {
        assert_eq!(self.frame().await, None, "the server answered");
    }
}
