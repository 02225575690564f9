//! How many records a second does a windowed count hold with a million keys in RocksDB, exactly-once?
//!
//! Two million records (key 14 bytes, value 80) over a million keys lie in a topic; the job counts them per key in tumbling
//! windows of an hour, on one worker: state in RocksDB, every change in a changelog, a transaction every 100 ms. The
//! second case has ten thousand keys: the distance between the two is the price of state that does not fit the cache.

mod support;

use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use millpond::streams::dsl::{StreamsBuilder, TimeWindows};
use millpond::streams::runtime::Streams;
use support::Node;

const RECORDS: u64 = 2_000_000;
const PARTITIONS: i32 = 4;

fn windowed_count(c: &mut Criterion) {
    let node = Node::start();
    let mut group = c.benchmark_group("DSL windowed count, one worker, RocksDB, exactly-once");
    group
        .throughput(Throughput::Elements(RECORDS))
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat);
    for (name, keys) in [("10k-keys", 10_000_u64), ("1M-keys", 1_000_000)] {
        let input = node.create_topic(&format!("input-{name}"), PARTITIONS);
        let mut random = fastrand::Rng::with_seed(7);
        node.fill(&input, PARTITIONS, RECORDS, |number| {
            // An hour of event time per million records: two windows.
            let timestamp = 1_700_000_000_000 + i64::try_from(number * 3_600 / 1_000).expect("small");
            (
                timestamp,
                format!("key-{:010}", random.u64(..keys)).into_bytes(),
                vec![b'v'; 80],
            )
        });
        let mut run = 0;
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    run += 1;
                    let builder = StreamsBuilder::new();
                    builder
                        .stream::<Bytes, Bytes>(input.as_str())
                        .group_by_key()
                        .windowed_by(TimeWindows::of(Duration::from_secs(3600)))
                        .count("counts");
                    Streams::builder(builder.build().expect("a sound topology"))
                        .application_id(format!("counts-{name}-{run}"))
                        .embedded(&node.broker)
                        .state_dir(node.folder("state"))
                },
                |job| {
                    node.runtime.block_on(async {
                        let job = job.run().await.expect("a job that starts");
                        job.wait_until_caught_up().await.expect("a job that runs");
                        job
                    })
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10));
    targets = windowed_count
}
criterion_main!(benches);
