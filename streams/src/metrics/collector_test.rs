//! What a scrape reads.

use std::sync::Arc;

use millpond_log::types::{Offset, PartitionId, TopicName, TopicPartition};
use prometheus_client::registry::Registry;

use super::{Observed, StreamsCollector, observe};
use crate::metrics::names::{ALL, Kind, Metric};
use crate::metrics::{PartitionMetrics, StoreMetrics, StreamsMetrics, TaskMetrics};
use crate::state::TaskId;

#[derive(Debug)]
struct Application(&'static str, u64);

impl Observed for Application {
    fn application_id(&self) -> &str {
        self.0
    }

    fn read(&self) -> StreamsMetrics {
        StreamsMetrics {
            records_in: self.1,
            input_lag_records: self.1 + 1,
            ..StreamsMetrics::default()
        }
    }

    fn workers(&self) -> Vec<(&'static str, usize)> {
        vec![("running", 2)]
    }

    fn states(&self) -> Vec<(&'static str, bool)> {
        vec![("restoring", false), ("running", true)]
    }

    fn tasks(&self) -> Vec<TaskMetrics> {
        vec![TaskMetrics {
            task: TaskId::new(1, PartitionId::new(3)),
            worker: 0,
            processed_records: self.1,
            dropped_records: 4,
            commits: 5,
            stream_time: Some(1_500),
            partitions: vec![PartitionMetrics {
                partition: TopicPartition::new(TopicName::new("lines").expect("a name"), 3),
                position: Offset::new(40),
                lag: 6,
                buffered_bytes: 700,
            }],
        }]
    }

    fn stores(&self) -> Vec<StoreMetrics> {
        vec![StoreMetrics {
            task: TaskId::new(1, PartitionId::new(3)),
            store: "counts".to_owned(),
            estimated_keys: Some(8),
            file_bytes: Some(9),
            write_buffer_bytes: Some(10),
            restored_records: 11,
            restore_remaining: 12,
        }]
    }
}

fn scrape() -> String {
    let mut registry = Registry::with_prefix("millpond");
    registry.register_collector(Box::new(StreamsCollector));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes everything");
    text
}

#[test]
fn every_application_is_told_once_under_the_published_names_until_it_is_gone() {
    let first: Arc<dyn Observed> = Arc::new(Application("collector-test-a", 7));
    let second: Arc<dyn Observed> = Arc::new(Application("collector-test-b", 9));
    let newer: Arc<dyn Observed> = Arc::new(Application("collector-test-a", 70));
    for application in [&first, &second, &newer] {
        observe(application);
    }
    let text = scrape();
    for line in [
        "millpond_streams_records_in_total{application=\"collector-test-a\"} 70",
        "millpond_streams_records_in_total{application=\"collector-test-b\"} 9",
        "millpond_streams_input_lag_records{application=\"collector-test-b\"} 10",
        "millpond_streams_workers{application=\"collector-test-a\",state=\"running\"} 2",
        "millpond_streams_client_state{application=\"collector-test-a\",state=\"restoring\"} 0",
        "millpond_streams_task_processed_records_total{application=\"collector-test-a\",task=\"1_3\"} 70",
        "millpond_streams_task_stream_time_seconds{application=\"collector-test-b\",task=\"1_3\"} 1.5",
        "millpond_streams_partition_lag_records{application=\"collector-test-b\",task=\"1_3\",topic=\"lines\",partition=\"3\"} 6",
        "millpond_streams_store_estimated_keys{application=\"collector-test-b\",task=\"1_3\",store=\"counts\"} 8",
    ] {
        let found = text.lines().filter(|told| told.starts_with(line)).count();
        assert_eq!(found, 1, "{line} in\n{text}");
    }
    assert!(
        text.contains("# TYPE millpond_streams_records_in counter"),
        "{text}"
    );
    assert!(text.contains("millpond_streams_rocksdb_memory_bytes "), "{text}");
    drop((first, second, newer));
    assert!(!scrape().contains("collector-test"), "they are gone");
}

/// What a line of the page must be for a metric.
fn documented(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let quoted = |names: Vec<&str>| match names.as_slice() {
        [] | [""] => "–".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let labels = quoted(metric.labels.to_vec());
    let kafka = quoted(metric.kafka.split(", ").collect());
    format!(
        "| `{}` | {kind} | {labels} | {} | {kafka} |",
        metric.name, metric.help
    )
}

#[test]
fn a_scrape_tells_every_metric_there_is_and_no_other() {
    let application: Arc<dyn Observed> = Arc::new(Application("collector-test-all", 7));
    observe(&application);
    let text = scrape();
    let told: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let all: Vec<&str> = ALL
        .iter()
        .map(|metric| metric.name.strip_suffix("_total").unwrap_or(metric.name))
        .collect();
    assert_eq!(told, all);
    for metric in &ALL {
        let is_counter = metric.kind == Kind::Counter;
        assert_eq!(metric.name.ends_with("_total"), is_counter, "{}", metric.name);
    }
}

#[test]
fn the_page_lists_every_metric_as_it_is() {
    let page = include_str!("../../../docs/streams-operations.md");
    let missing: Vec<String> = ALL
        .iter()
        .map(documented)
        .filter(|line| !page.lines().any(|found| found == line))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/streams-operations.md lacks:\n{}",
        missing.join("\n")
    );
    let listed = page
        .lines()
        .filter(|line| line.starts_with("| `millpond_streams_"))
        .count();
    assert_eq!(listed, ALL.len(), "it lists metrics that do not exist");
}
