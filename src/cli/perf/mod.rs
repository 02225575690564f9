//! `millpond perf`: how fast a cluster takes records, gives them back, and how long one is under way.
//!
//! What is always true: what is measured is measured at the client, over the wire; percentiles come from a histogram with three digits, without samples left
//! out; the topic is made for the run and deleted afterwards unless one is named.
//! One file per measurement.

mod consume;
mod e2e;
mod produce;
mod scratch;

use std::io::Write;

use clap::{Args, Subcommand};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::document::{Column, Document, Kind, Shape, TableShape};
use super::verbs::Flags;

/// Measure how fast a cluster is
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond perf produce                              a million records of 100 bytes, on a topic made for it
  millpond perf produce -n 500000 -s 1024 -P 64 --acks all -z lz4
  millpond perf produce --rate 10000 -n 100000       latency at a rate, not at the limit
  millpond perf consume orders -n 1000000
  millpond perf e2e -n 1000                          one record at a time, there and back")]
pub(crate) struct PerfArgs {
    #[command(subcommand)]
    command: PerfCommand,
}

#[derive(Debug, Subcommand)]
enum PerfCommand {
    Produce(produce::ProducePerfArgs),
    Consume(consume::ConsumePerfArgs),
    E2e(e2e::E2eArgs),
}

impl PerfArgs {
    /// What the verb is told about cluster and output.
    pub(super) fn flags(&self) -> Flags<'_> {
        match &self.command {
            PerfCommand::Produce(args) => Flags::new(&args.cluster, &args.output, &PRODUCE),
            PerfCommand::Consume(args) => Flags::new(&args.cluster, &args.output, &CONSUME),
            PerfCommand::E2e(args) => Flags::new(&args.cluster, &args.output, &E2E),
        }
    }
}

/// What the verbs print.
pub(super) fn shapes() -> Vec<(&'static str, &'static Shape)> {
    vec![("produce", &PRODUCE), ("consume", &CONSUME), ("e2e", &E2E)]
}

/// Runs the command.
pub(crate) async fn run(args: PerfArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.command {
        PerfCommand::Produce(args) => produce::run(args, out).await,
        PerfCommand::Consume(args) => consume::run(args, out).await,
        PerfCommand::E2e(args) => e2e::run(args, out).await,
    }
}

const TABLES: &[TableShape] = &[TableShape {
    name: "results",
    columns: &[
        Column("records", Kind::Count, "that went through"),
        Column("bytes", Kind::Bytes, "of keys and values"),
        Column("seconds", Kind::Seconds, "from the first to the last"),
        Column("records_per_second", Kind::Count, "rate"),
        Column("bytes_per_second", Kind::Bytes, "rate"),
        Column(
            "p50_ms",
            Kind::Count,
            "half were faster; null where nothing is timed",
        ),
        Column("p95_ms", Kind::Count, "95 of 100 were faster"),
        Column("p99_ms", Kind::Count, "99 of 100 were faster"),
        Column("p999_ms", Kind::Count, "999 of 1000 were faster"),
        Column("max_ms", Kind::Count, "the slowest"),
        Column("failed", Kind::Count, "records that did not go through"),
    ],
}];
static PRODUCE: Shape = Shape {
    kind: "perf_produce",
    tables: TABLES,
};
static CONSUME: Shape = Shape {
    kind: "perf_consume",
    tables: TABLES,
};
static E2E: Shape = Shape {
    kind: "perf_e2e",
    tables: TABLES,
};

/// What a run has measured; latencies in microseconds.
#[derive(Debug)]
struct Measured {
    records: u64,
    bytes: u64,
    seconds: f64,
    failed: u64,
    latencies: Option<Histogram<u64>>,
}

/// A histogram that keeps three digits of any latency.
fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are a valid precision")
}

impl Measured {
    fn document(&self, shape: &'static Shape) -> Document {
        let seconds = self.seconds.max(1e-9);
        let rate = |count: u64| json!((count as f64 / seconds).round() as u64);
        let at = |quantile: f64| match &self.latencies {
            Some(histogram) if !histogram.is_empty() => {
                json!(histogram.value_at_quantile(quantile) as f64 / 1000.0)
            }
            _ => Value::Null,
        };
        let mut document = Document::new(shape);
        document.push(vec![
            json!(self.records),
            json!(self.bytes),
            json!((self.seconds * 1000.0).round() / 1000.0),
            rate(self.records),
            rate(self.bytes),
            at(0.5),
            at(0.95),
            at(0.99),
            at(0.999),
            at(1.0),
            json!(self.failed),
        ]);
        document
    }
}
