//! An owner loop: the only writer of its share of the partitions.
//!
//! One task, one bounded inbox, one slab of partitions. Commands are taken in the order they were sent; each is short (a write into the page cache at
//! most), what blocks longer goes to the flusher or runs off the reactor. When the inbox is full, senders wait: memory does not grow.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::aborted_segments;
use super::cleaner::CleanedGroup;
use super::flush_queue::{DirtyFile, FlushQueue};
use super::log_dir::LogDir;
use super::partition_log::{Appended, PartitionLog};
use super::prepared_append::PreparedAppend;
use super::producer_state::ProducerDescription;
use super::roll::RollReason;
use super::settings::{Durability, TopicConfig};
use super::snapshots::{self, write_snapshot};
use super::storage_error::StorageError;
use crate::record::ControlRecord;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// What an owner loop can be asked. `key` names the partition.
#[derive(Debug)]
pub(super) enum Command {
    /// Takes over a partition.
    Insert {
        log: Box<PartitionLog>,
        reply: oneshot::Sender<()>,
    },
    /// Lets go of a partition.
    Remove { key: u64, reply: oneshot::Sender<()> },
    /// See `PartitionHandle::append`.
    Append {
        key: u64,
        append: PreparedAppend,
        reply: oneshot::Sender<Result<Appended, StorageError>>,
    },
    /// See `PartitionHandle::append_control`.
    AppendControl {
        key: u64,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        record: ControlRecord,
        reply: oneshot::Sender<Result<Appended, StorageError>>,
    },
    /// See `PartitionHandle::delete_records`.
    DeleteRecords {
        key: u64,
        before: Option<Offset>,
        reply: oneshot::Sender<Result<Offset, StorageError>>,
    },
    /// New settings.
    UpdateConfig {
        key: u64,
        config: TopicConfig,
        reply: oneshot::Sender<()>,
    },
    /// Deletes what retention no longer keeps; answers with the number of segments.
    Retain {
        key: u64,
        reply: oneshot::Sender<Result<usize, StorageError>>,
    },
    /// Closes the active segment if it holds anything, so that it can be compacted or deleted.
    Roll {
        key: u64,
        reply: oneshot::Sender<Result<(), StorageError>>,
    },
    /// Last batches of all producers, for compaction.
    LastBatches {
        key: u64,
        reply: oneshot::Sender<BTreeMap<ProducerId, Offset>>,
    },
    /// See `PartitionHandle::describe_producers`.
    DescribeProducers {
        key: u64,
        reply: oneshot::Sender<Vec<ProducerDescription>>,
    },
    /// Puts compacted segments in the place of old ones.
    Swap {
        key: u64,
        group: CleanedGroup,
        reply: oneshot::Sender<Result<(), StorageError>>,
    },
    /// See `PartitionHandle::end_of_epoch`.
    EndOfEpoch {
        key: u64,
        epoch: LeaderEpoch,
        reply: oneshot::Sender<Option<(LeaderEpoch, Offset)>>,
    },
    /// Frees what idle partitions hold and forgets expired producers.
    Tidy { reply: oneshot::Sender<()> },
    /// Writes a snapshot of every partition and ends the loop.
    Stop { reply: oneshot::Sender<()> },
}

/// The loop's state.
pub(super) struct Owner {
    dir: Arc<LogDir>,
    flush: Arc<FlushQueue>,
    slab: BTreeMap<u64, PartitionLog>,
}

impl Owner {
    pub(super) fn new(dir: Arc<LogDir>, flush: Arc<FlushQueue>) -> Self {
        Self {
            dir,
            flush,
            slab: BTreeMap::new(),
        }
    }

