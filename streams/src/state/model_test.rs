//! Random lives of a task against a plain model of what its state should be.
//!
//! The model keeps three sorted maps per store (committed, frozen, open), a changelog in memory, and the horizon below
//! which panes are expired. After every step the task must see what the open map says, a query what the committed one
//! says, and the host exactly the fold of the changelog up to the offset it claims. A failing seed is in the message.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use millpond_log::faults::{Faults, Sabotage};
use millpond_log::types::Offset;

use super::host_contract::{COUNTS, Machine, MemoryMachine, PANES, RocksMachine, specs, task};
use super::{
    CommitPosition, KeyBatch, KeyRange, StateLimits, StateOptions, StoreIndex, TaskState, Update, window_key,
};

const STORES: [StoreIndex; 2] = [COUNTS, PANES];

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// State of both stores and the pane horizon, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
struct Moment {
    stores: [Map; 2],
    horizon: i64,
}

impl Moment {
    fn store(&mut self, store: StoreIndex) -> &mut Map {
        &mut self.stores[store.get() as usize]
    }

    fn expire(&mut self, horizon: i64) {
        self.horizon = horizon;
        let (_, to) = window_key::panes_before(horizon);
        self.store(PANES).retain(|key, _| key.as_slice() >= to.as_slice());
    }
}

/// A changelog: records with gaps where control records would be.
#[derive(Clone, Debug, Default)]
struct Changelog {
    records: Vec<(i64, Vec<u8>, Option<Vec<u8>>)>,
    next_offset: i64,
}

impl Changelog {
    fn append(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.records
            .push((self.next_offset, key.to_vec(), value.map(<[u8]>::to_vec)));
        self.next_offset += 1;
    }

    fn fold(&self, to: i64) -> Map {
        let mut map = Map::new();
        for (_, key, value) in self.records.iter().take_while(|(offset, ..)| *offset < to) {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        map
    }
}

#[derive(Debug)]
struct Life<M: Machine> {
    seed: u64,
    rng: fastrand::Rng,
    machine: M,
    limits: StateLimits,
    faults: Faults,
    state: Option<TaskState>,
    now: Duration,
    open: Moment,
    frozen: Option<Moment>,
    committed: Moment,
    changelogs: [Changelog; 2],
    /// Changelog records of the frozen transaction: read back only if it commits.
    pending: Vec<(StoreIndex, Vec<u8>, Option<Vec<u8>>)>,
    reopened_at: CommitPosition,
    txn_seq: u64,
}

/// What went wrong, for the tests that expect something to.
type Verdict = Result<(), String>;

impl<M: Machine + Default> Life<M> {
    fn new(seed: u64, faults: Faults) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let limits = StateLimits {
            memory_bytes_max: *rng.choice(&[2_000, 20_000, 1 << 20]).unwrap(),
            apply_bytes: *rng.choice(&[200, 2_000, 1 << 20]).unwrap(),
            apply_interval: Duration::from_secs(10),
            flush_bytes: *rng.choice(&[500, 5_000, 1 << 20]).unwrap(),
            flush_interval: Duration::from_secs(60),
        };
        let mut life = Self {
            seed,
            rng,
            machine: M::default(),
            limits,
            faults,
            state: None,
            now: Duration::ZERO,
            open: Moment::default(),
            frozen: None,
            committed: Moment::default(),
            changelogs: [Changelog::default(), Changelog::default()],
            pending: Vec::new(),
            reopened_at: CommitPosition::default(),
            txn_seq: 0,
        };
        life.reopen().expect("a new state opens");
        life
    }

    fn state(&mut self) -> &mut TaskState {
        self.state.as_mut().unwrap()
    }

    fn live(&mut self, steps: u32) -> Verdict {
        for step in 0..steps {
            self.step()
                .map_err(|error| format!("seed {}, step {step}: {error}", self.seed))?;
        }
        Ok(())
    }

    fn step(&mut self) -> Verdict {
        match self.rng.u32(0..100) {
            0..=29 => self.put(),
            30..=39 => self.count_batch(),
            40..=44 => self.delete(),
            45..=47 => self.expire(),
            48..=57 => self.check_reads()?,
            58..=60 => self.check_scan()?,
            61..=75 => self.freeze_or_commit(),
            76..=77 => self.abort(),
            78..=79 => self.abort_open(),
            80..=89 => self.tick(),
            90..=93 => self.check_queries()?,
            94..=95 => self.check_host()?,
            96..=97 => self.kill()?,
            _ => self.close_and_reopen()?,
        }
        Ok(())
    }

