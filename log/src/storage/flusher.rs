//! The flusher of one log directory: makes appended bytes durable, then publishes how far.
//!
//! One cycle at a time takes everything dirty, picks the cheaper way (`flush_plan.rs`), and only after the sync returned raises the durable ends,
//! which wakes the waiting acknowledgements. Behind it, one catch-up at a time syncs the segments whose bytes went through the journal, cuts the
//! journal, does chores, and stores the recovery points, at most `checkpoint_interval` after they moved.
//! Always: a durable end is published after its sync, never before; after the first error nothing is published any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::checkpoints::{self, Points};
use super::disk::{DiskExt, DiskResult};
use super::flush_plan::{DirtySummary, FlushPlan, choose};
use super::flush_queue::{Chore, Dirty, FlushQueue};
use super::journal::{self, Journal};
use super::journal_format::piece_overhead;
use super::log_dir::LogDir;
use super::partition::Partition;
use crate::faults::Sabotage;
use crate::types::Offset;

/// Files synced at the same time.
const PARALLEL_SYNCS: usize = 8;

/// Runs the flusher until `stop` is heard; then everything is made durable and the answer is sent.
pub(super) struct Flusher {
    dir: Arc<LogDir>,
    queue: Arc<FlushQueue>,
    journal: Option<Journal>,
    /// Durable only through the journal so far.
    lagging: BTreeMap<u64, Dirty>,
    catch_up: Option<JoinHandle<CaughtUp>>,
    /// Synced while a catch-up was running: recovery points to raise after it.
    after_catch_up: Vec<(Arc<Partition>, Offset)>,
    recovery_points_moved: bool,
    next_checkpoint: Duration,
}

/// Fails the directory when the flusher panics: nobody else could, and whoever waits for durability would wait for ever.
struct Unwound(Arc<LogDir>);

impl Drop for Unwound {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The failure first: who begins to wait from here on looks at it before parking.
            self.0
                .fail_because("the flusher panicked; see the log for the message".to_owned());
            let partitions: Vec<_> = self.0.registry.read().values().cloned().collect();
            for partition in partitions {
                partition.release_durable_waiters();
            }
        }
    }
}

/// What a catch-up did.
struct CaughtUp {
    result: DiskResult<()>,
    journal_file: Option<usize>,
    done: Vec<Dirty>,
}

impl Flusher {
    pub(super) fn new(dir: Arc<LogDir>, queue: Arc<FlushQueue>) -> Self {
        let journal_bytes = dir.config.journal_bytes;
        let journal =
            (journal_bytes > 0).then(|| Journal::new(&dir.path, Arc::clone(&dir.disk), journal_bytes));
        Self {
            dir,
            queue,
            journal,
            lagging: BTreeMap::new(),
            catch_up: None,
            after_catch_up: Vec::new(),
            recovery_points_moved: false,
            next_checkpoint: Duration::ZERO,
        }
    }

    /// The loop. Dropping it is a crash: nothing more is published. A panic fails the directory.
    pub(super) async fn run(mut self, mut stop: mpsc::Receiver<oneshot::Sender<()>>) {
        let _unwound = Unwound(Arc::clone(&self.dir));
        loop {
            let tick = self.next_tick();
            tokio::select! {
                biased;
                () = self.queue.wake.notified() => self.drain().await,
                caught_up = finished(&mut self.catch_up) => self.on_caught_up(caught_up),
                stopped = stop.recv() => {
                    if let Some(done) = stopped {
                        self.finish().await;
                        done.send(()).ok();
                    }
                    return;
                }
                () = tick => self.start_catch_up(),
            }
        }
    }

