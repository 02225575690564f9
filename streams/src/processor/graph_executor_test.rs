//! What the executor promises to processors, seen from processors that write down what they get.

use std::path::PathBuf;
use std::sync::Arc;

use millpond_log::faults::Faults;
use millpond_log::record::{BatchBuilder, BatchOptions, DecodedBatch, Header, RecordBatch};
use millpond_log::types::{Offset, PartitionId, TopicName, TopicPartition};
use parking_lot::Mutex;

use super::{
    Batch, Columns, NO_TIME, Outputs, ProcessContext, ProcessError, Processor, ProcessorSupplier, RawBatch,
    TaskGraph, TaskGraphOptions, time_header,
};
use crate::config::ProcessingConfig;
use crate::state::{MemoryHosts, StateLimits, StateOptions, TaskId, TaskState};
use crate::topology::{Plan, RepartitionOptions, SinkOptions, SourceOptions, Topology, TopologyBuilder};

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down every call; hands batches on.
struct Witness {
    name: &'static str,
    log: Log,
}

impl Processor for Witness {
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.log.lock().push(format!("{} {}", self.name, batch.shape()));
        context.forward(batch);
        Ok(())
    }

    fn on_time(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.log
            .lock()
            .push(format!("{} time {}", self.name, context.stream_time()));
        Ok(())
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.log.lock().push(format!("{} commit", self.name));
        context.forward(Batch::Columns(Box::new(Numbers(vec![1]))));
        Ok(())
    }

    fn on_abort(&mut self) {
        self.log.lock().push(format!("{} abort", self.name));
    }
}

#[derive(Debug)]
struct Numbers(Vec<i64>);

impl Columns for Numbers {
    fn row_count(&self) -> usize {
        self.0.len()
    }

    fn duplicate(&self) -> Box<dyn Columns> {
        Box::new(Numbers(self.0.clone()))
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }
}

/// Tells the clock about every record, as decoders do.
struct Decoder {
    log: Log,
}

impl Processor for Decoder {
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if let Batch::Raw(raw) = &batch {
            for found in raw.records() {
                let record = found?.record;
                context.observe_time(record.timestamp);
                self.log.lock().push(format!("read {}", record.offset.get()));
            }
            let marks: Vec<_> = raw
                .time_marks()
                .iter()
                .map(|(from, time)| (from.get(), *time))
                .collect();
            if !marks.is_empty() {
                self.log.lock().push(format!("marks {marks:?}"));
            }
        }
        context.forward(batch);
        Ok(())
    }
}

fn witness(name: &'static str, log: &Log) -> ProcessorSupplier {
    let log = log.clone();
    Arc::new(move || {
        Box::new(Witness {
            name,
            log: log.clone(),
        })
    })
}

fn decoder(log: &Log) -> ProcessorSupplier {
    let log = log.clone();
    Arc::new(move || Box::new(Decoder { log: log.clone() }))
}

struct Task {
    graph: TaskGraph,
    state: TaskState,
    outputs: Outputs,
}

fn start(topology: &Topology, sub: u32, upstream: i32) -> Task {
    let id = TaskId::new(sub, PartitionId::new(0));
    let mut state = TaskState::open(StateOptions {
        dir: PathBuf::from("test"),
        task: id,
        host: Arc::new(MemoryHosts::new()),
        stores: topology.sub_topologies()[sub as usize].stores().to_vec(),
        limits: StateLimits::default(),
        faults: Faults::none(),
    })
    .expect("opens");
    let mut outputs = Outputs::new(id.partition);
    let options = TaskGraphOptions {
        task: id,
        application_id: "app",
        partitions: &|_| Some(2),
        upstream_tasks: &|_| upstream,
        config: ProcessingConfig::default(),
    };
    let graph = TaskGraph::new(
        &topology.sub_topologies()[sub as usize],
        &options,
        &mut state,
        &mut outputs,
    );
    Task {
        graph: graph.expect("starts"),
        state,
        outputs,
    }
}

impl Task {
    fn process(&mut self, raw: RawBatch) {
        self.graph
            .process(raw, 0, &mut self.state, &mut self.outputs)
            .expect("goes through");
    }
}

/// Key (and value), timestamp, upstream time.
type TestRow<'a> = (Option<&'a str>, i64, Option<(i32, i64)>);

