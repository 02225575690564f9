//! The answer to Fetch (key 1), versions 4 to 18, written without copying records.
//!
//! The codec crate would copy every batch into one buffer; here everything between the records is written into one buffer that is cut into pieces, and the
//! batches are put between the pieces as they are. Version 7 has sessions (KIP-227), 12 is the first flexible one, 13 names topics by id, 16 can name a
//! new leader (KIP-951; there is none yet). Records are empty, never null, where there are none: librdkafka reads them without asking.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use uuid::Uuid;

use super::reply::{Reply, begin};
use crate::broker::AbortedTxn;

/// The answer.
#[derive(Debug, Default)]
pub struct FetchResponse {
    /// Error of the whole request (a session's).
    pub error_code: i16,
    /// The session; 0 is none.
    pub session_id: i32,
    /// By topic.
    pub topics: Vec<FetchedTopic>,
}

/// One topic of an answer.
#[derive(Debug)]
pub struct FetchedTopic {
    /// Its name, for versions below 13.
    pub name: Arc<str>,
    /// Its id, for versions from 13 on.
    pub id: Uuid,
    /// Its partitions.
    pub partitions: Vec<FetchedPartition>,
}

/// One partition of an answer.
#[derive(Debug)]
pub struct FetchedPartition {
    /// Its number.
    pub index: i32,
    /// Its error.
    pub error_code: i16,
    /// First offset not yet readable by anyone; -1 with an error.
    pub high_watermark: i64,
    /// First offset of the oldest open transaction; -1 with an error.
    pub last_stable_offset: i64,
    /// First readable offset; -1 with an error.
    pub log_start_offset: i64,
    /// Transactions to filter by; none for read_uncommitted.
    pub aborted: Option<Vec<AbortedTxn>>,
    /// Whole batches.
    pub batches: Vec<Bytes>,
}

/// Writes an answer, framed.
pub fn encode(response: FetchResponse, version: i16, correlation_id: i32) -> Reply {
    let mut writer = Writer {
        buffer: BytesMut::with_capacity(256),
        pieces: Vec::new(),
        flexible: version >= 12,
    };
    begin(&mut writer.buffer, ApiKey::Fetch, version, correlation_id);
    writer.buffer.put_i32(0); // throttle_time_ms
    if version >= 7 {
        writer.buffer.put_i16(response.error_code);
        writer.buffer.put_i32(response.session_id);
    }
    writer.count(response.topics.len());
    for topic in response.topics {
        if version >= 13 {
            writer.buffer.put_slice(topic.id.as_bytes());
        } else {
            writer.string(&topic.name);
        }
        writer.count(topic.partitions.len());
        for partition in topic.partitions {
            writer.partition(partition, version);
        }
        writer.no_tagged_fields();
    }
    writer.no_tagged_fields();
    writer.finish()
}

struct Writer {
    buffer: BytesMut,
    pieces: Vec<Bytes>,
    flexible: bool,
}

impl Writer {
    fn partition(&mut self, partition: FetchedPartition, version: i16) {
        self.buffer.put_i32(partition.index);
        self.buffer.put_i16(partition.error_code);
        self.buffer.put_i64(partition.high_watermark);
        self.buffer.put_i64(partition.last_stable_offset);
        if version >= 5 {
            self.buffer.put_i64(partition.log_start_offset);
        }
        match partition.aborted {
            None => self.null_count(),
            Some(aborted) => {
                self.count(aborted.len());
                for aborted in aborted {
                    self.buffer.put_i64(aborted.producer_id.get());
                    self.buffer.put_i64(aborted.first_offset.get());
                    self.no_tagged_fields();
                }
            }
        }
        if version >= 11 {
            self.buffer.put_i32(-1); // preferred_read_replica
        }
        let bytes = partition.batches.iter().map(Bytes::len).sum::<usize>();
        self.count(bytes);
        for batches in partition.batches {
            self.pieces.push(self.buffer.split().freeze());
            self.pieces.push(batches);
        }
        self.no_tagged_fields();
    }

    fn count(&mut self, count: usize) {
        if self.flexible {
            self.uvarint(count as u64 + 1);
        } else {
            self.buffer.put_i32(count as i32);
        }
    }

    fn null_count(&mut self) {
        if self.flexible {
            self.buffer.put_u8(0);
        } else {
            self.buffer.put_i32(-1);
        }
    }

    fn string(&mut self, text: &str) {
        if self.flexible {
            self.uvarint(text.len() as u64 + 1);
        } else {
            self.buffer.put_i16(text.len() as i16);
        }
        self.buffer.put_slice(text.as_bytes());
    }

    fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    fn no_tagged_fields(&mut self) {
        if self.flexible {
            self.buffer.put_u8(0);
        }
    }

    fn finish(mut self) -> Reply {
        if self.pieces.is_empty() {
            return Reply::framed(self.buffer, []);
        }
        self.pieces.push(self.buffer.freeze());
        let mut pieces = self.pieces.into_iter();
        let head = pieces.next().unwrap_or_default();
        Reply::framed(BytesMut::from(head), pieces)
    }
}

#[cfg(test)]
#[path = "fetch_response_test.rs"]
mod fetch_response_test;
