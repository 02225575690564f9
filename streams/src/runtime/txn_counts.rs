//! What one transaction did, for the metrics.
//!
//! Always true: it reaches the metrics when the transaction is confirmed to be committed, and is dropped with a transaction that is dropped. Work that
//! was lost and done again counts once.

use super::record_collector::Round;
use crate::metrics::WorkerMetrics;
use crate::processor::TaskCounters;

/// Counts of one transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TxnCounts {
    records_in: u64,
    bytes_in: u64,
    records_out: u64,
    bytes_out: u64,
    late_records: u64,
    dead_letters: u64,
    skipped_records: u64,
}

impl TxnCounts {
    /// A run of input of this size went through.
    pub(super) fn processed(&mut self, bytes: usize) {
        self.bytes_in += bytes as u64;
    }

    /// Bytes of input taken in.
    pub(super) fn bytes_in(&self) -> usize {
        usize::try_from(self.bytes_in).unwrap_or(usize::MAX)
    }

    /// What the nodes of a task counted.
    pub(super) fn counted(&mut self, counters: TaskCounters) {
        self.records_in += counters.read;
        self.late_records += counters.late;
        self.dead_letters += counters.dead_letters;
        self.skipped_records += counters.skipped;
    }

    /// Batches are on their way.
    pub(super) fn sent(&mut self, rounds: &[Round]) {
        for round in rounds {
            self.records_out += round.record_counts.iter().sum::<usize>() as u64;
            let sizes = round.partitions.iter().map(|partition| partition.batches.len());
            self.bytes_out += sizes.sum::<usize>() as u64;
        }
    }

    /// The transaction is committed.
    pub(super) fn publish(self, metrics: &WorkerMetrics) {
        WorkerMetrics::add(&metrics.records_in, self.records_in);
        WorkerMetrics::add(&metrics.bytes_in, self.bytes_in);
        WorkerMetrics::add(&metrics.records_out, self.records_out);
        WorkerMetrics::add(&metrics.bytes_out, self.bytes_out);
        WorkerMetrics::add(&metrics.late_records, self.late_records);
        WorkerMetrics::add(&metrics.dead_letters, self.dead_letters);
        WorkerMetrics::add(&metrics.skipped_records, self.skipped_records);
    }
}
