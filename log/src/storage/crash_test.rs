//! Whole stores on a simulated disk, driven by a seed and crashed at random: between steps, and in the middle of one at a random kill point.
//! Whatever was acknowledged must be there afterwards, whatever is there must have been sent, once, and every derived file must equal the log.
//! A failing seed is printed; `MILLPOND_SEED=n cargo test -p millpond-log --lib crash_test` replays it, `MILLPOND_SEEDS=n` runs more.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::crash_model::{Model, Outcome, check_committed, ensure, latest_by_key};
use super::disk_sim::{CrashMode, SimDisk};
use super::mortal_disk::MortalDisk;
use super::store_testing::*;
use super::verify::verify;
use super::{CleanupPolicy, LogStore, PartitionHandle, StorageError, TopicConfig};
use crate::clock::{Clock, SimClock};
use crate::faults::{Faults, Sabotage};
use crate::types::Offset;

struct Sim {
    clock: Arc<SimClock>,
    dead: Arc<Mutex<Arc<AtomicBool>>>,
    disk: SimDisk,
    rng: fastrand::Rng,
    faults: Faults,
    trigger: Arc<Mutex<Option<(u32, CrashMode)>>>,
    store: Option<LogStore>,
    models: Vec<Model>,
    next_value: u32,
}

const MODES: [CrashMode; 4] = [
    CrashMode::LoseUnsynced,
    CrashMode::KeepRandomPrefix,
    CrashMode::KeepRandomSubset,
    CrashMode::KeepAll,
];

impl Sim {
    fn new(seed: u64, sabotage: &[Sabotage]) -> Sim {
        let disk = SimDisk::new(seed);
        let trigger: Arc<Mutex<Option<(u32, CrashMode)>>> = Arc::default();
        let dead: Arc<Mutex<Arc<AtomicBool>>> = Arc::default();
        let (armed, target, killed) = (Arc::clone(&trigger), disk.clone(), Arc::clone(&dead));
        let faults = Faults::with_sabotage(sabotage.iter().copied()).on_point(Arc::new(move |_| {
            let mut armed = armed.lock();
            match *armed {
                Some((0, mode)) => {
                    *armed = None;
                    killed.lock().store(true, Ordering::SeqCst);
                    target.crash(mode);
                }
                Some((left, mode)) => *armed = Some((left - 1, mode)),
                None => {}
            }
        }));
        Sim {
            clock: Arc::new(SimClock::new(1_700_000_000_000)),
            dead,
            disk,
            rng: fastrand::Rng::with_seed(seed),
            faults,
            trigger,
            store: None,
            models: Vec::new(),
            next_value: 0,
        }
    }

    fn handle(&self, p: usize) -> Option<PartitionHandle> {
        self.store.as_ref()?.partition(&partition(p as i32))
    }

    async fn open(&mut self) -> Result<LogStore, StorageError> {
        let dead: Arc<AtomicBool> = Arc::default();
        *self.dead.lock() = Arc::clone(&dead);
        let mut options = options(&self.disk, self.faults.clone());
        options.disk = Arc::new(MortalDisk {
            disk: self.disk.shared(),
            dead,
        });
        options.clock = Arc::<SimClock>::clone(&self.clock);
        // Drawn from the seed: with and without a journal, with few and many handles.
        options.config.journal_bytes = [0, 16 << 10, 64 << 10][self.rng.usize(..3)];
        options.config.open_files_max = [4, 64][self.rng.usize(..2)];
        options.config.cleaner_map_bytes = [100, 10_000][self.rng.usize(..2)];
        LogStore::open(options).await
    }

    fn config(compacted: bool) -> TopicConfig {
        TopicConfig {
            segment_bytes: 700,
            index_interval_bytes: 100,
            delete_retention_ms: 50,
            file_delete_delay_ms: 10,
            cleanup_policy: CleanupPolicy {
                delete: false,
                compact: compacted,
            },
            ..TopicConfig::default()
        }
    }

    async fn run(&mut self, steps: usize) -> Outcome {
        let store = self.open().await.map_err(|e| e.to_string())?;
        for p in 0..self.rng.usize(2..14) {
            let compacted = p % 3 == 1;
            create(&store, p as i32, Self::config(compacted)).await;
            self.models.push(Model {
                compacted,
                ..Model::default()
            });
        }
        self.store = Some(store);
        for _ in 0..steps {
            match self.rng.u32(..100) {
                0..70 => self.burst().await?,
                70..76 => self.delete_records().await?,
                76..82 => self.compact().await?,
                82..90 => {
                    let pause = Duration::from_millis(self.rng.u64(1..300));
                    self.clock.sleep(pause).await;
                }
                90..92 => self.stop_cleanly().await?,
                92..95 => {
                    let mode = MODES[self.rng.usize(..4)];
                    self.crash_and_recover(Some(mode)).await?;
                }
                _ => *self.trigger.lock() = Some((self.rng.u32(..20), MODES[self.rng.usize(..4)])),
            }
            let failed = self.dead.lock().load(Ordering::SeqCst)
                || self.store.as_ref().is_some_and(|s| s.failure().is_some());
            if failed {
                self.crash_and_recover(None).await?;
            }
            self.check_reads()?;
        }
        self.crash_and_recover(Some(CrashMode::LoseUnsynced)).await
    }

