//! What storage counts: appends, those it refuses for what is in them, reads, flushes.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::storage::StorageError;

/// What was wrong with a client's batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum RefusedFor {
    /// The checksum or the form of a batch.
    CorruptBatch,
    /// A record that is malformed or has no key, or a batch of a kind that clients may not write.
    InvalidRecord,
    /// A record's timestamp.
    InvalidTimestamp,
    /// Size of a batch.
    TooLarge,
}

/// Label: why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabel {
    reason: RefusedFor,
}

/// Counters of one log directory. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct StorageMetrics {
    appended_bytes: Counter,
    appended_batches: Counter,
    appended_records: Counter,
    refused: Family<RefusedLabel, Counter>,
    read_bytes: Counter,
    tail_hits: Counter,
    tail_misses: Counter,
    flush_seconds: Histogram,
    flush_bytes: Histogram,
    flush_partitions: Histogram,
}

impl Default for StorageMetrics {
    fn default() -> Self {
        Self {
            appended_bytes: Counter::default(),
            appended_batches: Counter::default(),
            appended_records: Counter::default(),
            refused: Family::default(),
            read_bytes: Counter::default(),
            tail_hits: Counter::default(),
            tail_misses: Counter::default(),
            flush_seconds: super::seconds(),
            flush_bytes: super::bytes(),
            flush_partitions: Histogram::new((0..14).map(|power| f64::from(1u32 << power))),
        }
    }
}

impl StorageMetrics {
    /// Batches were written.
    pub(crate) fn on_append(&self, batches: usize, records: u64, bytes: usize) {
        self.appended_batches.inc_by(batches as u64);
        self.appended_records.inc_by(records);
        self.appended_bytes.inc_by(bytes as u64);
    }

    /// An append was refused for what is in it. Other refusals are not counted: they are about the partition or the producer.
    pub(crate) fn on_refused(&self, refused: &StorageError) {
        let reason = match refused {
            StorageError::InvalidBatch { .. } => RefusedFor::CorruptBatch,
            StorageError::InvalidRecords { refused, .. } if refused.is_about_time() => {
                RefusedFor::InvalidTimestamp
            }
            StorageError::InvalidRecord { .. }
            | StorageError::InvalidRecords { .. }
            | StorageError::InvalidContent { .. } => RefusedFor::InvalidRecord,
            StorageError::BatchTooLarge { .. } => RefusedFor::TooLarge,
            _ => return,
        };
        self.refused.get_or_create(&RefusedLabel { reason }).inc();
    }

    /// Batches were read, from memory or from files.
    pub(crate) fn on_read(&self, bytes: usize, from_memory: bool) {
        self.read_bytes.inc_by(bytes as u64);
        if from_memory {
            self.tail_hits.inc();
        } else {
            self.tail_misses.inc();
        }
    }

    /// A group of writes was made durable.
    pub(crate) fn on_flush(&self, partitions: usize, bytes: u64, took: Duration) {
        self.flush_partitions.observe(partitions as f64);
        self.flush_bytes.observe(bytes as f64);
        self.flush_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let log = registry.sub_registry_with_prefix("log");
        log.register_with_unit(
            "appended",
            "Batches written to partitions, markers and records of coordinators included",
            Unit::Bytes,
            self.appended_bytes.clone(),
        );
        log.register(
            "appended_batches",
            "Batches written",
            self.appended_batches.clone(),
        );
        log.register(
            "appended_records",
            "Records written",
            self.appended_records.clone(),
        );
        log.register(
            "rejected_appends",
            "Appends to a partition turned away for what is in them, by reason",
            self.refused.clone(),
        );
        log.register_with_unit("read", "Batches read", Unit::Bytes, self.read_bytes.clone());
        log.register(
            "tail_cache_hits",
            "Reads answered from memory",
            self.tail_hits.clone(),
        );
        log.register(
            "tail_cache_misses",
            "Reads that went to files",
            self.tail_misses.clone(),
        );
        log.register_with_unit(
            "flush_duration",
            "Time to make a group of writes durable",
            Unit::Seconds,
            self.flush_seconds.clone(),
        );
        log.register_with_unit(
            "flush_size",
            "Bytes made durable together",
            Unit::Bytes,
            self.flush_bytes.clone(),
        );
        log.register(
            "flush_partitions",
            "Partitions made durable together",
            self.flush_partitions.clone(),
        );
    }
}
