//! Versions that the codec crate does not know (old ones that Kafka 4 no longer takes, and two new ones), put into the nearest version it knows, and the answers back.
//!
//! They cost nothing but this file, and clients of 2026 still send them (Burrow, Beats, Terraform's provider). Always true: the rest of the server sees only
//! the newer version; a request is taken apart with every length checked, and nothing is guessed: what the old version lacks gets the meaning it had then.
//! Where to look next: `../server/dispatch.rs` calls `upgraded` and `downgraded`.

use bytes::{Buf, BufMut, BytesMut};
use kafka_protocol::messages::ApiKey;

use super::wire_reader::{Malformed, WireReader};

/// The version an old request is worked on as, if it is one of those in this file.
pub fn stands_for(api: ApiKey, version: i16) -> Option<i16> {
    match (api, version) {
        (ApiKey::ListOffsets, 0) => Some(1),
        (ApiKey::ListOffsets, 11) => Some(10),
        (ApiKey::CreateTopics, 0 | 1) => Some(2),
        (ApiKey::DeleteTopics, 0) => Some(1),
        (ApiKey::DescribeConfigs, 0) => Some(1),
        (ApiKey::DescribeLogDirs, 0) => Some(1),
        (ApiKey::DescribeLogDirs, 5) => Some(4),
        _ => None,
    }
}

/// The lowest version served with the help of this file; none for APIs it does not know.
pub fn floor(api: ApiKey) -> Option<i16> {
    stands_for(api, 0).map(|_| 0)
}

/// The highest version served with the help of this file: one the codec does not know yet, asked for as in the one before.
pub fn ceiling(api: ApiKey) -> Option<i16> {
    match api {
        // KIP-1023 only gives a meaning to timestamp -6.
        ApiKey::ListOffsets => Some(11),
        // KIP-1066 tells which directories take nothing new.
        ApiKey::DescribeLogDirs => Some(5),
        _ => None,
    }
}

/// The body of an old request as `stands_for` has it.
pub fn upgraded(api: ApiKey, version: i16, body: BytesMut) -> Result<BytesMut, Malformed> {
    match (api, version) {
        (ApiKey::ListOffsets, 0) => list_offsets(body),
        // Version 0 cannot ask for mere validation, or for synonyms.
        (ApiKey::CreateTopics, 0) | (ApiKey::DescribeConfigs, 0) => {
            let mut body = body;
            body.put_u8(0);
            Ok(body)
        }
        _ => Ok(body),
    }
}

/// Copies strings and numbers from an old body to a new one.
struct Transcriber {
    from: WireReader,
    to: BytesMut,
}

impl Transcriber {
    fn new(body: BytesMut) -> Self {
        let to = BytesMut::with_capacity(body.len() + 64);
        Self {
            from: WireReader::new(body, false),
            to,
        }
    }

    fn i32(&mut self, what: &'static str) -> Result<(), Malformed> {
        let value = self.from.i32(what)?;
        self.to.put_i32(value);
        Ok(())
    }

    fn i16(&mut self, what: &'static str) -> Result<(), Malformed> {
        let value = self.from.i16(what)?;
        self.to.put_i16(value);
        Ok(())
    }

    fn u8(&mut self, what: &'static str) -> Result<(), Malformed> {
        let value = self.from.u8(what)?;
        self.to.put_u8(value);
        Ok(())
    }

    fn i64(&mut self, what: &'static str) -> Result<(), Malformed> {
        let value = self.from.i64(what)?;
        self.to.put_i64(value);
        Ok(())
    }

    fn string(&mut self, what: &'static str) -> Result<(), Malformed> {
        let text = self.from.nullable_string(what)?;
        put_string(&mut self.to, text.as_deref());
        Ok(())
    }

    fn count(&mut self, what: &'static str, element_bytes: usize) -> Result<usize, Malformed> {
        let count = self.from.count(what, element_bytes)?;
        self.to.put_i32(count as i32);
        Ok(count)
    }
}

fn put_string(to: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => {
            to.put_i16(text.len() as i16);
            to.put_slice(text.as_bytes());
        }
        None => to.put_i16(-1),
    }
}

