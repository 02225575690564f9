//! The request header: what a request is, whose, and how its answer is recognised.
//!
//! Read before anything else is believed: versions 1 (plain) and 2 (tagged fields). The client id is a nullable plain string in both
//! (KIP-482 left it so, because the broker must read it before it knows whether it understands the version).

use bytes::{Buf, BytesMut};
use kafka_protocol::messages::ApiKey;
use thiserror::Error;

/// What every request begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Key of the API.
    pub api_key: i16,
    /// Version of the request, and of its answer.
    pub api_version: i16,
    /// Sent back with the answer.
    pub correlation_id: i32,
    /// How the client calls itself; unchecked text.
    pub client_id: Option<String>,
}

/// Why a header cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HeaderError {
    /// The frame ends inside the header.
    #[error("request header ends after {0} bytes")]
    Short(usize),
    /// The client id is not text.
    #[error("client id is not UTF-8")]
    ClientId,
    /// A length lies outside the frame.
    #[error("request header holds a length of {0}")]
    Length(i64),
}

impl RequestHeader {
    /// Takes the header off the front of a frame.
    pub fn take(frame: &mut BytesMut) -> Result<Self, HeaderError> {
        let bytes = frame.len();
        if bytes < 10 {
            return Err(HeaderError::Short(bytes));
        }
        let (api_key, api_version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
        let client_id = match frame.get_i16() {
            -1 => None,
            length => {
                let length = usize::try_from(length).map_err(|_| HeaderError::Length(length.into()))?;
                if frame.len() < length {
                    return Err(HeaderError::Length(length as i64));
                }
                let text = frame.split_to(length);
                Some(
                    std::str::from_utf8(&text)
                        .map_err(|_| HeaderError::ClientId)?
                        .to_owned(),
                )
            }
        };
        if ApiKey::try_from(api_key).is_ok_and(|key| key.request_header_version(api_version) >= 2) {
            skip_tagged_fields(frame)?;
        }
        Ok(Self {
            api_key,
            api_version,
            correlation_id,
            client_id,
        })
    }
}

/// Unknown tagged fields are skipped, never refused.
fn skip_tagged_fields(frame: &mut BytesMut) -> Result<(), HeaderError> {
    for _ in 0..uvarint(frame)? {
        uvarint(frame)?;
        let length = uvarint(frame)? as usize;
        if frame.len() < length {
            return Err(HeaderError::Length(length as i64));
        }
        frame.advance(length);
    }
    Ok(())
}

fn uvarint(frame: &mut BytesMut) -> Result<u32, HeaderError> {
    let mut value = 0u32;
    for shift in (0..35).step_by(7) {
        if !frame.has_remaining() {
            return Err(HeaderError::Short(0));
        }
        let byte = frame.get_u8();
        value |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(HeaderError::Length(-1))
}

#[cfg(test)]
#[path = "header_test.rs"]
mod header_test;
