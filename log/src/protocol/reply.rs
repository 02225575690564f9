//! An answer on its way to the socket: its bytes, in pieces, so that records are never copied into it.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Encodable;
use smallvec::SmallVec;
use thiserror::Error;

/// A whole framed answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    chunks: SmallVec<[Bytes; 4]>,
    bytes: usize,
}

/// An answer the codec refuses to write: a bug of ours (a field the version does not have).
#[derive(Debug, Error)]
#[error("cannot encode the answer of {api:?} version {version}: {cause}")]
pub struct EncodeError {
    /// Of which API.
    pub api: ApiKey,
    /// At which version.
    pub version: i16,
    /// What the codec says.
    pub cause: String,
}

impl Reply {
    /// The answer to one request: length, header, body.
    pub fn encode<T: Encodable>(
        api: ApiKey,
        version: i16,
        correlation_id: i32,
        body: &T,
    ) -> Result<Self, EncodeError> {
        let size = body
            .compute_size(version)
            .map_err(|cause| refused(api, version, cause))?;
        let mut bytes = BytesMut::with_capacity(size + 9);
        begin(&mut bytes, api, version, correlation_id);
        body.encode(&mut bytes, version)
            .map_err(|cause| refused(api, version, cause))?;
        Ok(Self::framed(bytes, []))
    }

    /// Puts the length in front: `head` begins with four bytes left free for it, `rest` follows.
    pub fn framed(mut head: BytesMut, rest: impl IntoIterator<Item = Bytes>) -> Self {
        let mut chunks: SmallVec<[Bytes; 4]> = SmallVec::new();
        chunks.push(Bytes::new());
        chunks.extend(rest);
        let bytes = head.len() + chunks.iter().map(Bytes::len).sum::<usize>();
        head[..4].copy_from_slice(&((bytes - 4) as u32).to_be_bytes());
        chunks[0] = head.freeze();
        Self { chunks, bytes }
    }

    /// Its bytes behind the length, as one piece.
    pub fn into_frame(self) -> BytesMut {
        let mut frame = BytesMut::with_capacity(self.bytes);
        for chunk in self.chunks {
            frame.extend_from_slice(&chunk);
        }
        frame.split_off(4)
    }

    /// Its pieces, in order.
    pub fn into_chunks(self) -> impl Iterator<Item = Bytes> {
        self.chunks.into_iter()
    }

    /// How long it is.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// True for nothing at all, which is what a produce without acks is answered.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

/// Begins an answer: room for the length, then the header.
pub fn begin(bytes: &mut BytesMut, api: ApiKey, version: i16, correlation_id: i32) {
    bytes.put_i32(0);
    bytes.put_i32(correlation_id);
    if api.response_header_version(version) >= 1 {
        bytes.put_u8(0);
    }
}

fn refused(api: ApiKey, version: i16, cause: impl std::fmt::Display) -> EncodeError {
    EncodeError {
        api,
        version,
        cause: format!("{cause:#}"),
    }
}
