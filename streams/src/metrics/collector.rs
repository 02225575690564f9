//! The metrics of all streams applications of this process, for a Prometheus registry, for example that of a node's `/metrics`.
//!
//! Always true: what is told is [`names::ALL`]; a handle that is gone tells nothing any more; a scrape takes no lock that a worker waits for longer than a copy takes.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::names::{self, Kind, Metric};
use super::{StoreMetrics, StreamsMetrics, TaskMetrics};
use crate::state::RocksHosts;

/// An application as the collector sees it.
pub(crate) trait Observed: Send + Sync + std::fmt::Debug {
    /// Its id.
    fn application_id(&self) -> &str;
    /// Its counters.
    fn read(&self) -> StreamsMetrics;
    /// How many workers do what.
    fn workers(&self) -> Vec<(&'static str, usize)>;
    /// The states there are, `true` for the one it is in.
    fn states(&self) -> Vec<(&'static str, bool)>;
    /// Its tasks.
    fn tasks(&self) -> Vec<TaskMetrics>;
    /// Its stores.
    fn stores(&self) -> Vec<StoreMetrics>;
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

/// What is told under one name: labels in the order of [`Metric::labels`], and the value.
type Samples = BTreeMap<&'static str, Vec<(Vec<String>, f64)>>;

impl Collector for StreamsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let samples = samples();
        for metric in &names::ALL {
            let Some(samples) = samples.get(metric.name) else {
                continue;
            };
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(short(metric.name), metric.help, None, kind)?;
            for (values, value) in samples {
                if metric.labels.is_empty() {
                    tell(metric, *value, family)?;
                    break;
                }
                let names = metric.labels.iter().copied();
                let labels: Vec<(&str, &str)> = names.zip(values.iter().map(String::as_str)).collect();
                let labels = labels.as_slice();
                tell(metric, *value, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn tell(metric: &Metric, value: f64, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
    match metric.kind {
        Kind::Counter => ConstCounter::new(value).encode(encoder),
        Kind::Gauge => ConstGauge::new(value).encode(encoder),
    }
}

/// Everything there is to tell.
fn samples() -> Samples {
    let mut applications: Vec<Arc<dyn Observed>> =
        APPLICATIONS.lock().iter().filter_map(Weak::upgrade).collect();
    // Two lives of one application, the old one still held: the labels may stand once only.
    applications.reverse();
    applications.sort_by(|a, b| a.application_id().cmp(b.application_id()));
    applications.dedup_by(|a, b| a.application_id() == b.application_id());
    let mut samples = Samples::new();
    for application in &applications {
        add_application(&mut samples, &**application);
        let id = application.application_id();
        for task in application.tasks() {
            add_task(&mut samples, id, &task);
        }
        for store in application.stores() {
            add_store(&mut samples, id, &store);
        }
    }
    let budget = RocksHosts::process_wide();
    let budget = budget.budget();
    let process = [
        (names::ROCKSDB_MEMORY, budget.used_bytes()),
        (names::ROCKSDB_MEMORY_LIMIT, budget.limit_bytes()),
        (names::ROCKSDB_WRITE_BUFFERS, budget.write_buffer_bytes()),
    ];
    for (name, bytes) in process {
        samples.insert(name, vec![(Vec::new(), bytes as f64)]);
    }
    samples
}

fn add(samples: &mut Samples, name: &'static str, labels: &[&str], value: f64) {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    samples.entry(name).or_default().push((labels, value));
}

fn add_application(samples: &mut Samples, application: &dyn Observed) {
    let id = application.application_id();
    let m = application.read();
    let sums = [
        (names::RECORDS_IN, m.records_in as f64),
        (names::BYTES_IN, m.bytes_in as f64),
        (names::RECORDS_OUT, m.records_out as f64),
        (names::BYTES_OUT, m.bytes_out as f64),
        (names::LATE, m.late_records as f64),
        (names::SKIPPED, m.skipped_records as f64),
        (names::DEAD_LETTERS, m.dead_letters as f64),
        (names::COMMITS, m.commits as f64),
        (names::COMMIT_LATENCY, m.commit_latency_total.as_secs_f64()),
        (names::COMMIT_LATENCY_MAX, m.commit_latency_max.as_secs_f64()),
        (names::RECOVERIES, m.recoveries as f64),
        (names::RESTARTS, m.restarts as f64),
        (names::UNCOMMITTED_BYTES, m.uncommitted_bytes as f64),
        (names::INPUT_LAG, m.input_lag_records as f64),
        (names::RESTORED_RECORDS, m.restored_records as f64),
        (names::RESTORED_BYTES, m.restored_bytes as f64),
        (names::RESTORE_REMAINING, m.restore_remaining as f64),
        (names::STATE_LAG_BYTES, m.state_lag_bytes as f64),
        (names::STATE_MEMORY_BYTES, m.state_memory_bytes as f64),
        (names::STATE_MEMORY_ENTRIES, m.state_memory_entries as f64),
    ];
    for (name, value) in sums {
        add(samples, name, &[id], value);
    }
    for (state, count) in application.workers() {
        add(samples, names::WORKERS, &[id, state], count as f64);
    }
    for (state, is_in) in application.states() {
        add(
            samples,
            names::CLIENT_STATE,
            &[id, state],
            f64::from(u8::from(is_in)),
        );
    }
}

fn add_task(samples: &mut Samples, application: &str, metrics: &TaskMetrics) {
    let task = metrics.task.to_string();
    let sums = [
        (names::TASK_PROCESSED, metrics.processed_records as f64),
        (names::TASK_DROPPED, metrics.dropped_records as f64),
        (names::TASK_COMMITS, metrics.commits as f64),
    ];
    for (name, value) in sums {
        add(samples, name, &[application, &task], value);
    }
    if let Some(time) = metrics.stream_time {
        add(
            samples,
            names::TASK_STREAM_TIME,
            &[application, &task],
            time as f64 / 1_000.0,
        );
    }
    for input in &metrics.partitions {
        let number = input.partition.partition.get().to_string();
        let labels = [application, &task, input.partition.topic.as_str(), &number];
        let readings = [
            (names::PARTITION_LAG, input.lag as f64),
            (names::PARTITION_POSITION, input.position.get() as f64),
            (names::PARTITION_BUFFERED, input.buffered_bytes as f64),
        ];
        for (name, value) in readings {
            add(samples, name, &labels, value);
        }
    }
}

fn add_store(samples: &mut Samples, application: &str, metrics: &StoreMetrics) {
    let task = metrics.task.to_string();
    let labels = [application, &task, &metrics.store];
    let readings = [
        (names::STORE_RESTORED, Some(metrics.restored_records)),
        (names::STORE_RESTORE_REMAINING, Some(metrics.restore_remaining)),
        (names::STORE_KEYS, metrics.estimated_keys),
        (names::STORE_FILES, metrics.file_bytes),
        (names::STORE_BUFFERS, metrics.write_buffer_bytes),
    ];
    for (name, value) in readings {
        if let Some(value) = value {
            add(samples, name, &labels, value as f64);
        }
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
