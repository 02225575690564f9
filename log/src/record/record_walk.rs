//! Reads how the records of a batch are laid out: lengths, deltas, counts; keys, values and headers are stepped over.
//!
//! What a broker must know of a stranger's batch before it keeps it: that every reader can take it apart again. Always true: records that are not packed
//! take no memory at all; packed ones go through one buffer of [`BUFFER_BYTES`] and the codec's own state, whatever they unpack to. What this walk
//! takes, [`super::DecodedBatch::iter`] takes too, and the offsets follow one another without a gap (the fuzz target `batch` holds both against each other).
//! Where to look next: `storage/record_rules.rs` says what a topic asks of each record.

use std::io::{self, BufRead, BufReader, Read};

use super::batch_run::BatchSlice;
use super::compression::{Compression, DecodeLimits};
use super::error::BatchError;
use super::header::{BATCH_HEADER_SIZE, BatchHeader};
use super::varint::{take_i32, take_i64};
use crate::types::Timestamp;

/// Unpacked bytes held at a time.
const BUFFER_BYTES: usize = 32 << 10;
/// Longest varint of the format.
const VARINT_BYTES_MAX: usize = 10;

/// What the walk saw of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkedRecord {
    /// False if the key is null.
    pub has_key: bool,
    /// When it happened, in ms, by the clock of whoever wrote it, also where the batch carries the broker's.
    pub timestamp: Timestamp,
}

impl BatchSlice<'_> {
    /// Shows every record to `visit`, with its place in the batch. Errs with `InvalidRecord`, which names the record, if the records are not exactly as many as the
    /// header counts, numbered from the base offset on without a gap and whole; with `Decompress` and `TooLargeUnpacked` if they cannot be unpacked.
    /// What was visited before an error is not to be trusted.
    pub fn walk_records(
        &self,
        limits: DecodeLimits,
        visit: impl FnMut(usize, WalkedRecord),
    ) -> Result<(), BatchError> {
        let payload = &self.bytes[BATCH_HEADER_SIZE..];
        let codec = self.header.compression();
        if codec == Compression::None {
            return Fields::of(payload)
                .walk(&self.header, visit)
                .map_err(|broken| broken.in_batch(codec));
        }
        let most = limits.most_for(payload.len());
        let unpacked = codec.reader(payload, limits)?.take(most as u64 + 1);
        let mut fields = Fields::of(BufReader::with_capacity(BUFFER_BYTES, unpacked));
        let walked = fields.walk(&self.header, visit);
        // Cut off at the cap, a payload looks broken; what is wrong with it is its size.
        if fields.taken > most {
            return Err(codec.too_large(most));
        }
        walked.map_err(|broken| broken.in_batch(codec))
    }
}

/// Why the walk ended early.
enum Broken {
    Record { index: usize, reason: &'static str },
    Payload(io::Error),
}

impl Broken {
    #[cold]
    fn in_batch(self, codec: Compression) -> BatchError {
        match self {
            Broken::Record { index, reason } => BatchError::InvalidRecord { index, reason },
            Broken::Payload(error) => codec.corrupt(error),
        }
    }
}

/// Why a field cannot be read; whoever asked for the field knows which it is.
enum Unread {
    Field,
    Payload(io::Error),
}

/// The fields of records, taken off the front.
struct Fields<R> {
    input: R,
    taken: usize,
}

impl<R: BufRead> Fields<R> {
    fn of(input: R) -> Self {
        Self { input, taken: 0 }
    }

    fn walk(
        &mut self,
        header: &BatchHeader,
        mut visit: impl FnMut(usize, WalkedRecord),
    ) -> Result<(), Broken> {
        for index in 0..header.record_count() {
            let mut wrong = "";
            match self.record(header.base_timestamp(), index, &mut wrong) {
                Ok(record) => visit(index, record),
                Err(Unread::Field) => return Err(Broken::Record { index, reason: wrong }),
                Err(Unread::Payload(error)) => return Err(Broken::Payload(error)),
            }
        }
        if self.input.fill_buf().map_err(Broken::Payload)?.is_empty() {
            return Ok(());
        }
        Err(Broken::Record {
            index: header.record_count(),
            reason: "more follows than the batch counts",
        })
    }

