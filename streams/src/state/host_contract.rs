//! What every store host must do; run against each of them, and against the whole of [`TaskState`] on top
//! (`model_test.rs`).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::host::{HostScan, StoreHost, StoreHostFactory};
use super::memory_host::{MemoryHosts, Survivors};
use super::rocksdb::{RocksBudget, RocksHosts};
use super::{KeyRange, StateError, StoreIndex, StoreSpec, TaskId};

/// A machine whose processes can be killed.
pub(super) trait Machine: Debug {
    fn hosts(&self) -> Arc<dyn StoreHostFactory>;
    fn dir(&self) -> &Path;
    /// Kills the process that holds `open` in the middle of what it does: whatever was not flushed may be lost.
    /// `salt` chooses how much of it is.
    fn kill(&mut self, open: Box<dyn FnOnce()>, salt: u64);
}

#[derive(Debug, Default)]
pub(super) struct MemoryMachine {
    hosts: MemoryHosts,
}

impl Machine for MemoryMachine {
    fn hosts(&self) -> Arc<dyn StoreHostFactory> {
        Arc::new(self.hosts.clone())
    }

    fn dir(&self) -> &Path {
        Path::new("/state")
    }

    fn kill(&mut self, open: Box<dyn FnOnce()>, salt: u64) {
        open();
        let survivors = if salt.is_multiple_of(3) {
            Survivors::None
        } else {
            Survivors::Oldest((salt / 3 % 4) as usize)
        };
        self.hosts.crash(survivors);
    }
}

/// RocksDB in a temporary directory. A kill copies the directory while the database is open: what a new process would
/// find after SIGKILL, because the page cache outlives a process.
#[derive(Debug)]
pub(super) struct RocksMachine {
    hosts: RocksHosts,
    root: tempfile::TempDir,
    dir: PathBuf,
    kills: u32,
}

impl Default for RocksMachine {
    fn default() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("0");
        Self {
            hosts: RocksHosts::new(RocksBudget::new(8 << 20, 4 << 20)),
            root,
            dir,
            kills: 0,
        }
    }
}

impl Machine for RocksMachine {
    fn hosts(&self) -> Arc<dyn StoreHostFactory> {
        Arc::new(self.hosts.clone())
    }

    fn dir(&self) -> &Path {
        &self.dir
    }

    fn kill(&mut self, open: Box<dyn FnOnce()>, _salt: u64) {
        self.kills += 1;
        let survivor = self.root.path().join(self.kills.to_string());
        copy(&self.dir, &survivor);
        open();
        std::fs::remove_dir_all(&self.dir).unwrap();
        self.dir = survivor;
    }
}

/// Copies a directory whose database is open, as of one moment. A compaction in the background may remove files and log that
/// while we copy: a kill cannot leave an old manifest beside the files of a newer one, so such a copy is made again.
fn copy(from: &Path, to: &Path) {
    loop {
        std::fs::create_dir_all(to).unwrap();
        let before = listing(from);
        let whole = before
            .keys()
            .all(|name| copy_file(&from.join(name), &to.join(name)));
        if whole && listing(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
    }
}

/// False when the file is gone.
fn copy_file(from: &Path, to: &Path) -> bool {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    match std::fs::copy(from, to) {
        Ok(_) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => panic!("copying {}: {error}", from.display()),
    }
}

/// The files below `root` with their sizes; RocksDB's own diary (`LOG`) says nothing about its state.
fn listing(root: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(metadata) if path.file_name().is_some_and(|name| name != "LOG") => {
                    found.insert(path.strip_prefix(root).unwrap().to_path_buf(), metadata.len());
                }
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
            }
        }
    }
    found
}

pub(super) fn task() -> TaskId {
    TaskId::new(0, 1.into())
}

pub(super) const COUNTS: StoreIndex = StoreIndex::new(0);
pub(super) const PANES: StoreIndex = StoreIndex::new(1);

pub(super) fn specs() -> Vec<StoreSpec> {
    vec![
        StoreSpec::key_value("counts"),
        StoreSpec::window("panes", 1_000, 10_000),
    ]
}

fn open(machine: &impl Machine) -> Arc<dyn StoreHost> {
    machine.hosts().open(machine.dir(), task(), &specs()).unwrap()
}

fn put(host: &dyn StoreHost, entries: &[(&str, &str)], position: &str) {
    let fill = &mut |batch: &mut dyn super::host::HostBatch| {
        for (key, value) in entries {
            batch.put(COUNTS, key.as_bytes(), value.as_bytes());
        }
    };
    host.write(fill, position.as_bytes()).unwrap();
}