/// Version 0 asks how many offsets it wants; version 1 always answers one.
fn list_offsets(body: BytesMut) -> Result<BytesMut, Malformed> {
    let mut transcriber = Transcriber::new(body);
    transcriber.i32("replica id")?;
    for _ in 0..transcriber.count("topics", 6)? {
        transcriber.string("topic")?;
        for _ in 0..transcriber.count("partitions", 16)? {
            transcriber.i32("partition")?;
            transcriber.i64("timestamp")?;
            transcriber.from.i32("max offsets")?;
        }
    }
    Ok(transcriber.to)
}

/// The body of an answer to `stands_for`'s version, as the old version has it.
pub fn downgraded(api: ApiKey, version: i16, body: BytesMut) -> Result<BytesMut, Malformed> {
    match (api, version) {
        (ApiKey::ListOffsets, 0) => listed_offsets(body),
        (ApiKey::CreateTopics, 0 | 1) => created_topics(body, version),
        (ApiKey::DeleteTopics, 0) => {
            // Nobody was throttled then.
            let mut body = body;
            body.advance(4);
            Ok(body)
        }
        (ApiKey::DescribeConfigs, 0) => described_configs(body),
        (ApiKey::DescribeLogDirs, 5) => described_log_dirs(body),
        _ => Ok(body),
    }
}

/// Version 5 says of each directory, behind its other fields, whether it is cordoned: none is. A node has one directory, whose tagged fields and those of the
/// answer end the body, all of them absent.
fn described_log_dirs(mut body: BytesMut) -> Result<BytesMut, Malformed> {
    const ONE_ELEMENT: u8 = 2;
    let mut reader = WireReader::new(body.clone(), true);
    reader.i32("throttle time")?;
    reader.i16("error")?;
    let directories = reader.u8("directories")?;
    assert!(
        directories == ONE_ELEMENT && body.ends_with(&[0, 0]),
        "an answer with one directory and no tagged fields"
    );
    body.put_u8(0);
    Ok(body)
}

/// Version 0 answers a list of offsets.
fn listed_offsets(body: BytesMut) -> Result<BytesMut, Malformed> {
    let mut transcriber = Transcriber::new(body);
    for _ in 0..transcriber.count("topics", 6)? {
        transcriber.string("topic")?;
        for _ in 0..transcriber.count("partitions", 22)? {
            transcriber.i32("partition")?;
            transcriber.i16("error")?;
            transcriber.from.i64("timestamp")?;
            let offset = transcriber.from.i64("offset")?;
            if offset < 0 {
                transcriber.to.put_i32(0);
            } else {
                transcriber.to.put_i32(1);
                transcriber.to.put_i64(offset);
            }
        }
    }
    Ok(transcriber.to)
}

/// Versions 0 and 1 know no throttling, version 0 no messages.
fn created_topics(body: BytesMut, version: i16) -> Result<BytesMut, Malformed> {
    let mut transcriber = Transcriber::new(body);
    transcriber.from.i32("throttle time")?;
    for _ in 0..transcriber.count("topics", 6)? {
        transcriber.string("topic")?;
        transcriber.i16("error")?;
        let message = transcriber.from.nullable_string("message")?;
        if version >= 1 {
            put_string(&mut transcriber.to, message.as_deref());
        }
    }
    Ok(transcriber.to)
}

/// Version 0 says only whether a value is the default, and knows no synonyms.
fn described_configs(body: BytesMut) -> Result<BytesMut, Malformed> {
    /// KIP-226.
    const DEFAULT_SOURCE: u8 = 5;
    let mut transcriber = Transcriber::new(body);
    transcriber.i32("throttle time")?;
    for _ in 0..transcriber.count("results", 9)? {
        transcriber.i16("error")?;
        transcriber.string("message")?;
        transcriber.u8("resource type")?;
        transcriber.string("resource")?;
        for _ in 0..transcriber.count("configs", 11)? {
            transcriber.string("name")?;
            transcriber.string("value")?;
            transcriber.u8("read-only")?;
            let source = transcriber.from.u8("source")?;
            transcriber.to.put_u8((source == DEFAULT_SOURCE).into());
            transcriber.u8("sensitive")?;
            for _ in 0..transcriber.from.count("synonyms", 5)? {
                transcriber.from.nullable_string("name")?;
                transcriber.from.nullable_string("value")?;
                transcriber.from.u8("source")?;
            }
        }
    }
    Ok(transcriber.to)
}

#[cfg(test)]
#[path = "legacy_test.rs"]
mod legacy_test;