    /// Takes one record; `wrong` says what is wrong with it on error.
    #[inline]
    fn record(
        &mut self,
        base_timestamp: Timestamp,
        index: usize,
        wrong: &mut &'static str,
    ) -> Result<WalkedRecord, Unread> {
        *wrong = "length is missing or no length";
        let length = usize::try_from(self.int32()?).map_err(|_| Unread::Field)?;
        let begun = self.taken;
        // Attributes: no bit is in use.
        *wrong = "it ends before its fields do";
        self.skip(1)?;
        *wrong = "timestamp delta is no varint, or leads out of time";
        let timestamp_delta = self.int64()?;
        let timestamp = base_timestamp.checked_add(timestamp_delta).ok_or(Unread::Field)?;
        *wrong = "offset delta is not its place in the batch";
        if i64::from(self.int32()?) != index as i64 {
            return Err(Unread::Field);
        }
        *wrong = "key passes the end of the batch";
        let has_key = self.skip_nullable()?;
        *wrong = "value passes the end of the batch";
        self.skip_nullable()?;
        *wrong = "header count is missing or no count";
        let headers = self.int32()?;
        if headers < 0 {
            return Err(Unread::Field);
        }
        *wrong = "header has no name, or passes the end of the batch";
        for _ in 0..headers {
            // Unlike the value, the name may not be null.
            if !self.skip_nullable()? {
                return Err(Unread::Field);
            }
            self.skip_nullable()?;
        }
        *wrong = "fields do not fill its length";
        if self.taken - begun != length {
            return Err(Unread::Field);
        }
        Ok(WalkedRecord { has_key, timestamp })
    }

    #[inline]
    fn available(&mut self) -> Result<&[u8], Unread> {
        self.input.fill_buf().map_err(Unread::Payload)
    }

    #[inline]
    fn step(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.taken += bytes;
    }

    /// Takes so many bytes and does not look at them.
    #[inline]
    fn skip(&mut self, mut bytes: usize) -> Result<(), Unread> {
        while bytes > 0 {
            let available = self.available()?.len().min(bytes);
            if available == 0 {
                return Err(Unread::Field);
            }
            self.step(available);
            bytes -= available;
        }
        Ok(())
    }

    /// Takes a byte string with its length; false if it is null.
    #[inline]
    fn skip_nullable(&mut self) -> Result<bool, Unread> {
        let length = self.int32()?;
        if length < 0 {
            return if length == -1 {
                Ok(false)
            } else {
                Err(Unread::Field)
            };
        }
        self.skip(length as usize)?;
        Ok(true)
    }

    #[inline]
    fn int32(&mut self) -> Result<i32, Unread> {
        self.varint(take_i32)
    }

    #[inline]
    fn int64(&mut self) -> Result<i64, Unread> {
        self.varint(take_i64)
    }

    #[inline]
    fn varint<T>(&mut self, take: impl Fn(&mut &[u8]) -> Option<T>) -> Result<T, Unread> {
        let available = self.available()?;
        let mut rest = available;
        match take(&mut rest) {
            Some(value) => {
                let used = available.len() - rest.len();
                self.step(used);
                Ok(value)
            }
            None if available.len() >= VARINT_BYTES_MAX => Err(Unread::Field),
            None => self.varint_across(take),
        }
    }

    /// A varint that may lie across the end of the buffer.
    #[cold]
    fn varint_across<T>(&mut self, take: impl Fn(&mut &[u8]) -> Option<T>) -> Result<T, Unread> {
        let mut gathered = [0; VARINT_BYTES_MAX];
        for length in 1..=VARINT_BYTES_MAX {
            let &byte = self.available()?.first().ok_or(Unread::Field)?;
            self.step(1);
            gathered[length - 1] = byte;
            if byte < 0x80 {
                return take(&mut &gathered[..length]).ok_or(Unread::Field);
            }
        }
        Err(Unread::Field)
    }
}

#[cfg(test)]
#[path = "record_walk_test.rs"]
mod record_walk_test;