    /// Sends a few appends and markers at once, each producer at most one.
    async fn burst(&mut self) -> Outcome {
        enum Sent {
            Plain,
            Data(usize),
            Marker(usize),
        }
        let mut sent = Vec::new();
        let mut futures: Vec<BoxFuture<'static, Result<super::AppendAck, StorageError>>> = Vec::new();
        let mut busy = BTreeSet::new();
        for _ in 0..self.rng.usize(1..12) {
            let p = self.rng.usize(..self.models.len());
            let Some(handle) = self.handle(p) else {
                return Err(format!("partition {p} is gone"));
            };
            let who = self.rng.usize(..4);
            if who >= 2 {
                let value = self.fresh_value();
                let key = self.key(p, &value);
                let bytes = batch(None, false, &[(&key, Some(&value))]);
                self.models[p].unknown.insert(value.clone());
                sent.push((p, value, Sent::Plain));
                futures.push(Box::pin(async move { append(&handle, bytes).await }));
                continue;
            }
            if !busy.insert((p, who)) {
                continue;
            }
            let id = who as i64 + 1;
            let producer = self.models[p].producers[who].clone();
            if let Some(commit) = producer
                .unknown_marker
                .or((producer.in_txn && producer.unknown.is_none() && self.rng.bool())
                    .then(|| self.rng.bool()))
            {
                self.models[p].producers[who].unknown_marker = Some(commit);
                sent.push((p, String::new(), Sent::Marker(who)));
                futures.push(Box::pin(async move { marker(&handle, id, 0, commit).await }));
                continue;
            }
            let (bytes, value) = match producer.unknown {
                // The same batch again, as a client retries.
                Some(again) => again,
                None => {
                    let value = self.fresh_value();
                    let key = self.key(p, &value);
                    let transactional = producer.in_txn || self.rng.bool();
                    let bytes = batch(
                        Some((id, 0, producer.next_sequence)),
                        transactional,
                        &[(&key, Some(&value))],
                    );
                    let state = &mut self.models[p].producers[who];
                    state.unknown = Some((bytes.clone(), value.clone()));
                    state.in_txn |= transactional;
                    (bytes, value)
                }
            };
            self.models[p].unknown.insert(value.clone());
            sent.push((p, value, Sent::Data(who)));
            futures.push(Box::pin(async move { append(&handle, bytes).await }));
        }
        for ((p, value, kind), result) in sent.into_iter().zip(futures::future::join_all(futures).await) {
            let model = &mut self.models[p];
            match (result, kind) {
                (Ok(ack), Sent::Plain | Sent::Data(_)) if value.is_empty() => {
                    return Err(format!("an append of nothing was acknowledged: {ack:?}"));
                }
                (Ok(ack), Sent::Plain) => model.acknowledge(ack.base_offset, value),
                (Ok(ack), Sent::Data(who)) => {
                    model.acknowledge(ack.base_offset, value);
                    model.producers[who].next_sequence += 1;
                    model.producers[who].unknown = None;
                }
                (Ok(_), Sent::Marker(who)) => {
                    model.producers[who].unknown_marker = None;
                    model.producers[who].in_txn = false;
                }
                (Err(StorageError::LogDirOffline { .. } | StorageError::Io { .. }), _) => {}
                (Err(error), _) => return Err(format!("partition {p}: {error}")),
            }
        }
        Ok(())
    }

    fn fresh_value(&mut self) -> String {
        self.next_value += 1;
        format!("v{}", self.next_value)
    }

    /// Compacted partitions have few keys; elsewhere each record has its own.
    fn key(&mut self, p: usize, value: &str) -> String {
        if self.models[p].compacted {
            format!("k{}", self.rng.u32(..4))
        } else {
            value.to_owned()
        }
    }

    async fn delete_records(&mut self) -> Outcome {
        let p = self.rng.usize(..self.models.len());
        let Some(handle) = self.handle(p).filter(|_| !self.models[p].compacted) else {
            return Ok(());
        };
        let end = handle.offsets().high_watermark.get();
        let before = self.rng.i64(self.models[p].log_start..=end);
        if let Ok(start) = handle.delete_records(Some(Offset::new(before))).await {
            self.models[p].log_start = self.models[p].log_start.max(start.get());
        }
        Ok(())
    }