    fn some_key(&mut self, store: StoreIndex) -> Vec<u8> {
        let key = format!("key-{}", self.rng.u32(0..40));
        if store == COUNTS {
            return key.into_bytes();
        }
        let pane = self.open.horizon + self.rng.i64(0..6) * 1_000;
        window_key::encode(pane, key.as_bytes())
    }

    /// A key to read: of an expired pane, too.
    fn any_key(&mut self, store: StoreIndex) -> Vec<u8> {
        let mut key = self.some_key(store);
        if store == PANES && self.rng.u32(0..4) == 0 {
            let pane = self.open.horizon - self.rng.i64(1..4) * 1_000;
            key[..window_key::PANE_LEN].copy_from_slice(&window_key::pane_prefix(pane));
        }
        key
    }

    fn some_store(&mut self) -> StoreIndex {
        *self.rng.choice(&STORES).unwrap()
    }

    fn put(&mut self) {
        let store = self.some_store();
        let key = self.some_key(store);
        let value = vec![self.rng.u8(..); *self.rng.choice(&[0, 1, 8, 9, 17, 300]).unwrap()];
        self.state().store(store).put(&key, &value);
        self.open.store(store).insert(key, value);
    }

    /// The target workload: counts of fixed width, updated in batches with repeated keys.
    fn count_batch(&mut self) {
        let store = self.some_store();
        let keys: KeyBatch = (0..self.rng.usize(1..30)).map(|_| self.some_key(store)).collect();
        let count = |old: Option<&[u8]>, new: &mut Vec<u8>| {
            let old = old.map_or(0, |bytes| bytes.first().copied().unwrap_or(0));
            new.extend_from_slice(&[old.wrapping_add(1); 8]);
        };
        let map = self.open.store(store);
        for key in keys.iter() {
            let mut new = Vec::new();
            count(map.get(key).map(Vec::as_slice), &mut new);
            map.insert(key.to_vec(), new);
        }
        let single = self.rng.bool();
        let mut state = self.state().store(store);
        let update = |old: Option<&[u8]>, new: &mut Vec<u8>| {
            count(old, new);
            Update::Put
        };
        if single {
            for key in keys.iter() {
                state.update(key, update).unwrap();
            }
        } else {
            state.update_many(&keys, |_, old, new| update(old, new)).unwrap();
        }
    }

    fn delete(&mut self) {
        let store = self.some_store();
        let key = self.some_key(store);
        self.state().store(store).delete(&key);
        self.open.store(store).remove(&key);
    }

    fn expire(&mut self) {
        let horizon = self.open.horizon + self.rng.i64(0..3) * 1_000;
        let (from, to) = window_key::panes_before(horizon);
        self.state().store(PANES).delete_range(&from, &to);
        self.open.expire(horizon);
    }

    fn freeze_or_commit(&mut self) {
        match self.frozen.take() {
            None => {
                let changes: Vec<_> = {
                    let changes = self.state.as_mut().unwrap().freeze();
                    let owned = changes.iter().map(|change| {
                        (
                            change.store,
                            change.key.to_vec(),
                            change.value.map(<[u8]>::to_vec),
                        )
                    });
                    owned.collect()
                };
                let mut keys: Vec<_> = changes.iter().map(|(store, key, _)| (*store, key)).collect();
                keys.sort();
                keys.dedup();
                assert_eq!(
                    keys.len(),
                    changes.len(),
                    "seed {}: a key is logged twice",
                    self.seed
                );
                self.frozen = Some(self.open.clone());
                self.pending = changes;
            }
            Some(moment) => {
                self.txn_seq += 1;
                for (store, key, value) in std::mem::take(&mut self.pending) {
                    self.changelogs[store.get() as usize].append(&key, value.as_deref());
                }
                for changelog in &mut self.changelogs {
                    changelog.next_offset += 1;
                }
                let position = self.position(moment.horizon);
                self.state().commit_frozen(position);
                self.committed = moment;
            }
        }
    }

    fn position(&self, horizon: i64) -> CommitPosition {
        let next = |store: StoreIndex| Offset::new(self.changelogs[store.get() as usize].next_offset);
        CommitPosition {
            changelog: STORES.map(|store| (store, next(store))).to_vec(),
            extra: Bytes::copy_from_slice(&horizon.to_be_bytes()),
            txn_seq: self.txn_seq,
            ..CommitPosition::default()
        }
    }