    /// The loop; ends with `Stop` or when every handle is gone. An asker that went away does not need its answer, so failed sends are fine.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        while let Some(command) = inbox.recv().await {
            if let Command::Stop { reply } = command {
                self.stop();
                reply.send(()).ok();
                return;
            }
            self.handle(command).await;
        }
    }

    async fn handle(&mut self, command: Command) {
        match command {
            Command::Append { key, append, reply } => {
                let now = self.dir.clock.now_ms();
                if let Some(log) = self.slab.get_mut(&key) {
                    reply.send(log.append(append, now)).ok();
                }
            }
            Command::AppendControl {
                key,
                producer_id,
                producer_epoch,
                record,
                reply,
            } => {
                let now = self.dir.clock.now_ms();
                if let Some(log) = self.slab.get_mut(&key) {
                    reply
                        .send(log.append_control(producer_id, producer_epoch, record, now))
                        .ok();
                }
            }
            Command::Insert { log, reply } => {
                self.slab.insert(log.shared.key, *log);
                reply.send(()).ok();
            }
            Command::Remove { key, reply } => {
                self.slab.remove(&key);
                reply.send(()).ok();
            }
            Command::DeleteRecords { key, before, reply } => {
                if let Some(log) = self.slab.get_mut(&key) {
                    reply.send(log.delete_records(before).await).ok();
                }
            }
            Command::UpdateConfig { key, config, reply } => {
                if let Some(log) = self.slab.get_mut(&key) {
                    update_config(log, config);
                    reply.send(()).ok();
                }
            }
            Command::Retain { key, reply } => {
                if let Some(log) = self.slab.get_mut(&key) {
                    reply.send(log.retain().await).ok();
                }
            }
            Command::Roll { key, reply } => {
                if let Some(log) = self.slab.get_mut(&key) {
                    reply.send(log.roll_if_used(RollReason::Time)).ok();
                }
            }
            Command::LastBatches { key, reply } => {
                if let Some(log) = self.slab.get(&key) {
                    reply.send(log.last_batches()).ok();
                }
            }
            Command::DescribeProducers { key, reply } => {
                if let Some(log) = self.slab.get(&key) {
                    reply.send(log.producers.describe()).ok();
                }
            }
            Command::EndOfEpoch { key, epoch, reply } => {
                if let Some(log) = self.slab.get(&key) {
                    reply.send(log.end_of_epoch(epoch)).ok();
                }
            }
            Command::Swap { key, group, reply } => {
                if let Some(log) = self.slab.get_mut(&key) {
                    reply.send(log.swap(group).await).ok();
                }
            }
            Command::Tidy { reply } => {
                self.tidy();
                reply.send(()).ok();
            }
            Command::Stop { .. } => unreachable!("the loop takes it"),
        }
    }

    fn tidy(&mut self) {
        let expired_before = self
            .dir
            .clock
            .now_ms()
            .saturating_sub(self.dir.config.producer_id_expiration_ms);
        for log in self.slab.values_mut() {
            log.producers.expire(expired_before);
            if let Err(error) = log.shared.active().flush_indexes() {
                self.dir.fail(&error);
                return;
            }
        }
    }

    /// True if the next start finds all it needs without anything being written now: nothing was appended since the last snapshot, and that is
    /// on the medium; or nothing ever was. Thousands of idle partitions would otherwise cost thousands of syncs.
    fn is_at_rest(&self, log: &PartitionLog) -> bool {
        let end = log.next_offset();
        log.shared.synced_end() == end && (end == Offset::ZERO || self.has_snapshot(log, end))
    }

    fn has_snapshot(&self, log: &PartitionLog, at: Offset) -> bool {
        let path = snapshots::path_of(&log.shared.path, at);
        // A disk that cannot tell is no reason to leave something out.
        matches!(self.dir.disk.exists(&path), Ok(true))
    }

    fn stop(&mut self) {
        for log in std::mem::take(&mut self.slab).into_values() {
            if log.shared.damage().is_some() {
                continue;
            }
            if self.is_at_rest(&log) {
                continue;
            }
            let active = log.shared.active();
            let snapshot = write_snapshot(&log.shared, &log.producers, log.next_offset());
            let (partition, closing) = (Arc::clone(&log.shared), Arc::clone(&active));
            self.flush.push_chore(Box::new(move || {
                closing.close()?;
                closing.sync_indexes()?;
                aborted_segments::note(&partition, &closing)?;
                snapshot()
            }));
            // Page-cache topics too: after a clean stop nothing has to be checked.
            match active.log_file(&self.dir) {
                Ok(file) => {
                    let dirty = DirtyFile {
                        base_offset: active.base_offset(),
                        file,
                    };
                    self.flush
                        .push(&log.shared, log.next_offset(), dirty, 0, None, true);
                }
                Err(error) => self.dir.fail(&error),
            }
        }
    }
}

fn update_config(log: &PartitionLog, config: TopicConfig) {
    let durability = config.durability;
    let was = log.shared.config().durability;
    log.shared.set_config(config);
    if was == durability {
        return;
    }
    log.shared.publish(|marks| marks.set_durability(durability));
    if durability == Durability::Fsync {
        // What was written under page-cache becomes durable too, or the durable end would never catch up with the log.
        for segment in log.shared.segments().from(log.shared.synced_end()) {
            match segment.log_file(&log.shared.dir) {
                Ok(file) => {
                    let dirty = DirtyFile {
                        base_offset: segment.base_offset(),
                        file,
                    };
                    log.flush()
                        .push(&log.shared, log.next_offset(), dirty, 0, None, true);
                }
                Err(error) => log.shared.dir.fail(&error),
            }
        }
    }
}