fn text(bytes: Option<Bytes>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn get(host: &dyn StoreHost, key: &str) -> Option<String> {
    text(host.get(COUNTS, key.as_bytes()).unwrap())
}

fn entries(mut scan: Box<dyn HostScan + '_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = Vec::new();
    while let Some((key, value)) = scan.entry() {
        entries.push((key.to_vec(), value.to_vec()));
        scan.advance().unwrap();
    }
    entries
}

fn keys(host: &dyn StoreHost, range: &KeyRange) -> Vec<String> {
    let entries = entries(host.scan(COUNTS, range).unwrap());
    entries
        .into_iter()
        .map(|(key, _)| String::from_utf8(key).unwrap())
        .collect()
}

pub(super) fn a_new_host_is_empty_and_has_no_position(machine: impl Machine) {
    let host = open(&machine);
    assert_eq!(host.stored_position().unwrap(), None);
    assert_eq!(host.bounds(COUNTS).unwrap(), None);
    assert_eq!(get(host.as_ref(), "a"), None);
    assert!(keys(host.as_ref(), &KeyRange::all()).is_empty());
}

pub(super) fn a_batch_and_its_position_appear_together(machine: impl Machine) {
    let host = open(&machine);
    put(host.as_ref(), &[("a", "1"), ("b", "2")], "p1");
    assert_eq!(get(host.as_ref(), "a").as_deref(), Some("1"));
    assert_eq!(text(host.stored_position().unwrap()).as_deref(), Some("p1"));
    put(host.as_ref(), &[("a", "3")], "p2");
    assert_eq!(get(host.as_ref(), "a").as_deref(), Some("3"));
    assert_eq!(text(host.stored_position().unwrap()).as_deref(), Some("p2"));
}

pub(super) fn a_batch_is_carried_out_in_order(machine: impl Machine) {
    let host = open(&machine);
    put(
        host.as_ref(),
        &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")],
        "p1",
    );
    let fill = &mut |batch: &mut dyn super::host::HostBatch| {
        batch.put(COUNTS, b"bb", b"before");
        batch.delete_range(COUNTS, b"b", b"d");
        batch.put(COUNTS, b"c", b"after");
        batch.delete(COUNTS, b"a");
        batch.delete(COUNTS, b"not there");
    };
    host.write(fill, b"p2").unwrap();
    assert_eq!(keys(host.as_ref(), &KeyRange::all()), ["c", "d"]);
    assert_eq!(get(host.as_ref(), "c").as_deref(), Some("after"));
}

pub(super) fn stores_do_not_see_each_other(machine: impl Machine) {
    let host = open(&machine);
    put(host.as_ref(), &[("a", "1")], "p1");
    assert_eq!(host.get(PANES, b"a").unwrap(), None);
    assert_eq!(host.bounds(PANES).unwrap(), None);
}

pub(super) fn a_scan_is_ordered_and_stays_inside_its_range(machine: impl Machine) {
    let host = open(&machine);
    put(
        host.as_ref(),
        &[("b", ""), ("a", ""), ("ca", ""), ("c", ""), ("d", "")],
        "p1",
    );
    assert_eq!(keys(host.as_ref(), &KeyRange::all()), ["a", "b", "c", "ca", "d"]);
    assert_eq!(keys(host.as_ref(), &KeyRange::between("b", "ca")), ["b", "c"]);
    assert_eq!(keys(host.as_ref(), &KeyRange::prefix(b"c")), ["c", "ca"]);
    assert!(keys(host.as_ref(), &KeyRange::between("x", "b")).is_empty());
}

pub(super) fn sorted_lookups_answer_every_key_once(machine: impl Machine) {
    let host = open(&machine);
    put(host.as_ref(), &[("a", "1"), ("c", "3")], "p1");
    let mut found = vec![None; 4];
    let keys: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
    host.multi_get_sorted(COUNTS, &keys, &mut |place, value| {
        assert_eq!(
            found[place].replace(value.map(<[u8]>::to_vec)),
            None,
            "key {place} answered twice"
        );
    })
    .unwrap();
    assert_eq!(
        found,
        [
            Some(Some(b"1".to_vec())),
            Some(None),
            Some(Some(b"3".to_vec())),
            Some(None)
        ]
    );
}

pub(super) fn bounds_are_the_smallest_and_the_largest_key(machine: impl Machine) {
    let host = open(&machine);
    put(host.as_ref(), &[("m", ""), ("b", ""), ("x", "")], "p1");
    host.write(&mut |batch| batch.delete_range(COUNTS, b"a", b"c"), b"p2")
        .unwrap();
    assert_eq!(host.bounds(COUNTS).unwrap(), Some(("m".into(), "x".into())));
}

pub(super) fn a_snapshot_does_not_move(machine: impl Machine) {
    let host = open(&machine);
    put(host.as_ref(), &[("a", "1")], "p1");
    let snapshot = host.snapshot().unwrap();
    put(host.as_ref(), &[("a", "2"), ("b", "2")], "p2");
    assert_eq!(text(snapshot.get(COUNTS, b"a").unwrap()).as_deref(), Some("1"));
    assert_eq!(
        entries(snapshot.scan(COUNTS, &KeyRange::all()).unwrap()),
        [(b"a".to_vec(), b"1".to_vec())]
    );
    assert_eq!(get(host.as_ref(), "b").as_deref(), Some("2"));
}

pub(super) fn what_was_flushed_survives_a_kill(mut machine: impl Machine) {
    let host = open(&machine);
    put(host.as_ref(), &[("a", "1")], "p1");
    host.flush().unwrap();
    put(host.as_ref(), &[("a", "2"), ("b", "2")], "p2");
    machine.kill(Box::new(move || drop(host)), 0);
    let host = open(&machine);
    // Either batch, never a mixture: data and position tell the same story.
    let position = text(host.stored_position().unwrap());
    match position.as_deref() {
        Some("p1") => assert_eq!(
            (get(host.as_ref(), "a"), get(host.as_ref(), "b")),
            (Some("1".into()), None)
        ),
        Some("p2") => {
            assert_eq!(
                (get(host.as_ref(), "a"), get(host.as_ref(), "b")),
                (Some("2".into()), Some("2".into()))
            );
        }
        other => panic!("position {other:?} was never written"),
    }
}

pub(super) fn a_second_owner_is_refused_by_name(machine: impl Machine) {
    let host = open(&machine);
    let error = machine.hosts().open(machine.dir(), task(), &specs()).unwrap_err();
    assert!(matches!(error, StateError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(" is in use by "), "{error}");
    drop(host);
    open(&machine);
}

pub(super) fn a_store_of_another_shape_is_refused_and_kept(machine: impl Machine) {
    let host = open(&machine);
    put(host.as_ref(), &[("a", "1")], "p1");
    host.flush().unwrap();
    drop(host);
    let changed = [StoreSpec::window("counts", 1_000, 10_000), specs().remove(1)];
    let error = machine.hosts().open(machine.dir(), task(), &changed).unwrap_err();
    assert!(matches!(error, StateError::StoreChanged { .. }), "{error}");
    assert_eq!(get(open(&machine).as_ref(), "a").as_deref(), Some("1"));
}

pub(super) fn retention_may_change(machine: impl Machine) {
    drop(open(&machine));
    let changed = [specs().remove(0), StoreSpec::window("panes", 1_000, 99_000)];
    machine.hosts().open(machine.dir(), task(), &changed).unwrap();
}

pub(super) fn a_store_the_topology_drops_is_there_when_it_comes_back(machine: impl Machine) {
    let host = open(&machine);
    put(host.as_ref(), &[("a", "1")], "p1");
    host.flush().unwrap();
    drop(host);
    let host = machine
        .hosts()
        .open(machine.dir(), task(), &[StoreSpec::key_value("new")])
        .unwrap();
    host.write(&mut |batch| batch.put(COUNTS, b"n", b"1"), b"p2")
        .unwrap();
    host.flush().unwrap();
    drop(host);
    assert_eq!(get(open(&machine).as_ref(), "a").as_deref(), Some("1"));
}

macro_rules! host_contract {
    ($name:ident, $machine:ty, [$($behaviour:ident),* $(,)?]) => {
        mod $name {
            $(
                #[test]
                fn $behaviour() {
                    super::$behaviour(<$machine>::default());
                }
            )*
        }
    };
}

macro_rules! for_each_behaviour {
    ($name:ident, $machine:ty) => {
        host_contract!(
            $name,
            $machine,
            [
                a_new_host_is_empty_and_has_no_position,
                a_batch_and_its_position_appear_together,
                a_batch_is_carried_out_in_order,
                stores_do_not_see_each_other,
                a_scan_is_ordered_and_stays_inside_its_range,
                sorted_lookups_answer_every_key_once,
                bounds_are_the_smallest_and_the_largest_key,
                a_snapshot_does_not_move,
                what_was_flushed_survives_a_kill,
                a_second_owner_is_refused_by_name,
                a_store_of_another_shape_is_refused_and_kept,
                retention_may_change,
                a_store_the_topology_drops_is_there_when_it_comes_back,
            ]
        );
    };
}

for_each_behaviour!(memory, crate::state::host_contract::MemoryMachine);
for_each_behaviour!(rocks, crate::state::host_contract::RocksMachine);