    fn abort(&mut self) {
        self.state().abort_all();
        self.frozen = None;
        self.pending.clear();
        self.open = self.committed.clone();
    }

    fn abort_open(&mut self) {
        self.state().abort_overlay();
        self.open = self.frozen.clone().unwrap_or_else(|| self.committed.clone());
    }

    fn tick(&mut self) {
        self.now += Duration::from_secs(self.rng.u64(0..15));
        let now = self.now;
        let deferred = self.rng.bool();
        let flush = self.state().maybe_apply_deferring_flush(now).unwrap();
        if deferred && self.rng.bool() {
            // Lost on the way: a flush that never ran must only make replay longer.
            return;
        }
        if let Some(flush) = flush {
            flush.run().unwrap();
        }
    }

    fn check_reads(&mut self) -> Verdict {
        let store = self.some_store();
        let keys: Vec<_> = (0..10).map(|_| self.any_key(store)).collect();
        let wanted: Vec<_> = keys
            .iter()
            .map(|key| self.open.store(store).get(key).cloned())
            .collect();
        let borrowed: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let mut state = self.state.as_mut().unwrap().store(store);
        let values = state.multi_get(&borrowed).unwrap();
        for ((key, value), wanted) in keys.iter().zip(&values).zip(&wanted) {
            same("the task reads", key, value.as_deref(), wanted.as_deref())?;
            let single = state.get(key).unwrap();
            same("the task reads alone", key, single.as_deref(), wanted.as_deref())?;
        }
        Ok(())
    }

    fn check_scan(&mut self) -> Verdict {
        let store = self.some_store();
        let (a, b) = (self.some_key(store), self.some_key(store));
        let range = match self.rng.bool() {
            true => KeyRange::all(),
            false => KeyRange::between(a, b),
        };
        let inside = self
            .open
            .store(store)
            .iter()
            .filter(|(key, _)| range.contains(key));
        let wanted: Map = inside.map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut state = self.state.as_mut().unwrap().store(store);
        let found: Vec<_> = state.scan(&range).unwrap().map(Result::unwrap).collect();
        in_order("a scan", found, &wanted)
    }

    fn check_queries(&mut self) -> Verdict {
        let reader = self.state.as_ref().unwrap().reader();
        let pinned = reader.pin().unwrap();
        let snapshot = pinned.snapshot().unwrap();
        for store in STORES {
            let wanted = self.committed.store(store).clone();
            let found: Vec<_> = snapshot
                .scan(store, &KeyRange::all())
                .unwrap()
                .map(Result::unwrap)
                .collect();
            in_order("a query scans", found, &wanted)?;
            for _ in 0..10 {
                let key = self.any_key(store);
                let value = reader.get(store, &key).unwrap();
                same(
                    "a query reads",
                    &key,
                    value.as_deref(),
                    wanted.get(&key).map(Vec::as_slice),
                )?;
                let value = snapshot.get(store, &key).unwrap();
                same(
                    "a snapshot reads",
                    &key,
                    value.as_deref(),
                    wanted.get(&key).map(Vec::as_slice),
                )?;
            }
        }
        Ok(())
    }

    /// The host holds the fold of what its position says, no more and no less.
    fn check_host(&mut self) -> Verdict {
        let state = self.state.as_ref().unwrap();
        let position = state.stored_position().clone();
        let horizon = position.extra.as_ref().try_into().map_or(0, i64::from_be_bytes);
        for store in STORES {
            let offset = position.changelog_offset(store).unwrap_or(Offset::ZERO);
            let mut wanted = Moment::default();
            *wanted.store(store) = self.changelogs[store.get() as usize].fold(offset.get());
            wanted.expire(horizon);
            let mut walk = state.shared.host.scan(store, &KeyRange::all()).unwrap();
            let mut found = Vec::new();
            while let Some((key, value)) = walk.entry() {
                found.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
                walk.advance().unwrap();
            }
            in_order(&format!("the host at {offset}"), found, wanted.store(store))?;
        }
        Ok(())
    }

    fn kill(&mut self) -> Verdict {
        let state = self.state.take().unwrap();
        let durable = state.durable_position();
        let salt = self.rng.u64(..);
        self.machine.kill(Box::new(move || drop(state)), salt);
        self.reopen_at_least(&durable)
    }

    fn close_and_reopen(&mut self) -> Verdict {
        let state = self.state.take().unwrap();
        let durable = state.committed_position();
        state.close().unwrap();
        self.reopen_at_least(&durable)
    }

