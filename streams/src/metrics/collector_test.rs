//! What a scrape reads.

use std::sync::Arc;

use prometheus_client::registry::Registry;

use super::{Observed, StreamsCollector, observe};
use crate::metrics::StreamsMetrics;

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
