//! The record that says that stream time went on while input was idle: kept in the topic `{app}-{source topic}-time`, so that a replay does the same at the same place.
//!
//! ```text
//! version u8 = 1 | number u64 | stream time i64 | n u32, n × (length u16, topic, offset i64)     numbers big-endian
//! ```
//! Always true: a task writes its marks in the transaction in which it acted on them; their numbers ascend by one, and the last one is part of the saved clock. So a
//! mark that is read again is either known (number not above the clock's) or belongs where the inputs have reached `positions`.
//! Next: `runtime/partition_group.rs`, which holds input back at a mark; `runtime/idle.rs`, which decides that it is time for one.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use millpond_log::types::{Offset, Timestamp, TopicName};

const VERSION: u8 = 1;

/// Stream time went on at a point of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeMark {
    /// Counted per task, from 1.
    pub number: u64,
    /// Stream time from here on, in ms.
    pub time: Timestamp,
    /// For each input topic of the task the offset of the next record.
    pub positions: Vec<(TopicName, Offset)>,
}

/// Bytes that are no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of the time topic is damaged or of a later version")]
pub struct DamagedMark;

impl TimeMark {
    /// The mark as the value of a record.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        out.put_u64(self.number);
        out.put_i64(self.time);
        out.put_u32(self.positions.len() as u32);
        for (topic, offset) in &self.positions {
            out.put_u16(topic.as_str().len() as u16);
            out.put_slice(topic.as_str().as_bytes());
            out.put_i64(offset.get());
        }
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(mut bytes: &[u8]) -> Result<TimeMark, DamagedMark> {
        fn take<T>(read: Result<T, bytes::TryGetError>) -> Result<T, DamagedMark> {
            read.map_err(|_| DamagedMark)
        }
        if take(bytes.try_get_u8())? != VERSION {
            return Err(DamagedMark);
        }
        let number = take(bytes.try_get_u64())?;
        let time = take(bytes.try_get_i64())?;
        let mut positions = Vec::new();
        for _ in 0..take(bytes.try_get_u32())? {
            let len = usize::from(take(bytes.try_get_u16())?);
            let (topic, rest) = bytes.split_at_checked(len).ok_or(DamagedMark)?;
            bytes = rest;
            let topic = std::str::from_utf8(topic).map_err(|_| DamagedMark)?;
            let topic = TopicName::new(topic).map_err(|_| DamagedMark)?;
            positions.push((topic, Offset::new(take(bytes.try_get_i64())?)));
        }
        match bytes.is_empty() {
            true => Ok(TimeMark {
                number,
                time,
                positions,
            }),
            false => Err(DamagedMark),
        }
    }
}

#[cfg(test)]
mod time_mark_test {
    use super::*;

    #[test]
    fn a_mark_comes_back_as_it_was_and_damage_is_found() {
        let topic = |name| TopicName::new(name).expect("legal");
        let mark = TimeMark {
            number: 3,
            time: -5,
            positions: vec![(topic("a"), Offset::new(7)), (topic("orders"), Offset::ZERO)],
        };
        let bytes = mark.encode();
        assert_eq!(TimeMark::decode(&bytes), Ok(mark));
        for len in 0..bytes.len() {
            assert_eq!(TimeMark::decode(&bytes[..len]), Err(DamagedMark));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(TimeMark::decode(&longer), Err(DamagedMark));
    }
}
