//! How many records a second does a stateless DSL job carry on one worker, exactly-once?
//!
//! Four million records of 100 bytes lie in a topic of four partitions; map and filter (half pass) write to another topic, in
//! transactions, with input offsets in them, on one worker thread. The clock runs from the start of the job until all
//! of it is committed and durable.

mod support;

use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use millpond::streams::dsl::StreamsBuilder;
use millpond::streams::runtime::Streams;
use support::Node;

const RECORDS: u64 = 4_000_000;
const PARTITIONS: i32 = 4;

fn stateless(c: &mut Criterion) {
    let node = Node::start();
    let input = node.create_topic("input", PARTITIONS);
    node.fill(&input, PARTITIONS, RECORDS, |number| {
        let mut value = vec![b'x'; 86];
        value[..8].copy_from_slice(&number.to_be_bytes());
        (1_700_000_000_000, format!("key-{number:010}").into_bytes(), value)
    });
    let mut group = c.benchmark_group("DSL stateless, 100 B records, one worker, exactly-once");
    group
        .throughput(Throughput::Elements(RECORDS))
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat);
    let mut run = 0;
    let mut output = None;
    group.bench_function("map and filter", |b| {
        b.iter_batched(
            || {
                if let Some(previous) = output.take() {
                    node.delete_topic(&previous);
                }
                run += 1;
                let name = format!("output-{run}");
                output = Some(node.create_topic(&name, PARTITIONS));
                let builder = StreamsBuilder::new();
                builder
                    .stream::<Bytes, Bytes>("input")
                    .map_values(|value| value.slice(..value.len() - 1))
                    .filter(|_, value| value[7] % 2 == 0)
                    .to(&name);
                Streams::builder(builder.build().expect("a sound topology"))
                    .application_id(format!("stateless-{run}"))
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
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = stateless
}
criterion_main!(benches);