    fn reopen_at_least(&mut self, durable: &CommitPosition) -> Verdict {
        self.reopen()?;
        let stored = self.reopened_at.clone();
        for store in STORES {
            let (stored, durable) = (stored.changelog_offset(store), durable.changelog_offset(store));
            if stored < durable {
                return Err(format!("{stored:?} came back where {durable:?} was durable"));
            }
        }
        Ok(())
    }

    /// Opens, replays (and is sometimes killed meanwhile), expires again, and must be where the last commit was.
    fn reopen(&mut self) -> Verdict {
        loop {
            let state = TaskState::open(StateOptions {
                dir: self.machine.dir().to_owned(),
                task: task(),
                host: self.machine.hosts(),
                stores: specs(),
                limits: self.limits.clone(),
                faults: self.faults.clone(),
            });
            self.state = Some(state.unwrap());
            self.reopened_at = self.state().stored_position().clone();
            self.check_host()?;
            if self.replay() {
                break;
            }
            let state = self.state.take().unwrap();
            let salt = self.rng.u64(..);
            self.machine.kill(Box::new(move || drop(state)), salt);
        }
        let position = self.position(self.committed.horizon);
        self.state().finish_restore(position);
        self.frozen = None;
        self.pending.clear();
        self.open = self.committed.clone();
        let (from, to) = window_key::panes_before(self.committed.horizon);
        self.state().store(PANES).delete_range(&from, &to);
        let changes = self.state().freeze().iter().count();
        assert_eq!(changes, 0, "expiry is not logged");
        let position = self.position(self.committed.horizon);
        self.state().commit_frozen(position);
        self.check_queries()
    }

    /// Replays both changelogs in pieces; false when the process is killed in the middle.
    fn replay(&mut self) -> bool {
        for store in STORES {
            let changelog = self.changelogs[store.get() as usize].clone();
            loop {
                let from = self.state().restore_start(store).get();
                if from >= changelog.next_offset {
                    break;
                }
                if self.rng.u32(0..12) == 0 {
                    return false;
                }
                let to = (from + self.rng.i64(1..60)).min(changelog.next_offset);
                let piece = changelog
                    .records
                    .iter()
                    .filter(|(offset, ..)| (from..to).contains(offset));
                let records = piece.map(|(_, key, value)| (key.as_slice(), value.as_deref()));
                self.state
                    .as_mut()
                    .unwrap()
                    .restore(store, records, Offset::new(to))
                    .unwrap();
            }
        }
        true
    }
}

fn same(who: &str, key: &[u8], found: Option<&[u8]>, wanted: Option<&[u8]>) -> Verdict {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{who} {key:?} as {found:?}, it is {wanted:?}"))
    }
}

fn in_order(who: &str, found: Vec<(Bytes, Bytes)>, wanted: &Map) -> Verdict {
    let found: Vec<_> = found
        .into_iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    match found == wanted {
        true => Ok(()),
        false => {
            let only_found: Vec<_> = found.iter().filter(|entry| !wanted.contains(entry)).collect();
            let missing: Vec<_> = wanted.iter().filter(|entry| !found.contains(entry)).collect();
            Err(format!(
                "{who}: has {only_found:?} too much and lacks {missing:?}"
            ))
        }
    }
}

#[test]
fn a_task_in_memory_agrees_with_its_model_through_commits_aborts_and_kills() {
    for seed in 0..150 {
        Life::<MemoryMachine>::new(seed, Faults::none())
            .live(600)
            .unwrap();
    }
}

#[test]
fn a_task_on_rocksdb_agrees_with_its_model_through_commits_aborts_and_kills() {
    for seed in 0..6 {
        Life::<RocksMachine>::new(seed, Faults::none()).live(400).unwrap();
    }
}

/// A planted bug must be found by some seed, or the test above proves nothing.
fn finds(sabotage: Sabotage) -> bool {
    (0..50).any(|seed| {
        let found = std::panic::catch_unwind(|| {
            Life::<MemoryMachine>::new(seed, Faults::with_sabotage([sabotage]))
                .live(300)
                .is_err()
        });
        found.unwrap_or(true)
    })
}

#[test]
fn finds_an_overlay_that_is_applied_before_its_commit() {
    assert!(finds(Sabotage::ApplyOverlayBeforeCommit));
}

#[test]
fn finds_a_replay_that_starts_at_the_wrong_offset() {
    assert!(finds(Sabotage::RestoreFromWrongOffset));
}
