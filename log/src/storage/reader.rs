//! Reads of one partition: one snapshot of the ends, then the tail cache or the files. The only lock held across I/O is the shared one that keeps a
//! compaction from exchanging files under a read.
//!
//! Always: whole batches, from the one that holds the offset asked for, never beyond the read limit of the snapshot; the first batch even if it is
//! larger than asked for, or a consumer would be stuck before it. A segment that retention or compaction replaced under a reader is looked up
//! again in the new list. Bytes from a file are checked against their checksum: bit rot is an answer, not a surprise in a client.

use std::sync::Arc;

use bytes::Bytes;

use super::batch_walk::{BatchWalk, Step};
use super::log_offsets::{AbortedTxn, Isolation, LogOffsets, ReadResult};
use super::partition::Partition;
use super::segment::Segment;
use super::storage_error::StorageError;
use crate::record::RecordBatch;
use crate::types::{Offset, Timestamp};

/// Times a read starts again because its segment was replaced meanwhile.
const RETRIES: usize = 8;

/// What a read is bounded by.
enum Bounds {
    /// There is nothing to read yet.
    Nothing(ReadResult),
    /// The snapshot of the ends, and the offset to stay below.
    Below(LogOffsets, Offset),
}

impl Partition {
    /// Reads from memory or files; may block for the time of a disk read.
    pub(super) fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        isolation: Isolation,
    ) -> Result<ReadResult, StorageError> {
        let (offsets, limit) = match self.bounds(from, isolation)? {
            Bounds::Nothing(nothing) => return Ok(nothing),
            Bounds::Below(offsets, limit) => (offsets, limit),
        };
        // The list first: a compaction in between may drop data and its entry, never the other way round.
        let aborted = match isolation {
            Isolation::ReadUncommitted => Vec::new(),
            Isolation::ReadCommitted => self.retry(|| self.aborted_within(from, limit))?,
        };
        let (batches, from_memory) = match self.tail.read(from, limit, max_bytes) {
            Some(batches) if !batches.is_empty() => (batches, true),
            _ => (self.retry(|| self.read_files(from, limit, max_bytes))?, false),
        };
        Ok(self.result(batches, aborted, offsets, from_memory))
    }

    /// The same as far as it needs no file: none if one must be read.
    pub(super) fn read_in_memory(
        &self,
        from: Offset,
        max_bytes: usize,
        isolation: Isolation,
    ) -> Result<Option<ReadResult>, StorageError> {
        let (offsets, limit) = match self.bounds(from, isolation)? {
            Bounds::Nothing(nothing) => return Ok(Some(nothing)),
            Bounds::Below(offsets, limit) => (offsets, limit),
        };
        // The list first, as above; its entries are few.
        let aborted = match isolation {
            Isolation::ReadUncommitted => Vec::new(),
            Isolation::ReadCommitted => self.retry(|| self.aborted_within(from, limit))?,
        };
        let batches = match self.tail.read(from, limit, max_bytes) {
            Some(batches) if !batches.is_empty() => batches,
            _ => return Ok(None),
        };
        Ok(Some(self.result(batches, aborted, offsets, true)))
    }

    fn bounds(&self, from: Offset, isolation: Isolation) -> Result<Bounds, StorageError> {
        self.check_present()?;
        let offsets = self.offsets();
        if from < offsets.log_start_offset || from > offsets.log_end_offset {
            return Err(self.out_of_range(from, &offsets));
        }
        let limit = offsets.read_limit(isolation);
        if from < limit {
            return Ok(Bounds::Below(offsets, limit));
        }
        Ok(Bounds::Nothing(ReadResult {
            batches: Vec::new(),
            aborted: Vec::new(),
            offsets,
        }))
    }

    fn result(
        &self,
        batches: Vec<Bytes>,
        aborted: Vec<AbortedTxn>,
        offsets: LogOffsets,
        from_memory: bool,
    ) -> ReadResult {
        let bytes = batches.iter().map(Bytes::len).sum();
        self.dir.metrics.on_read(bytes, from_memory);
        ReadResult {
            batches,
            aborted,
            offsets,
        }
    }

    fn check_present(&self) -> Result<(), StorageError> {
        if self.is_gone() {
            Err(self.unknown())
        } else {
            Ok(())
        }
    }

    fn out_of_range(&self, requested: Offset, offsets: &LogOffsets) -> StorageError {
        StorageError::OffsetOutOfRange {
            partition: self.id.clone(),
            requested,
            log_start_offset: offsets.log_start_offset,
            log_end_offset: offsets.log_end_offset,
        }
    }

    /// Runs `read` again while it fails on files of a segment list that has been replaced meanwhile.
    fn retry<T>(&self, mut read: impl FnMut() -> Result<T, StorageError>) -> Result<T, StorageError> {
        for _ in 0..RETRIES {
            let _same_names = self.names.read();
            let before = self.segments();
            match read() {
                Err(StorageError::Io { .. } | StorageError::Damaged { .. })
                    if !Arc::ptr_eq(&before, &self.segments()) =>
                {
                    continue;
                }
                other => return other,
            }
        }
        let _same_names = self.names.read();
        read()
    }

    fn read_files(&self, from: Offset, limit: Offset, max_bytes: usize) -> Result<Vec<Bytes>, StorageError> {
        let mut batches: Vec<Bytes> = Vec::new();
        let mut size = 0;
        let segments = self.segments();
        for segment in segments.from(from) {
            if segment.base_offset() >= limit {
                break;
            }
            let mut walk = self.walk(segment, from)?.expecting(max_bytes);
            loop {
                // What would not be returned need not be read. The first batch is: a header may be damaged, and a reader must be told, not kept waiting.
                if size > 0
                    && let Ok(Some(header)) = walk.peek_header()?
                    && (header.next_offset() > limit || size + header.size_bytes() > max_bytes)
                {
                    return Ok(batches);
                }
                let batch = match walk.step()? {
                    Step::End => break,
                    Step::Bad(error) => {
                        return Err(self.damaged(segment, walk.position(), &error.to_string()));
                    }
                    Step::Batch(position, batch) => {
                        if batch.last_offset() < from {
                            continue;
                        }
                        batch
                            .check_crc()
                            .map_err(|e| self.damaged(segment, position, &e.to_string()))?;
                        batch
                    }
                };
                if batch.next_offset() > limit || (size > 0 && size + batch.size_bytes() > max_bytes) {
                    return Ok(batches);
                }
                size += batch.size_bytes();
                batches.push(batch.into_bytes());
            }
        }
        Ok(batches)
    }

    /// A walk from the last indexed batch at or before `from`.
    fn walk(&self, segment: &Segment, from: Offset) -> Result<BatchWalk, StorageError> {
        let position = if from <= segment.base_offset() {
            0
        } else {
            segment.position_of(from)
        };
        // The size is taken after the snapshot of the ends, so it covers everything below them.
        Ok(BatchWalk::new(
            segment.log_file(&self.dir)?,
            position,
            segment.size_bytes(),
        ))
    }

    pub(super) fn damaged(&self, segment: &Segment, position: u64, reason: &str) -> StorageError {
        StorageError::Damaged {
            partition: self.id.clone(),
            offset: segment.base_offset(),
            file: segment.log_path().to_path_buf(),
            reason: format!("at byte {position}: {reason}"),
        }
    }

    /// Aborted transactions that overlap `from .. limit`.
    fn aborted_within(&self, from: Offset, limit: Offset) -> Result<Vec<AbortedTxn>, StorageError> {
        let mut found = Vec::new();
        let segments = self.segments();
        // An abort is listed where its marker is, which may be after the data read; so the search runs to the end of the log.
        for segment in segments.from(from) {
            for range in segment.aborted()?.iter() {
                if range.last_offset >= from && range.first_offset < limit {
                    found.push(AbortedTxn {
                        first_offset: range.first_offset,
                        producer_id: range.producer_id,
                    });
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// First record at or after `timestamp` below the high watermark.
    pub(super) fn offset_for_timestamp(
        &self,
        timestamp: Timestamp,
    ) -> Result<Option<(Offset, Timestamp)>, StorageError> {
        self.check_present()?;
        let offsets = self.offsets();
        self.retry(|| self.find_timestamp(timestamp, &offsets))
    }

    fn find_timestamp(
        &self,
        timestamp: Timestamp,
        offsets: &LogOffsets,
    ) -> Result<Option<(Offset, Timestamp)>, StorageError> {
        let segments = self.segments();
        for segment in segments.iter() {
            if segment.base_offset() >= offsets.high_watermark {
                break;
            }
            if segment.max_timestamp().is_none_or(|max| max < timestamp) {
                continue;
            }
            let start = segment.offset_before(timestamp).max(offsets.log_start_offset);
            let mut walk = self.walk(segment, start)?;
            loop {
                match walk.step()? {
                    Step::End => break,
                    Step::Bad(error) => {
                        return Err(self.damaged(segment, walk.position(), &error.to_string()));
                    }
                    Step::Batch(position, batch) => {
                        if batch.next_offset() > offsets.high_watermark {
                            return Ok(None);
                        }
                        if batch.is_control()
                            || batch.max_timestamp() < timestamp
                            || batch.last_offset() < offsets.log_start_offset
                        {
                            continue;
                        }
                        let found = first_at_or_after(&batch, timestamp, offsets.log_start_offset)
                            .map_err(|e| self.damaged(segment, position, &e.to_string()))?;
                        if found.is_some() {
                            return Ok(found);
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    /// The newest timestamp below the high watermark and the first offset that carries it.
    pub(super) fn max_timestamp_offset(&self) -> Result<Option<(Offset, Timestamp)>, StorageError> {
        self.check_present()?;
        let offsets = self.offsets();
        let newest = self.segments().iter().filter_map(|s| s.max_timestamp()).max();
        match newest {
            Some(newest) => self.retry(|| self.find_timestamp(newest, &offsets)),
            None => Ok(None),
        }
    }
}

fn first_at_or_after(
    batch: &RecordBatch,
    timestamp: Timestamp,
    from: Offset,
) -> Result<Option<(Offset, Timestamp)>, crate::record::BatchError> {
    for record in batch.decode()?.iter() {
        let record = record?;
        if record.timestamp >= timestamp && record.offset >= from {
            return Ok(Some((record.offset, record.timestamp)));
        }
    }
    Ok(None)
}
