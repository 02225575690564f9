//! The Produce request (key 0), versions 3 to 13, read without copying its records.
//!
//! The codec crate would share the frame among all partitions; here each partition's batches are split off as bytes that can be changed in place,
//! which is what the broker does to give them their offsets. Version 9 is the first flexible one, 13 names topics by id.

use bytes::BytesMut;
use uuid::Uuid;

use super::wire_reader::{Malformed, WireReader};
use crate::record::BatchBytes;

/// Frames up to this size lie in a buffer shared with their neighbours: their batches are copied, so that a small batch that stays in memory
/// does not hold on to a large buffer.
const SHARED_FRAME_BYTES: usize = super::frame::SMALL_READ;

/// A decoded request.
#[derive(Debug)]
pub struct ProduceRequest {
    /// Whose transaction.
    pub transactional_id: Option<String>,
    /// -1 all, 0 none, 1 leader; unchecked.
    pub acks: i16,
    /// How long the client waits for replicas.
    pub timeout_ms: i32,
    /// What goes where.
    pub topics: Vec<ProduceTopic>,
}

/// One topic of a request.
#[derive(Debug)]
pub struct ProduceTopic {
    /// Its name, below version 13.
    pub name: String,
    /// Its id, from version 13 on; else nil.
    pub id: Uuid,
    /// Partition and batches.
    pub partitions: Vec<(i32, BatchBytes)>,
}

/// Reads the body of a request.
pub fn decode(body: BytesMut, version: i16) -> Result<ProduceRequest, Malformed> {
    let copies = body.len() <= SHARED_FRAME_BYTES;
    let flexible = version >= 9;
    let mut reader = WireReader::new(body, flexible);
    let transactional_id = reader.nullable_string("transactional id")?;
    let acks = reader.i16("acks")?;
    let timeout_ms = reader.i32("timeout")?;
    let (topic_bytes, partition_bytes) = if flexible { (3, 6) } else { (6, 8) };
    let count = reader.count("topics", topic_bytes)?;
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        let (name, id) = if version >= 13 {
            (String::new(), reader.uuid("topic id")?)
        } else {
            (reader.string("topic name")?, Uuid::nil())
        };
        let count = reader.count("partitions", partition_bytes)?;
        let mut partitions = Vec::with_capacity(count);
        for _ in 0..count {
            let index = reader.i32("partition")?;
            let records = reader.nullable_bytes("records")?.unwrap_or_default();
            let records = if copies {
                BatchBytes::Own(BytesMut::from(&records[..]))
            } else {
                BatchBytes::Own(records)
            };
            reader.skip_tagged_fields()?;
            partitions.push((index, records));
        }
        reader.skip_tagged_fields()?;
        topics.push(ProduceTopic { name, id, partitions });
    }
    reader.skip_tagged_fields()?;
    Ok(ProduceRequest {
        transactional_id,
        acks,
        timeout_ms,
        topics,
    })
}

#[cfg(test)]
#[path = "produce_request_test.rs"]
mod produce_request_test;
