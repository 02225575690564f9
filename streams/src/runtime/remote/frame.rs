//! Frames: a length, a header, a body. Bytes only, no socket.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};

/// Longest answer that is read. A broker sends more than it is asked for only when a single batch is larger.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// A request as it goes over the socket. Errs with a sentence when a field does not exist in this version or the request is too long.
pub(super) fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &StrBytes,
) -> Result<BytesMut, String> {
    use kafka_protocol::protocol::Encodable;
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(client_id.clone()));
    let size = request.compute_size(version).map_err(|error| error.to_string())?;
    let mut frame = BytesMut::with_capacity(size + 64);
    frame.put_i32(0);
    header
        .encode(&mut frame, R::header_version(version))
        .and_then(|()| request.encode(&mut frame, version))
        .map_err(|error| error.to_string())?;
    let length =
        i32::try_from(frame.len() - 4).map_err(|_| format!("a request of {size} bytes is too long"))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// The length of the answer that follows these four bytes. Errs with what it is instead.
pub(super) fn answer_length(prefix: [u8; 4]) -> Result<usize, &'static str> {
    match prefix {
        // A TLS alert or handshake record, and the first letters of an HTTP answer, where a length should be.
        [0x15 | 0x16, 0x03, ..] => return Err("speaks TLS, and this client plaintext only"),
        [b'H', b'T', b'T', b'P'] => return Err("is a web server, not a Kafka broker"),
        _ => {}
    }
    usize::try_from(i32::from_be_bytes(prefix))
        .ok()
        .filter(|length| (4..=FRAME_BYTES_MAX).contains(length))
        .ok_or("does not speak Kafka's protocol")
}

/// The answer behind its header, which must carry this correlation id.
pub(super) fn decode<R: Request>(
    mut answer: Bytes,
    version: i16,
    correlation_id: i32,
) -> Result<R::Response, String> {
    let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version))
        .map_err(|error| error.to_string())?;
    if header.correlation_id != correlation_id {
        let found = header.correlation_id;
        return Err(format!("it answers request {found} instead of {correlation_id}"));
    }
    R::Response::decode(&mut answer, version).map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "frame_test.rs"]
mod frame_test;