/// One batch of records with these timestamps; a time adds the header of that (upstream task, stream time), `None` as key means a time-only record.
fn record_batch(records: &[TestRow<'_>]) -> DecodedBatch {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for (key, timestamp, time) in records {
        let headers: Vec<Header> = time
            .map(|(upstream, time)| {
                Header::new(
                    time_header::TIME_HEADER,
                    time_header::encode(upstream, time).to_vec(),
                )
            })
            .into_iter()
            .collect();
        builder
            .append(
                *timestamp,
                key.map(str::as_bytes),
                key.map(str::as_bytes),
                &headers,
            )
            .expect("fits");
    }
    RecordBatch::parse(builder.build())
        .and_then(|batch| batch.decode())
        .expect("sound")
}

fn first_of(topic: &str) -> TopicPartition {
    TopicPartition {
        topic: TopicName::new(topic).expect("legal"),
        partition: PartitionId::new(0),
    }
}

/// All records of one batch, see `record_batch`.
fn raw(topic: &str, records: &[TestRow<'_>]) -> RawBatch {
    let until = Offset::new(records.len() as i64);
    RawBatch::new(first_of(topic), vec![record_batch(records)], Offset::ZERO, until)
}

#[test]
fn batches_go_depth_first_and_time_and_commit_visit_parents_before_children() {
    let log = Log::default();
    let mut builder = TopologyBuilder::new();
    let source = builder.add_source(
        "source",
        &["in"],
        SourceOptions {
            decoder: Some(decoder(&log)),
        },
    );
    let a = builder.add_processor("a", witness("a", &log), &[source], &[]);
    builder.add_processor("b", witness("b", &log), &[source], &[]);
    builder.add_processor("a1", witness("a1", &log), &[a], &[]);
    let mut task = start(&builder.build().expect("sound"), 0, 0);
    task.process(raw("in", &[(Some("k"), 7, None), (Some("k"), 5, None)]));
    let raw_seen = [
        "read 0",
        "read 1",
        "a raw records",
        "a1 raw records",
        "b raw records",
    ];
    assert_eq!(log.lock().drain(..).collect::<Vec<_>>()[..5], raw_seen);
    task.process(raw("in", &[(Some("k"), 6, None)]));
    let seen: Vec<String> = log.lock().drain(..).collect();
    assert!(
        !seen.iter().any(|call| call.contains("time")),
        "time stood still: {seen:?}"
    );
    task.process(raw("in", &[(Some("k"), 8, None)]));
    assert_eq!(
        log.lock().drain(..).collect::<Vec<_>>()[4..],
        ["a time 8", "b time 8", "a1 time 8"]
    );
    task.graph
        .prepare_commit(0, &mut task.state, &mut task.outputs)
        .expect("commits");
    let commit = ["a commit", "a1 columns", "b commit", "a1 commit"];
    assert_eq!(log.lock().drain(..).collect::<Vec<_>>(), commit);
    task.graph.abort();
    assert_eq!(
        log.lock().drain(..).collect::<Vec<_>>(),
        ["a abort", "b abort", "a1 abort"]
    );
}

#[test]
fn a_repartition_source_swallows_time_records_and_marks_when_time_advanced() {
    let log = Log::default();
    let mut builder = TopologyBuilder::new();
    let source = builder.add_source("source", &["in"], SourceOptions::default());
    let options = RepartitionOptions {
        decoder: Some(decoder(&log)),
        ..RepartitionOptions::default()
    };
    builder.add_repartition("by-key", options, &[source]);
    let topology = builder.build().expect("sound");
    let mut task = start(&topology, 1, 2);
    let topic = "app-by-key-repartition";
    task.process(raw(
        topic,
        &[
            (Some("a"), 900, Some((0, 10))),
            (None, 0, Some((1, 4))),
            (Some("b"), 3, None),
        ],
    ));
    let unknown = NO_TIME;
    assert_eq!(
        log.lock().drain(..).collect::<Vec<_>>(),
        [
            "read 0".to_owned(),
            "read 2".to_owned(),
            format!("marks [(0, {unknown}), (2, 4)]"),
        ]
    );
    assert_eq!(task.graph.clock().time(), 4, "the timestamp 900 does not count");
    let saved = task.graph.clock().encode();
    let mut restarted = start(&topology, 1, 2);
    restarted.graph.restore_clock(&saved).expect("sound");
    restarted.process(raw(topic, &[(Some("c"), 5, Some((1, 20)))]));
    assert_eq!(restarted.graph.clock().time(), 10);
}

#[test]
fn a_commit_tells_the_time_to_repartition_partitions_that_got_no_record_once() {
    let log = Log::default();
    let mut builder = TopologyBuilder::new();
    let source = builder.add_source(
        "source",
        &["in"],
        SourceOptions {
            decoder: Some(decoder(&log)),
        },
    );
    builder.add_repartition("by-key", RepartitionOptions::default(), &[source]);
    let mut task = start(&builder.build().expect("sound"), 0, 1);
    task.process(raw("in", &[(Some("k"), 7, None)]));
    let mut times = || {
        task.graph
            .prepare_commit(0, &mut task.state, &mut task.outputs)
            .expect("commits");
        let found: Vec<_> = task
            .outputs
            .partitions()
            .flat_map(|(_, partition, records)| {
                records.map(move |r| (partition.get(), r.key.is_some(), r.time))
            })
            .collect();
        task.outputs.clear();
        found
    };
    let k = super::partition_for_key(b"k", 2);
    let expected: Vec<_> = (0..2)
        .map(|partition| (partition, partition == k, Some((0, 7))))
        .collect();
    assert_eq!(
        times(),
        expected,
        "one rides on the record, the other has a record of its own"
    );
    assert_eq!(times(), [], "nothing new to tell");
    task.graph.abort();
    assert_eq!(task.graph.clock().time(), 7);
}

#[test]
fn every_source_counts_its_records_whatever_its_decoder_makes_of_them() {
    let log = Log::default();
    let mut builder = TopologyBuilder::new();
    let plain = builder.add_source("plain", &["in"], SourceOptions::default());
    let options = RepartitionOptions {
        decoder: Some(decoder(&log)),
        ..RepartitionOptions::default()
    };
    builder.add_repartition("by-key", options, &[plain]);
    let topology = builder.build().expect("sound");
    let mut task = start(&topology, 0, 0);
    let three = raw(
        "in",
        &[(Some("a"), 1, None), (Some("b"), 2, None), (None, 3, None)],
    );
    task.process(three);
    assert_eq!(task.graph.counters().read, 3, "without a decoder");
    let batch = record_batch(&[(Some("a"), 1, None), (Some("b"), 2, None)]);
    let cut = RawBatch::new(first_of("in"), vec![batch], Offset::new(1), Offset::new(2));
    task.process(cut);
    assert_eq!(task.graph.counters().read, 4, "one record of two");
    let mut task = start(&topology, 1, 1);
    let told = raw(
        "app-by-key-repartition",
        &[(Some("a"), 1, Some((0, 1))), (None, 0, Some((0, 2)))],
    );
    task.process(told);
    assert_eq!(
        task.graph.counters().read,
        1,
        "a record that only carries time is none"
    );
}

#[test]
fn a_sink_without_encoder_copies_raw_records() {
    let mut builder = TopologyBuilder::new();
    let source = builder.add_source("source", &["in"], SourceOptions::default());
    builder.add_sink("sink", "out", SinkOptions::default(), &[source]);
    let topology = builder.build().expect("sound");
    assert_eq!(
        Plan::new(&topology, "app", &|_| Some(1))
            .expect("plan")
            .task_counts,
        [1]
    );
    let mut task = start(&topology, 0, 0);
    task.process(raw("in", &[(Some("k"), 7, None), (None, 8, None)]));
    let found: Vec<_> = task
        .outputs
        .partitions()
        .flat_map(|(topic, _, records)| {
            records.map(move |r| (topic.to_string(), r.key.map(<[u8]>::to_vec), r.timestamp))
        })
        .collect();
    assert_eq!(found.len(), 2);
    assert!(found.contains(&("out".to_owned(), Some(b"k".to_vec()), 7)));
    assert!(found.contains(&("out".to_owned(), None, 8)));
}

#[test]
fn a_repartition_topic_that_tells_no_time_counts_like_any_other() {
    let log = Log::default();
    let mut builder = TopologyBuilder::new();
    let source = builder.add_source(
        "source",
        &["in"],
        SourceOptions {
            decoder: Some(decoder(&log)),
        },
    );
    builder.add_repartition("by-key", RepartitionOptions::default(), &[source]);
    let mut task = start(&builder.build().expect("sound"), 0, 0);
    task.process(raw("in", &[(Some("k"), 7, None)]));
    task.graph
        .prepare_commit(0, &mut task.state, &mut task.outputs)
        .expect("commits");
    let records = task.outputs.partitions().flat_map(|(_, _, records)| records);
    let times: Vec<_> = records.map(|record| record.time).collect();
    assert_eq!(
        times,
        [None],
        "no time on the record, and no record of time alone"
    );
    assert!(!task.graph.clock().follows_upstreams());
}
