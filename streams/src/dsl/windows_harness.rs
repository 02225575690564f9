//! What the tests of windows share: a topology in every mode, input and output as lines of text.
//!
//! Input: `key value@time`, several separated by `,`; the key `null` is none. Output: `key[start,end] value@time`, a removal has the value `-`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{KTable, StreamsBuilder, Windowed};
use crate::serde::Data;
use crate::state::{RocksBudget, RocksHosts};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Cache on or off, and how small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    /// Every update is forwarded.
    Off,
    /// Updates are coalesced until the commit.
    On,
    /// On, but with no room: everything is written and read back, batch by batch.
    NoRoom,
    /// So, too, and with committed state in RocksDB, from which every read goes after a commit.
    Disk,
}

pub(super) const CACHES: [Cache; 4] = [Cache::Off, Cache::On, Cache::NoRoom, Cache::Disk];

thread_local! {
    /// Directories of this thread's drivers; they go when the test ends.
    static DIRS: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

/// Committed state goes to RocksDB at every commit, and is read from there.
pub(super) fn on_disk(options: &mut DriverOptions) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    options.state_dir = dir.path().to_owned();
    options.hosts = Arc::new(RocksHosts::new(RocksBudget::new(8 << 20, 4 << 20)));
    options.limits.memory_bytes_max = 0;
    DIRS.with_borrow_mut(|dirs| dirs.push(dir));
}

/// A driver of the topology `build` makes, which must write its results with [`write`].
pub(super) fn driver(cache: Cache, build: impl FnOnce(&StreamsBuilder)) -> TopologyTestDriver {
    let builder = StreamsBuilder::new();
    build(&builder);
    let mut options = DriverOptions::default();
    options.config.emit_every_update = cache == Cache::Off;
    if matches!(cache, Cache::NoRoom | Cache::Disk) {
        options.config.cache_max_bytes = 0;
    }
    if cache == Cache::Disk {
        on_disk(&mut options);
    }
    let topology = builder.build().expect("a sound topology");
    TopologyTestDriver::with_options(&topology, options).expect("it runs")
}

/// Writes a table's changes to `topic` as lines.
pub(super) fn write<V: Data + std::fmt::Debug>(table: &KTable<Windowed<Option<String>>, V>, topic: &str) {
    let line = |windowed: Windowed<Option<String>>, value: Option<V>| {
        let value = value.map_or("-".to_owned(), |value| format!("{value:?}").replace('"', ""));
        let (key, window) = (windowed.key.unwrap_or_default(), windowed.window);
        (
            (),
            format!("{key}[{},{}] {value}", window.start_ms, window.end_ms),
        )
    };
    table.to_stream().map(line).to(topic);
}

/// The records of an input text.
pub(super) fn records(text: &str) -> Vec<TestRecord<Option<String>, String>> {
    let record = |line: &str| {
        let (pair, time) = line.rsplit_once('@').expect("key value@time");
        let (key, value) = pair.split_once(' ').expect("key value@time");
        let key = (key != "null").then(|| key.to_owned());
        TestRecord::new(key, value.to_owned(), time.parse().expect("a time"))
    };
    text.split(',').map(|line| record(line.trim())).collect()
}

/// All records in one commit; what topic "out" got then.
pub(super) fn run(driver: &mut TopologyTestDriver, text: &str) -> Vec<String> {
    let input = driver.input::<Option<String>, String>("in");
    driver
        .pipe_all(&input, records(text))
        .expect("records go through");
    read(driver, "out")
}

/// A commit after every record; what topic "out" got then.
pub(super) fn run_each(driver: &mut TopologyTestDriver, text: &str) -> Vec<String> {
    let input = driver.input::<Option<String>, String>("in");
    for record in records(text) {
        driver.pipe_all(&input, [record]).expect("records go through");
    }
    read(driver, "out")
}

pub(super) fn read(driver: &mut TopologyTestDriver, topic: &str) -> Vec<String> {
    let output = driver.output::<(), String>(topic);
    let records = driver.read(&output).expect("output is text");
    let line = |record: TestRecord<(), String>| format!("{}@{}", record.value, record.timestamp);
    records.into_iter().map(line).collect()
}