    fn next_tick(&self) -> futures::future::BoxFuture<'static, ()> {
        if !self.is_behind() {
            return Box::pin(std::future::pending());
        }
        self.dir
            .clock
            .sleep(self.next_checkpoint.saturating_sub(self.dir.clock.monotonic()))
    }

    async fn drain(&mut self) {
        loop {
            self.keep_up().await;
            let dirty = self.queue.take();
            if dirty.is_empty() {
                break;
            }
            self.cycle(dirty).await;
            if self.journal.as_ref().is_some_and(Journal::is_filling)
                || self.lagging.len() > self.dir.config.open_files_max / 2
            {
                self.start_catch_up();
            }
        }
        // Chores and unhurried syncs start as soon as there is nothing urgent.
        if self.catch_up.is_none() && self.queue.has_unhurried() {
            self.spawn_catch_up(Vec::new(), None);
        }
    }

    /// What the main loop does between two drains. Under a load that never pauses a drain does not end, and what runs behind it would wait for
    /// ever: recovery points, the other journal file, chores.
    async fn keep_up(&mut self) {
        if self.catch_up.as_ref().is_some_and(JoinHandle::is_finished) {
            let caught_up = finished(&mut self.catch_up).await;
            self.on_caught_up(caught_up);
        }
        if self.is_behind() && self.dir.clock.monotonic() >= self.next_checkpoint {
            self.start_catch_up();
        }
    }

    /// True if a catch-up has something to do and none is running.
    fn is_behind(&self) -> bool {
        self.catch_up.is_none() && (self.recovery_points_moved || !self.lagging.is_empty())
    }

    async fn cycle(&mut self, dirty: Vec<Dirty>) {
        let began = self.dir.clock.monotonic();
        let result = if self.dir.failure(true).is_some() {
            None
        } else {
            Some(self.make_durable(&dirty).await)
        };
        match result {
            Some(Ok(plan)) => {
                let took = self.dir.clock.monotonic().saturating_sub(began);
                let bytes = dirty.iter().map(|item| item.bytes).sum();
                self.dir.metrics.on_flush(dirty.len(), bytes, took);
                self.dir.faults.point("K2");
                for item in dirty {
                    item.partition.publish(|marks| marks.on_durable(item.end));
                    match plan {
                        FlushPlan::Journal => match self.lagging.entry(item.partition.key) {
                            std::collections::btree_map::Entry::Occupied(mut lagging) => {
                                lagging.get_mut().merge(item)
                            }
                            std::collections::btree_map::Entry::Vacant(free) => {
                                free.insert(Dirty {
                                    pieces: Vec::new(),
                                    ..item
                                });
                            }
                        },
                        FlushPlan::SyncSegments => self.on_synced(item),
                    }
                }
            }
            Some(Err(error)) => {
                self.dir.fail(&error);
                release(&dirty);
            }
            None => release(&dirty),
        }
    }

    /// The segments of `item` are synced themselves: its recovery point may move, once no older bytes of it wait elsewhere.
    fn on_synced(&mut self, item: Dirty) {
        if self.catch_up.is_some() {
            // The running catch-up may be about to sync older bytes of this partition.
            self.after_catch_up.push((Arc::clone(&item.partition), item.end));
            self.lagging
                .retain(|key, lagging| *key != item.partition.key || !covers(&item, lagging));
            return;
        }
        if let Some(lagging) = self.lagging.get_mut(&item.partition.key) {
            if !covers(&item, lagging) {
                lagging.merge(item);
                return;
            }
            self.lagging.remove(&item.partition.key);
        }
        item.partition.raise_synced_end(item.end);
        self.recovery_points_moved = true;
    }

    async fn make_durable(&mut self, dirty: &[Dirty]) -> DiskResult<FlushPlan> {
        let overhead: u64 = dirty
            .iter()
            .flat_map(|d| &d.pieces)
            .map(|p| piece_overhead(&p.directory) as u64)
            .sum();
        let summary = DirtySummary {
            files: dirty.iter().map(|d| d.files.len()).sum(),
            bytes: dirty.iter().map(|d| d.bytes).sum::<u64>() + overhead,
            directories: dirty.iter().filter(|d| d.directory).count(),
            in_memory: dirty.iter().all(|d| d.in_memory),
            journal_room: self.journal.as_ref().map_or(0, Journal::room),
        };
        let plan = choose(&summary);
        let skip_sync = self.dir.faults.sabotaged(Sabotage::SkipFsync);
        match (plan, &mut self.journal) {
            (FlushPlan::Journal, Some(journal)) => {
                let pieces: Vec<_> = dirty.iter().flat_map(|d| d.pieces.iter().cloned()).collect();
                let frame = journal.prepare(&pieces)?;
                self.dir.disk.blocking(move || frame.write(skip_sync)).await?;
                Ok(FlushPlan::Journal)
            }
            _ => {
                if !skip_sync {
                    sync_all(&self.dir, dirty).await?;
                }
                Ok(FlushPlan::SyncSegments)
            }
        }
    }

    /// Starts syncing what lags behind the journal, if no catch-up is running.
    fn start_catch_up(&mut self) {
        if self.catch_up.is_some() || self.dir.failure(true).is_some() {
            return;
        }
        let journal_file = match &mut self.journal {
            Some(journal) if journal.has_frames() => journal.switch(),
            _ => None,
        };
        // Without a switch the frames stay where they are, and so must the segments that lag behind them, unless there are no frames at all.
        let switched = journal_file.is_some() || self.journal.as_ref().is_none_or(|j| !j.has_frames());
        let lagging = if switched {
            std::mem::take(&mut self.lagging)
        } else {
            BTreeMap::new()
        };
        self.spawn_catch_up(lagging.into_values().collect(), journal_file);
    }

    fn spawn_catch_up(&mut self, mut items: Vec<Dirty>, journal_file: Option<usize>) {
        if self.dir.failure(true).is_some() {
            self.recovery_points_moved = false;
            return;
        }
        self.next_checkpoint = self.dir.clock.monotonic() + self.dir.config.checkpoint_interval;
        // The points first, then the chores: whatever segment a point has passed, its chore is among those taken, or done.
        let points = checkpoints::recovery_points(&self.dir);
        let (unhurried, chores) = self.queue.take_unhurried();
        items.extend(unhurried);
        let write_points = std::mem::take(&mut self.recovery_points_moved) || !items.is_empty();
        let points = write_points.then_some(points);
        let dir = Arc::clone(&self.dir);
        self.catch_up = Some(tokio::spawn(async move {
            let result = catch_up(&dir, &items, chores, points).await;
            CaughtUp {
                result,
                journal_file,
                done: items,
            }
        }));
    }

    fn on_caught_up(&mut self, caught_up: CaughtUp) {
        self.catch_up = None;
        match caught_up.result {
            Ok(()) => {
                if let (Some(journal), Some(file)) = (&mut self.journal, caught_up.journal_file) {
                    journal.release(file);
                }
                for item in caught_up.done {
                    item.partition.publish(|marks| marks.on_durable(item.end));
                }
                for (partition, end) in self.after_catch_up.drain(..) {
                    partition.raise_synced_end(end);
                    self.recovery_points_moved = true;
                }
            }
            Err(error) => {
                self.dir.fail(&error);
                // Whoever waits is released by the cycle this wakes.
                self.queue.wake.notify_one();
            }
        }
    }

    /// Makes everything durable in the segments themselves; the journal ends empty.
    async fn finish(&mut self) {
        self.drain().await;
        loop {
            if self.catch_up.is_some() {
                let caught_up = finished(&mut self.catch_up).await;
                self.on_caught_up(caught_up);
            }
            if self.dir.failure(true).is_some() {
                return;
            }
            if self.lagging.is_empty() {
                break;
            }
            self.start_catch_up();
        }
        let points = checkpoints::recovery_points(&self.dir);
        let (items, chores) = self.queue.take_unhurried();
        let stopped = match catch_up(&self.dir, &items, chores, Some(points)).await {
            // Every segment is synced: the journal has nothing left to say.
            Ok(()) => journal::remove_files(&self.dir.path, &*self.dir.disk),
            Err(error) => Err(error),
        };
        if let Err(error) = stopped {
            self.dir.fail(&error);
        }
    }
}

