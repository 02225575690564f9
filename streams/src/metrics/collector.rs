//! The metrics of all streams applications of this process, for a Prometheus registry, for example that of a node's `/metrics`.
//!
//! Always true: one label, the application; a handle that is gone tells nothing any more; a scrape reads counters and takes no lock a worker waits for.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{StreamsMetrics, names};
use crate::state::RocksHosts;

/// An application as the collector sees it.
pub(crate) trait Observed: Send + Sync + std::fmt::Debug {
    /// Its id.
    fn application_id(&self) -> &str;
    /// Its counters.
    fn read(&self) -> StreamsMetrics;
    /// How many workers do what.
    fn workers(&self) -> Vec<(&'static str, usize)>;
}

/// Applications whose handles live.
static APPLICATIONS: Mutex<Vec<Weak<dyn Observed>>> = Mutex::new(Vec::new());

/// From now on the application is told of, until it is dropped.
pub(crate) fn observe(application: &Arc<dyn Observed>) {
    let mut all = APPLICATIONS.lock();
    all.retain(|known| known.strong_count() > 0);
    all.push(Arc::downgrade(application));
}

/// Tells what all streams applications of this process count, and what RocksDB holds for them. For a registry with the prefix `millpond`
/// (`NodeMetrics` has it): the names are those in [`names`] without it.
///
/// ```
/// use millpond_streams::metrics::StreamsCollector;
/// use prometheus_client::registry::Registry;
///
/// let mut registry = Registry::with_prefix("millpond");
/// registry.register_collector(Box::new(StreamsCollector));
/// let mut text = String::new();
/// prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes everything");
/// assert!(text.contains("millpond_streams_rocksdb_memory_bytes"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamsCollector;

/// A counter or gauge, how it is told and where it is found.
type Told = (&'static str, &'static str, MetricType, fn(&StreamsMetrics) -> f64);

const TOLD: [Told; 20] = [
    (names::RECORDS_IN, "Records read", MetricType::Counter, |m| {
        m.records_in as f64
    }),
    (
        names::BYTES_IN,
        "Bytes of the batches read",
        MetricType::Counter,
        |m| m.bytes_in as f64,
    ),
    (names::RECORDS_OUT, "Records written", MetricType::Counter, |m| {
        m.records_out as f64
    }),
    (
        names::BYTES_OUT,
        "Bytes of the batches written",
        MetricType::Counter,
        |m| m.bytes_out as f64,
    ),
    (
        names::LATE,
        "Records too late for their window",
        MetricType::Counter,
        |m| m.late_records as f64,
    ),
    (names::SKIPPED, "Records left out", MetricType::Counter, |m| {
        m.skipped_records as f64
    }),
    (
        names::DEAD_LETTERS,
        "Records sent to the dead-letter topic",
        MetricType::Counter,
        |m| m.dead_letters as f64,
    ),
    (
        names::COMMITS,
        "Committed transactions",
        MetricType::Counter,
        |m| m.commits as f64,
    ),
    (
        names::RECOVERIES,
        "Transactions that were fenced and looked up",
        MetricType::Counter,
        |m| m.recoveries as f64,
    ),
    (
        names::RESTARTS,
        "Workers started again after a failure",
        MetricType::Counter,
        |m| m.restarts as f64,
    ),
    (
        names::COMMIT_LATENCY,
        "Time from freezing a transaction to its commit, summed",
        MetricType::Counter,
        |m| m.commit_latency_total.as_secs_f64(),
    ),
    (
        names::RESTORED_RECORDS,
        "Changelog records replayed",
        MetricType::Counter,
        |m| m.restored_records as f64,
    ),
    (
        names::RESTORED_BYTES,
        "Changelog bytes replayed",
        MetricType::Counter,
        |m| m.restored_bytes as f64,
    ),
    (
        names::RESTORE_REMAINING,
        "Changelog offsets still to be replayed",
        MetricType::Gauge,
        |m| m.restore_remaining as f64,
    ),
    (
        names::INPUT_LAG,
        "Offsets between positions and ends of the inputs",
        MetricType::Gauge,
        |m| m.input_lag_records as f64,
    ),
    (
        names::UNCOMMITTED_BYTES,
        "Bytes of work not yet committed",
        MetricType::Gauge,
        |m| m.uncommitted_bytes as f64,
    ),
    (
        names::STATE_LAG_BYTES,
        "Bytes committed and not yet in RocksDB",
        MetricType::Gauge,
        |m| m.state_lag_bytes as f64,
    ),
    (
        names::STATE_MEMORY_BYTES,
        "Memory of the in-memory tables of state",
        MetricType::Gauge,
        |m| m.state_memory_bytes as f64,
    ),
    (
        names::STATE_MEMORY_ENTRIES,
        "Entries of the in-memory tables of state",
        MetricType::Gauge,
        |m| m.state_memory_entries as f64,
    ),
    (
        names::COMMIT_LATENCY_MAX,
        "Longest commit",
        MetricType::Gauge,
        |m| m.commit_latency_max.as_secs_f64(),
    ),
];

impl Collector for StreamsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let applications: Vec<Arc<dyn Observed>> =
            APPLICATIONS.lock().iter().filter_map(Weak::upgrade).collect();
        let mut read: Vec<(&str, StreamsMetrics)> = applications
            .iter()
            .map(|application| (application.application_id(), application.read()))
            .collect();
        // Two lives of one application, the old one still held: the label may stand once only.
        read.reverse();
        read.sort_by_key(|(id, _)| *id);
        read.dedup_by_key(|(id, _)| *id);
        for (name, help, kind, value) in TOLD {
            if read.is_empty() {
                break;
            }
            let mut family = encoder.encode_descriptor(short(name), help, None, kind)?;
            for (application, metrics) in &read {
                let labels = [("application", *application)];
                let encoder = family.encode_family(&labels)?;
                match kind {
                    MetricType::Counter => ConstCounter::new(value(metrics)).encode(encoder)?,
                    _ => ConstGauge::new(value(metrics)).encode(encoder)?,
                }
            }
        }
        let mut told = std::collections::BTreeSet::new();
        if !applications.is_empty() {
            let mut family = encoder.encode_descriptor(
                short(names::WORKERS),
                "Workers by what they do",
                None,
                MetricType::Gauge,
            )?;
            for application in applications.iter().rev() {
                if !told.insert(application.application_id()) {
                    continue;
                }
                for (state, count) in application.workers() {
                    let labels = [("application", application.application_id()), ("state", state)];
                    ConstGauge::new(count as f64).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        let budget = RocksHosts::process_wide();
        let budget = budget.budget();
        let mut gauge = |name: &str, help: &str, bytes: usize| {
            let gauge = ConstGauge::new(bytes as f64);
            let metric = encoder.encode_descriptor(short(name), help, None, gauge.metric_type())?;
            gauge.encode(metric)
        };
        gauge(
            names::ROCKSDB_MEMORY,
            "Cached blocks and write buffers of all RocksDBs",
            budget.used_bytes(),
        )?;
        gauge(
            names::ROCKSDB_WRITE_BUFFERS,
            "Write buffers of all RocksDBs",
            budget.write_buffer_bytes(),
        )
    }
}

/// The name as the encoder takes it: it adds the registry's prefix, and `_total` to counters.
fn short(name: &str) -> &str {
    let name = name.strip_prefix("millpond_").unwrap_or(name);
    name.strip_suffix("_total").unwrap_or(name)
}

#[cfg(test)]
#[path = "collector_test.rs"]
mod collector_test;
