//! How much of the disk is left after the log has done its work? Append and fetch, each beside `dd` in the same run.
//!
//! Every pair moves the same number of bytes in 64 KiB pieces on the same file system: `dd` as the machine's own limit, the
//! broker with checksums, offsets, indexes and, in the `fsync` group, an acknowledgement only after the bytes are durable.
//! The `flush cycle` group has no `dd` beside it: it asks how long the many partitions of a node wait for one shared sync. Percentiles of what a
//! producer waited for its acknowledgement are printed below each group, for a mean hides the catching up behind the journal.
//! `MILLPOND_BENCH_DIR` chooses the disk (default: cargo's scratch folder beside the target directory).

mod support;

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use millpond::log::broker::{
    Acks, FetchPartition, FetchRequest, Isolation, ProducePartition, ProduceRequest,
};
use millpond::log::record::{BatchBuilder, BatchOptions};
use millpond::log::types::{Offset, TopicName, TopicPartition};
use support::{Node, scratch};

const PIECE_BYTES: usize = 64 * 1024;
const PIECES: usize = 2048;
const TOTAL_BYTES: u64 = (PIECE_BYTES * PIECES) as u64;
/// Appends one producer keeps under way in the page-cache group.
const IN_FLIGHT: usize = 8;
/// Producers of the `fsync` group; each waits for its acknowledgement before it sends again.
const PRODUCERS: usize = 64;
/// Partitions of the many-partition cases.
const MANY: usize = 256;

fn dd(args: &[String]) {
    let status = Command::new("dd")
        .args(args)
        .stderr(Stdio::null())
        .status()
        .expect("dd is installed");
    assert!(status.success(), "dd {args:?} failed");
}

fn dd_write(file: &Path, conv: &[&str]) {
    let mut args = vec![
        "if=/dev/zero".to_owned(),
        format!("of={}", file.display()),
        format!("bs={PIECE_BYTES}"),
        format!("count={PIECES}"),
    ];
    args.extend(conv.iter().map(|&conv| conv.to_owned()));
    dd(&args);
}

/// One batch of exactly `bytes` bytes, for `dd` writes exactly so many: records of about 1 KiB, the last with what the headers leave over, no
/// two bytes of it the same for long.
fn batch(bytes: usize) -> Bytes {
    let filled = batch_with(bytes / 1024, 0);
    let batch = batch_with(bytes / 1024, bytes - filled.len());
    assert_eq!(batch.len(), bytes);
    batch
}

fn batch_with(records: usize, rest_bytes: usize) -> Bytes {
    let mut value = vec![0_u8; 980 + rest_bytes];
    let mut random = fastrand::Rng::with_seed(1);
    let mut builder = BatchBuilder::with_capacity(BatchOptions::default(), records * 1024);
    for record in 1..=records {
        random.fill(&mut value);
        let length = if record == records { value.len() } else { 980 };
        builder
            .append(1_700_000_000_000, None, Some(&value[..length]), &[])
            .expect("a small batch");
    }
    builder.build()
}

/// The node under test and what is sent to it.
struct Log {
    node: Node,
    batch: Bytes,
    topic: RefCell<Option<TopicName>>,
    topics: Cell<u32>,
    waits: RefCell<Vec<Duration>>,
}

impl Log {
    fn start(batch_bytes: usize) -> Log {
        Log {
            node: Node::start(),
            batch: batch(batch_bytes),
            topic: RefCell::default(),
            topics: Cell::default(),
            waits: RefCell::default(),
        }
    }

    /// Prints how long acknowledgements took since the last call.
    fn report(&self, case: &str) {
        let mut waits = self.waits.take();
        waits.sort_unstable();
        let at = |percent: usize| waits.get(waits.len() * percent / 100).copied();
        if let (Some(median), Some(p99)) = (at(50), at(99)) {
            println!(
                "{case}: acknowledged after p50 {median:.2?}, p99 {p99:.2?} ({} appends)\n",
                waits.len()
            );
        }
    }

    /// A new topic; the previous one is deleted, so that the disk does not fill.
    fn new_topic(&self, partitions: i32, durability: &str) -> TopicName {
        if let Some(previous) = self.topic.take() {
            self.node.delete_topic(&previous);
        }
        self.topics.set(self.topics.get() + 1);
        let name = format!("bench-{}", self.topics.get());
        let topic = self
            .node
            .create_topic_with(&name, partitions, &[("durability", durability)]);
        self.topic.replace(Some(topic.clone()));
        topic
    }

    #[allow(clippy::disallowed_methods, reason = "a bench reads the real clock")]
    async fn append(&self, topic: &TopicName, partition: usize) {
        let sent = Instant::now();
        let partition = TopicPartition::new(topic.clone(), i32::try_from(partition).expect("small"));
        let request = ProduceRequest {
            transactional_id: None,
            acks: Acks::All,
            partitions: vec![ProducePartition {
                partition,
                batches: self.batch.clone().into(),
            }],
            ..ProduceRequest::default()
        };
        for answer in self.node.broker.produce(request).await {
            answer.expect("an append that is acknowledged");
        }
        self.waits.borrow_mut().push(sent.elapsed());
    }

