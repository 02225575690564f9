//! How far the replay of a changelog is, for listeners and metrics.
//!
//! Always true: a listener that was told of a beginning is told of an end, also when the worker is stopped, or fails, in the middle; the gauge of what remains goes back to
//! what it was.

use std::sync::atomic::Ordering;

use millpond_log::types::{Offset, TopicPartition};

use super::application::{Application, RestorePhase, RestoreProgress};
use crate::metrics::WorkerMetrics;
use crate::state::TaskId;

/// Watches the replay of one changelog.
pub(super) struct RestoreWatch<'a> {
    app: &'a Application,
    metrics: &'a WorkerMetrics,
    progress: RestoreProgress,
    /// Something is to be replayed, so the listener was told.
    is_told: bool,
}

impl<'a> RestoreWatch<'a> {
    /// Begins at `start`; `end` is exclusive.
    pub(super) fn begin(
        app: &'a Application,
        metrics: &'a WorkerMetrics,
        task: TaskId,
        store: &str,
        partition: &TopicPartition,
        start: Offset,
        end: Offset,
    ) -> RestoreWatch<'a> {
        let remaining_offsets = (end.get() - start.get()).max(0);
        metrics
            .restore_remaining
            .fetch_add(remaining_offsets.unsigned_abs(), Ordering::Relaxed);
        let watch = RestoreWatch {
            app,
            metrics,
            progress: RestoreProgress {
                phase: RestorePhase::Started,
                task,
                store: store.to_owned(),
                partition: partition.clone(),
                start_offset: start,
                end_offset: end,
                records: 0,
                bytes: 0,
                remaining_offsets,
            },
            is_told: remaining_offsets > 0,
        };
        watch.count();
        watch.tell();
        watch
    }

    /// A batch was replayed; the changelog goes on at `position`.
    pub(super) fn replayed(&mut self, records: u64, bytes: u64, position: Offset) {
        WorkerMetrics::add(&self.metrics.restored_records, records);
        WorkerMetrics::add(&self.metrics.restored_bytes, bytes);
        self.progress.records += records;
        self.progress.bytes += bytes;
        self.remain((self.progress.end_offset.get() - position.get()).max(0));
        self.progress.phase = RestorePhase::Batch;
        self.tell();
    }

    /// Everything was replayed. Returns the sums.
    pub(super) fn finish(mut self) -> (u64, u64) {
        self.remain(0);
        self.progress.phase = RestorePhase::Ended;
        self.tell();
        (self.progress.records, self.progress.bytes)
    }

    fn remain(&mut self, offsets: i64) {
        let done = (self.progress.remaining_offsets - offsets).max(0);
        self.metrics
            .restore_remaining
            .fetch_sub(done.unsigned_abs(), Ordering::Relaxed);
        self.progress.remaining_offsets -= done;
        self.count();
    }

    fn count(&self) {
        let RestoreProgress {
            task,
            store,
            records,
            remaining_offsets,
            ..
        } = &self.progress;
        let remaining = remaining_offsets.unsigned_abs();
        self.metrics.restored(*task, store, *records, remaining);
    }

    fn tell(&self) {
        if let Some(listener) = self.app.on_restore.as_ref().filter(|_| self.is_told) {
            listener(&self.progress);
        }
    }
}

impl Drop for RestoreWatch<'_> {
    fn drop(&mut self) {
        if self.progress.phase == RestorePhase::Ended {
            return;
        }
        self.progress.phase = RestorePhase::Suspended;
        self.tell();
        self.remain(0);
    }
}