/// True if every file of `lagging` was just synced as part of `item`.
fn covers(item: &Dirty, lagging: &Dirty) -> bool {
    lagging
        .files
        .iter()
        .all(|l| item.files.iter().any(|f| f.base_offset == l.base_offset))
}

/// Syncs, then chores, then the recovery points; in this order, so that a stored point never runs ahead of its segments.
async fn catch_up(
    dir: &Arc<LogDir>,
    items: &[Dirty],
    chores: Vec<Chore>,
    points: Option<Points>,
) -> DiskResult<()> {
    if !dir.faults.sabotaged(Sabotage::SkipFsync) {
        sync_all(dir, items).await?;
    }
    for chore in chores {
        dir.disk.blocking(chore).await?;
    }
    for item in items {
        item.partition.raise_synced_end(item.end);
    }
    if let Some(mut points) = points {
        let synced: BTreeSet<u64> = items.iter().map(|i| i.partition.key).collect();
        for (partition, point) in &mut points {
            if synced.contains(&partition.key) {
                *point = partition.recovery_point();
            }
        }
        let shared = Arc::clone(dir);
        dir.disk
            .blocking(move || checkpoints::write_recovery_points(&shared, &points))
            .await?;
    }
    Ok(())
}

/// Syncs all files and directories of `items`, several at a time.
async fn sync_all(dir: &Arc<LogDir>, items: &[Dirty]) -> DiskResult<()> {
    let mut jobs: Vec<Box<dyn FnOnce() -> DiskResult<()> + Send>> = Vec::new();
    for item in items {
        for dirty in &item.files {
            let file = Arc::clone(&dirty.file);
            jobs.push(Box::new(move || file.sync_data()));
        }
        if item.directory {
            let (disk, partition) = (Arc::clone(&dir.disk), Arc::clone(&item.partition));
            jobs.push(Box::new(move || match disk.sync_dir(&partition.path) {
                // Its topic was deleted after this cycle began, and took the directory along: nothing is left to make durable.
                Err(error) if partition.is_gone() && error.is_not_found() => Ok(()),
                synced => synced,
            }));
        }
    }
    let mut lanes: Vec<Vec<_>> = Vec::new();
    lanes.resize_with(PARALLEL_SYNCS.min(jobs.len()), Vec::new);
    let lane_count = lanes.len().max(1);
    for (i, job) in jobs.into_iter().enumerate() {
        lanes[i % lane_count].push(job);
    }
    let runs = lanes.into_iter().map(|lane| {
        dir.disk
            .blocking(move || lane.into_iter().try_for_each(|job| job()))
    });
    join_all(runs).await.into_iter().collect()
}

fn release(dirty: &[Dirty]) {
    for item in dirty {
        item.partition.release_durable_waiters();
    }
}

/// Resolves when the running catch-up, if any, is done.
async fn finished(catch_up: &mut Option<JoinHandle<CaughtUp>>) -> CaughtUp {
    match catch_up {
        Some(running) => match running.await {
            Ok(done) => done,
            Err(lost) => std::panic::resume_unwind(lost.into_panic()),
        },
        None => std::future::pending().await,
    }
}
