//! A connection to one broker.
//!
//! Always true: one request is under way at a time, and a connection that failed once is not used again: its owner drops it. A frame is refused by
//! its length before a byte of it is allocated. Everything here runs on the client's own thread for sockets.

use std::io::ErrorKind;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Decodable, StrBytes};
use millpond_log::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::address::Address;
use super::code;
use super::frame;
use super::options::RemoteOptions;
use super::versions::Versions;

/// A version of ApiVersions that every broker of the last years knows, and the first that tells features.
const API_VERSIONS_VERSION: i16 = 3;

/// A connection that has agreed on versions.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    address: Address,
    client_id: StrBytes,
    next_correlation: i32,
    versions: Arc<Versions>,
}

impl Connection {
    /// Connects and asks for the versions the broker speaks. Errs with a sentence; no request of the caller was sent then.
    pub(super) async fn open(address: Address, options: RemoteOptions) -> Result<Connection, String> {
        let limit = options.connect_timeout;
        let opened = within(&*options.clock, limit, Connection::open_now(&address, &options)).await;
        opened.unwrap_or_else(|| Err(format!("{address} did not answer within {limit:?}")))
    }

    async fn open_now(address: &Address, options: &RemoteOptions) -> Result<Connection, String> {
        let failed = |error: std::io::Error| format!("cannot connect to {address}: {}", words(&error));
        let stream = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let mut connection = Connection {
            stream,
            address: address.clone(),
            client_id: StrBytes::from_string(options.client_id.clone()),
            next_correlation: 0,
            versions: Arc::default(),
        };
        connection.versions = Arc::new(connection.negotiate().await?);
        Ok(connection)
    }

    /// Asks for the versions; a broker older than the question answers with version 0 and an error, and is asked again with that.
    async fn negotiate(&mut self) -> Result<Versions, String> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("millpond"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let mut answer = self.ask_versions(&request, API_VERSIONS_VERSION).await?;
        let mut version = API_VERSIONS_VERSION;
        if answer.get(4..6) == Some(&code::UNSUPPORTED_VERSION.to_be_bytes()) {
            version = 0;
            answer = self.ask_versions(&ApiVersionsRequest::default(), version).await?;
        }
        let mut body = answer.slice(4..);
        let answer = ApiVersionsResponse::decode(&mut body, version)
            .map_err(|error| format!("{} does not answer as a Kafka broker: {error}", self.address))?;
        code::check(answer.error_code, "asking for versions", None)
            .map_err(|error| format!("{}: {error}", self.address))?;
        Ok(Versions::of_answer(&answer))
    }

    async fn ask_versions(&mut self, request: &ApiVersionsRequest, version: i16) -> Result<Bytes, String> {
        let frame = frame::encode(request, version, self.take_correlation(), &self.client_id)?;
        self.exchange(frame).await
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn client_id(&self) -> &StrBytes {
        &self.client_id
    }

    pub(super) fn versions(&self) -> &Arc<Versions> {
        &self.versions
    }

    /// The id of the next request.
    pub(super) fn take_correlation(&mut self) -> i32 {
        self.next_correlation = self.next_correlation.wrapping_add(1);
        self.next_correlation
    }

    /// Sends a frame and waits for the answer, header included. Errs with a sentence; the request may have been carried out then.
    pub(super) async fn exchange(&mut self, frame: BytesMut) -> Result<Bytes, String> {
        self.stream
            .write_all(&frame)
            .await
            .map_err(|error| self.broken(&error))?;
        drop(frame);
        let mut prefix = [0; 4];
        self.stream
            .read_exact(&mut prefix)
            .await
            .map_err(|error| self.broken(&error))?;
        let length = frame::answer_length(prefix).map_err(|what| format!("{} {what}", self.address))?;
        let mut answer = BytesMut::with_capacity(length);
        while answer.len() < length {
            let rest = length - answer.len();
            let read = (&mut self.stream).take(rest as u64).read_buf(&mut answer).await;
            match read {
                Ok(0) => return Err(self.broken(&ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        Ok(answer.freeze())
    }

    /// Whether the broker has hung up meanwhile, or says something that nobody asked for.
    pub(super) fn is_stale(&self) -> bool {
        let mut byte = [0];
        match self.stream.try_read(&mut byte) {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    fn broken(&self, error: &std::io::Error) -> String {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => format!(
                "{} closed the connection; a listener for TLS or SASL does that too, and this client speaks neither",
                self.address
            ),
            _ => format!("lost the connection to {}: {}", self.address, words(error)),
        }
    }
}

/// What `work` yields, or `None` if it takes longer than `limit`; it is cancelled then.
pub(super) async fn within<T>(
    clock: &dyn Clock,
    limit: std::time::Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep(limit) => None,
    }
}

/// An I/O error without the number of the operating system.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => error
            .to_string()
            .split(" (os error")
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}
