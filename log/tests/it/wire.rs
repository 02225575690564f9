//! A Kafka server in this process, and requests to it byte by byte.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use millpond_log::broker::Broker;
use millpond_log::server::{Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Text for the wire.
pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Serves the broker on a port of its own.
pub(crate) async fn serve(broker: &Broker) -> Server {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    serve_with(broker, ServerOptions::on(any)).await
}

/// Serves the broker with these options.
pub(crate) async fn serve_with(broker: &Broker, options: ServerOptions) -> Server {
    Server::start(broker.clone(), options)
        .await
        .expect("server starts")
}

/// One connection.
pub(crate) struct Wire {
    socket: TcpStream,
    correlation_id: i32,
}

impl Wire {
    pub(crate) async fn connect(server: &Server) -> Self {
        let socket = TcpStream::connect(server.local_addr())
            .await
            .expect("server is reached");
        Self {
            socket,
            correlation_id: 0,
        }
    }

    /// Sends a request of this version and waits for its answer.
    pub(crate) async fn ask<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        self.send(version, &request).await;
        self.answer::<R>(version).await
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
        let mut answer = self.frame().await.expect("an answer");
        let header = ResponseHeader::decode(&mut answer, api.response_header_version(version))
            .expect("header is decoded");
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