    /// One batch to each partition at once, until the last is acknowledged.
    fn append_once(&self, topic: &TopicName, partitions: usize) {
        self.node.runtime.block_on(join_all(
            (0..partitions).map(|partition| self.append(topic, partition)),
        ));
    }

    /// `producers` at once, each sending its share and waiting for every acknowledgement.
    fn append_all(&self, topic: &TopicName, partitions: usize, producers: usize) {
        self.node
            .runtime
            .block_on(join_all((0..producers).map(|producer| async move {
                for piece in (producer..PIECES).step_by(producers) {
                    self.append(topic, piece % partitions).await;
                }
            })));
    }

    /// Reads partition 0 from its start to its end; returns the bytes read.
    fn fetch_all(&self, topic: &TopicName) -> u64 {
        let partition = TopicPartition::new(topic.clone(), 0);
        self.node.runtime.block_on(async {
            let mut next = Offset::ZERO;
            let mut bytes = 0;
            let end = i64::try_from(PIECES * (PIECE_BYTES / 1024)).expect("small");
            while next.get() < end {
                let request = FetchRequest {
                    max_wait: Duration::ZERO,
                    min_bytes: 0,
                    max_bytes: 1 << 20,
                    isolation: Isolation::ReadCommitted,
                    partitions: vec![FetchPartition {
                        partition: partition.clone(),
                        fetch_offset: next,
                        max_bytes: 1 << 20,
                    }],
                };
                for (_, fetched) in self.node.broker.fetch(request).await.partitions {
                    for run in fetched.expect("a readable partition").batches {
                        bytes += run.len() as u64;
                        for batch in millpond::log::record::BatchIter::new(run) {
                            next = batch.expect("a sound batch").header().next_offset();
                        }
                    }
                }
            }
            bytes
        })
    }
}

fn append_page_cache(c: &mut Criterion) {
    let home = scratch();
    let file = home.path().join("dd");
    let log = Log::start(PIECE_BYTES);
    let mut group = c.benchmark_group("append 64 KiB batches, page-cache");
    group
        .throughput(Throughput::Bytes(TOTAL_BYTES))
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat);
    group.bench_function("dd", |b| {
        b.iter_batched(
            || drop(std::fs::remove_file(&file)),
            |()| dd_write(&file, &[]),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("millpond", |b| {
        b.iter_batched(
            || log.new_topic(1, "page-cache"),
            |topic| log.append_all(&topic, 1, IN_FLIGHT),
            BatchSize::PerIteration,
        );
    });
    log.report("millpond");
    group.finish();
}

fn append_fsync(c: &mut Criterion) {
    let home = scratch();
    let file = home.path().join("dd");
    let log = Log::start(PIECE_BYTES);
    let mut group = c.benchmark_group("append 64 KiB batches, fsync before ack, 64 producers");
    group
        .throughput(Throughput::Bytes(TOTAL_BYTES))
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat);
    group.bench_function("dd conv=fdatasync", |b| {
        b.iter_batched(
            || drop(std::fs::remove_file(&file)),
            |()| dd_write(&file, &["conv=fdatasync"]),
            BatchSize::PerIteration,
        );
    });
    for partitions in [1, MANY] {
        let case = format!("millpond, {partitions} partitions");
        group.bench_function(&case, |b| {
            b.iter_batched(
                || log.new_topic(i32::try_from(partitions).expect("small"), "fsync"),
                |topic| log.append_all(&topic, partitions, PRODUCERS),
                BatchSize::PerIteration,
            );
        });
        log.report(&case);
    }
    group.finish();
}

fn flush_cycle(c: &mut Criterion) {
    let log = Log::start(4 << 10);
    let topic = log.new_topic(i32::try_from(MANY).expect("small"), "fsync");
    // The first append to a partition opens its file; that is not what is asked here.
    log.append_once(&topic, MANY);
    log.waits.take();
    let mut group = c.benchmark_group("flush cycle, one 4 KiB batch to each");
    let case = format!("millpond, {MANY} partitions");
    group.bench_function(&case, |b| b.iter(|| log.append_once(&topic, MANY)));
    log.report(&case);
    group.finish();
}

fn fetch(c: &mut Criterion) {
    let home = scratch();
    let file = home.path().join("dd");
    dd_write(&file, &[]);
    let log = Log::start(PIECE_BYTES);
    let topic = log.new_topic(1, "page-cache");
    log.append_all(&topic, 1, IN_FLIGHT);
    let mut group = c.benchmark_group("fetch 1 MiB at a time, files in the page cache");
    group
        .throughput(Throughput::Bytes(TOTAL_BYTES))
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat);
    let args = [
        format!("if={}", file.display()),
        "of=/dev/null".to_owned(),
        "bs=1M".to_owned(),
    ];
    group.bench_function("dd", |b| b.iter(|| dd(&args)));
    group.bench_function("millpond", |b| {
        b.iter(|| {
            let bytes = log.fetch_all(&topic);
            assert!(bytes >= TOTAL_BYTES, "read {bytes} bytes of {TOTAL_BYTES}");
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = append_page_cache, append_fsync, flush_cycle, fetch
}
criterion_main!(benches);