    async fn compact(&mut self) -> Outcome {
        let p = self.rng.usize(..self.models.len());
        let Some(handle) = self.handle(p).filter(|_| self.models[p].compacted) else {
            return Ok(());
        };
        let before = latest_by_key(&handle)?;
        let Some(store) = &self.store else { return Ok(()) };
        match store.compact(&partition(p as i32), self.rng.bool()).await {
            Ok(_) => match latest_by_key(&handle) {
                // The machine went off right behind the compaction; what it left is looked at when it is on again.
                Err(_) if self.dead.lock().load(Ordering::SeqCst) => Ok(()),
                after => ensure(before == after?, || {
                    format!("compaction of partition {p} changed {before:?}")
                }),
            },
            Err(StorageError::LogDirOffline { .. } | StorageError::Io { .. }) => Ok(()),
            Err(error) => Err(format!("compaction of partition {p}: {error}")),
        }
    }

    async fn stop_cleanly(&mut self) -> Outcome {
        let Some(store) = self.store.take() else {
            return Ok(());
        };
        let stopped = store.shutdown().await;
        if self.dead.lock().load(Ordering::SeqCst) || stopped.is_err() {
            return self.recover().await;
        }
        let report = verify(&self.disk.shared(), Path::new("/data")).map_err(|e| e.to_string())?;
        ensure(report.is_clean(), || format!("after a clean stop: {report:#?}"))?;
        self.recover().await
    }

    async fn crash_and_recover(&mut self, mode: Option<CrashMode>) -> Outcome {
        if let Some(mode) = mode {
            self.dead.lock().store(true, Ordering::SeqCst);
            self.disk.crash(mode);
        }
        ensure(self.dead.lock().load(Ordering::SeqCst), || {
            format!(
                "the store failed without a crash: {:?}",
                self.store.as_ref().and_then(|s| s.failure())
            )
        })?;
        self.store = None;
        self.recover().await
    }

    /// Opens the store, possibly crashing on the way, until it is open; then compares it with the model.
    async fn recover(&mut self) -> Outcome {
        let report = verify(&self.disk.shared(), Path::new("/data")).map_err(|e| e.to_string())?;
        ensure(report.is_clean(), || {
            format!("after a crash: {:#?}", report.all_problems().collect::<Vec<_>>())
        })?;
        let mut tries = 0;
        let store = loop {
            tries += 1;
            if tries > 3 || self.rng.bool() {
                *self.trigger.lock() = None;
            }
            match self.open().await {
                Ok(store) if !self.dead.lock().load(Ordering::SeqCst) => break store,
                Ok(_) => {}
                Err(error) if !self.dead.lock().load(Ordering::SeqCst) => {
                    return Err(format!("the store does not open: {error}"));
                }
                Err(_) => {}
            }
        };
        *self.trigger.lock() = None;
        // Recovery of what was just recovered changes nothing.
        drop(store);
        let once = self.disk.digest();
        self.disk.crash(CrashMode::KeepAll);
        let store = self
            .open()
            .await
            .map_err(|e| format!("the second recovery fails: {e}"))?;
        ensure(self.disk.digest() == once, || {
            "recovering twice gives other bytes than once".to_owned()
        })?;
        for p in 0..self.models.len() {
            let Some(handle) = store.partition(&partition(p as i32)) else {
                return Err(format!("partition {p} is gone"));
            };
            if let Some(damage) = handle.damage() {
                return Err(format!("taken for damage: {damage}"));
            }
            handle
                .update_config(Self::config(self.models[p].compacted))
                .await
                .map_err(|e| e.to_string())?;
            self.models[p]
                .compare(&handle)
                .map_err(|e| format!("partition {p}: {e}"))?;
        }
        self.store = Some(store);
        Ok(())
    }

    fn check_reads(&self) -> Outcome {
        for p in 0..self.models.len() {
            let Some(handle) = self.handle(p) else {
                return Err(format!("partition {p} is gone"));
            };
            check_committed(&handle).map_err(|e| format!("partition {p}: {e}"))?;
        }
        Ok(())
    }
}

fn run(seed: u64, steps: usize, sabotage: &[Sabotage]) -> (Outcome, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut sim = Sim::new(seed, sabotage);
        let outcome = sim.run(steps).await;
        (outcome, sim.disk.digest())
    })
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("MILLPOND_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MILLPOND_SEEDS").unwrap_or(60),
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_appears_twice_whatever_crashes() {
    for seed in seeds() {
        if let (Err(what), _) = run(seed, 120, &[]) {
            panic!(
                "seed {seed}: {what}\nreplay: MILLPOND_SEED={seed} cargo test -p millpond-log --lib crash_test"
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in [3, 17] {
        assert_eq!(run(seed, 60, &[]).1, run(seed, 60, &[]).1, "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_caught() {
    for bug in [
        Sabotage::SkipFsync,
        Sabotage::AckBeforeDurable,
        Sabotage::LastStableOffsetOffByOne,
        Sabotage::SkipSequenceCheck,
    ] {
        let caught = (0..40).any(|seed| run(seed, 120, &[bug]).0.is_err());
        assert!(caught, "{bug:?} went unnoticed");
    }
}
