//! What is looked up when somebody asks: topics, sizes, groups and their lag, open transactions.
//!
//! Always true: at most [`GROUPS`] groups are told, the ones with the most lag first; how many there are is told too.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::broker::{Broker, WeakBroker};

/// Most groups whose lag is told one by one.
const GROUPS: usize = 1_000;

/// Looks at the broker on each scrape; tells nothing once it is gone.
#[derive(Debug)]
pub(super) struct NodeCollector {
    broker: WeakBroker,
}

impl NodeCollector {
    pub(super) fn new(broker: &Broker) -> Self {
        Self {
            broker: broker.downgrade(),
        }
    }
}

impl Collector for NodeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(broker) = self.broker.upgrade() else {
            return Ok(());
        };
        let vitals = broker.vitals();
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, unit, gauge.metric_type())?;
            gauge.encode(metric)
        };
        gauge(
            "log_topics",
            "Topics, internal ones included",
            None,
            vitals.topics as f64,
        )?;
        gauge(
            "log_partitions",
            "Partitions on this node",
            None,
            vitals.partitions as f64,
        )?;
        gauge(
            "log_size",
            "All segments",
            Some(&Unit::Bytes),
            vitals.log_bytes as f64,
        )?;
        gauge(
            "log_damaged_partitions",
            "Partitions that recovery found damaged; they take no writes",
            None,
            vitals.damaged_partitions as f64,
        )?;
        gauge(
            "txn_open",
            "Transactions that are ongoing or being ended",
            None,
            vitals.open_transactions as f64,
        )?;
        let age = vitals.oldest_transaction.as_secs_f64();
        gauge(
            "txn_oldest_open",
            "Age of the oldest open transaction: how far the last stable offset can lag",
            Some(&Unit::Seconds),
            age,
        )?;
        gauge("group_count", "Consumer groups", None, vitals.groups.len() as f64)?;
        let mut groups = vitals.groups;
        groups.sort_by(|left, right| right.lag.cmp(&left.lag).then_with(|| left.id.cmp(&right.id)));
        let help =
            "Records below the high watermark that the group has not committed, over all its partitions";
        let mut family = encoder.encode_descriptor("group_lag_records", help, None, MetricType::Gauge)?;
        for group in groups.iter().take(GROUPS) {
            let labels = [("group", group.id.as_str())];
            ConstGauge::new(group.lag as f64).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
