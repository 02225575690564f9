//! What caches hold: values share no batch once it is through, and what they hold on the heap counts against the caches' limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millpond_log::record::DecodedBatch;

use super::{
    Consumed, KStream, KTable, Materialized, SessionWindows, StreamsBuilder, StrictBuffer, Suppressed,
};
use crate::serde::{Data, DefaultSerde, Json, Native, Serde, SerdeError, SerdeRef};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

/// Reads bytes as shares of a batch that tells how many of them are left.
#[derive(Clone, Default)]
struct Tracking {
    made: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
}

struct Share(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Serde<Bytes> for Tracking {
    fn serialize(&self, value: &Bytes, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        Native.serialize(value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Bytes, SerdeError> {
        Native.deserialize(bytes)
    }

    fn deserialize_shared(&self, bytes: &[u8], _owner: &DecodedBatch) -> Result<Bytes, SerdeError> {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.left.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from_owner(Share(bytes.to_vec(), self.left.clone())))
    }

    fn detach(&self, value: &mut Bytes) {
        Native.detach(value);
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Shares that are left of three records when their batches are through and nothing is committed.
fn left(every_update: bool, build: impl FnOnce(&StreamsBuilder, Consumed<Bytes, Bytes>)) -> usize {
    let tracking = Tracking::default();
    let serde: SerdeRef<Bytes> = Arc::new(tracking.clone());
    let builder = StreamsBuilder::new();
    build(&builder, Consumed::with(serde.clone(), serde));
    let mut options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    options.config.emit_every_update = every_update;
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let input = driver.input::<Bytes, Bytes>("in");
    for (key, time) in [("a", 0), ("b", 1), ("a", 2)] {
        let record = TestRecord::new(Bytes::from(key), Bytes::from("value"), time);
        driver.pipe_all(&input, [record]).expect("it goes through");
    }
    assert_eq!(
        tracking.made.load(Ordering::Relaxed),
        6,
        "keys and values are shares"
    );
    let left = tracking.left.load(Ordering::Relaxed);
    drop(driver);
    left
}

/// So that the results are waited for.
fn tell<K: Data, V: Data>(table: &KTable<K, V>) {
    table.to_stream().map(|_, _| ((), 0_u8)).to("out");
}

#[test]
fn aggregates_share_no_batch() {
    let left = left(false, |builder, consumed| {
        let stream: KStream<Bytes, Bytes> = builder.stream_with("in", consumed);
        tell(&stream.group_by_key().reduce("latest", |_, new| new.clone()));
    });
    assert_eq!(left, 0);
}

#[test]
fn sessions_share_no_batch() {
    let left = left(false, |builder, consumed| {
        let stream: KStream<Bytes, Bytes> = builder.stream_with("in", consumed);
        let sessions = SessionWindows::with_inactivity_gap(seconds(1));
        let sessions = stream.group_by_key().windowed_by(sessions);
        tell(&sessions.reduce("latest", |_, new| new.clone()));
    });
    assert_eq!(left, 0);
}

#[test]
fn changes_of_a_table_that_wait_for_the_commit_share_no_batch() {
    let left = left(false, |builder, consumed| {
        tell(&builder.table_with("in", "table", consumed, Materialized::default()));
    });
    assert_eq!(left, 0);
}

#[test]
fn suppressed_updates_share_no_batch() {
    let left = left(true, |builder, consumed| {
        let table = builder.table_with("in", "table", consumed, Materialized::default());
        let suppressed = Suppressed::until_time_limit(seconds(60), StrictBuffer::unbounded());
        tell(&table.suppress("suppressed", suppressed));
    });
    assert_eq!(left, 0);
}

/// Results of one transaction: 20 keys with 10 KB each, then the first key again, with a cache of 100 KB.
fn results(build: impl FnOnce(&StreamsBuilder)) -> usize {
    let builder = StreamsBuilder::new();
    build(&builder);
    let mut options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    options.config.cache_max_bytes = 100_000;
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let input = driver.input::<i32, Json<String>>("in");
    for key in (0..20).chain([0]) {
        let record = TestRecord::new(key, Json("x".repeat(10_000)), i64::from(key));
        driver.pipe_all(&input, [record]).expect("it goes through");
    }
    driver.commit().expect("commits");
    driver.raw_records("out").len()
}

fn big<V: Data + Default + DefaultSerde>(
    of: impl Fn(&Json<String>) -> V + Send + Sync + 'static,
) -> impl FnOnce(&StreamsBuilder) {
    move |builder| {
        let stream = builder.stream::<i32, Json<String>>("in");
        let table = stream
            .group_by_key()
            .aggregate("big", V::default, move |_, value, _: V| of(value));
        tell(&table);
    }
}

#[test]
fn a_full_cache_of_big_aggregates_tells_early() {
    assert_eq!(results(big(|value| value.0.len() as u64)), 20, "small ones fit");
    assert_eq!(results(big(|value| value.0.clone())), 21, "text");
    assert_eq!(results(big(|value| value.0.clone().into_bytes())), 21, "bytes");
    assert_eq!(results(big(Clone::clone)), 21, "a serde that knows no sizes");
}

#[test]
fn a_full_cache_of_big_sessions_tells_early() {
    let sessions = |builder: &StreamsBuilder| {
        let stream = builder.stream::<i32, Json<String>>("in");
        let sessions = SessionWindows::with_inactivity_gap(seconds(1));
        let sessions = stream.group_by_key().windowed_by(sessions);
        tell(&sessions.reduce("big", |_, new| new.clone()));
    };
    // The first session is told, and again with its second record.
    assert!(results(sessions) > 20);
}

#[test]
fn a_full_cache_of_big_changes_of_a_table_tells_early() {
    let table = |builder: &StreamsBuilder| tell(&builder.table::<i32, Json<String>>("in", "table"));
    assert_eq!(results(table), 21);
}
