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
    Server::start(broker.clone(), ServerOptions::on(any))
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
        self.correlation_id += 1;
        let api = ApiKey::try_from(R::KEY).expect("a known API");
        let mut frame = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(text("test")))
            .encode(&mut frame, api.request_header_version(version))
            .expect("header is encoded");
        request.encode(&mut frame, version).expect("request is encoded");
        let mut sized = BytesMut::new();
        sized.put_i32(frame.len() as i32);
        sized.extend_from_slice(&frame);
        self.socket.write_all(&sized).await.expect("request is sent");
        let size = self.socket.read_i32().await.expect("an answer");
        let mut answer = vec![0; size as usize];
        self.socket.read_exact(&mut answer).await.expect("a whole answer");
        let mut answer = Bytes::from(answer);
        let header = ResponseHeader::decode(&mut answer, api.response_header_version(version))
            .expect("header is decoded");
        assert_eq!(header.correlation_id, self.correlation_id);
        let decoded = R::Response::decode(&mut answer, version).expect("answer is decoded");
        assert!(!answer.has_remaining(), "bytes are left over");
        decoded
    }
}
