//! A log so slow that the coordinator gives a transaction up while the worker still commits it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use millpond_log::broker::{Broker, BrokerOptions, NewTopic, ProducerIdentity, TxnResult};
use millpond_log::clock::{Clock, SimClock};
use millpond_log::config::BrokerConfig;
use millpond_log::faults::Faults;
use millpond_log::rng::SeededRng;
use millpond_log::storage::disk_sim::SimDisk;
use millpond_log::types::TransactionalId;
use millpond_streams::runtime::{LogClient, LogError, Streams, StreamsConfig};
use millpond_streams::state::MemoryHosts;

use super::hooked_log::{EndTxn, HookedLog};
use super::support::{expected, last_counts, read_committed, send_lines, topic, word_count};

/// Holds up the first steps of the first commit: each less than a step may take, together longer than a transaction may stay open.
#[derive(Debug)]
struct Slow {
    clock: Arc<dyn Clock>,
    left: AtomicU32,
    stall: Duration,
}

impl Slow {
    async fn stall(&self) {
        let left = self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            self.clock.sleep(self.stall).await;
        }
    }
}

#[async_trait]
impl EndTxn for Slow {
    async fn end_txn(
        &self,
        log: &Arc<dyn LogClient>,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        log.end_txn(id, identity, result).await
    }

    async fn after_produce(&self) {
        self.stall().await;
    }

    async fn before_offsets(&self) {
        self.stall().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_beyond_the_transaction_timeout_costs_the_transaction_and_not_the_worker() {
    let clock: Arc<dyn Clock> = Arc::new(SimClock::new(1_700_000_000_000));
    let broker = Broker::start(BrokerOptions {
        data_dir: "/log".into(),
        disk: SimDisk::new(1).shared(),
        clock: clock.clone(),
        rng: Arc::new(SeededRng::new(1)),
        faults: Faults::none(),
        config: BrokerConfig::default(),
    })
    .await
    .expect("the broker starts");
    for (name, partitions) in [("lines", 4), ("counts", 1)] {
        for answer in broker
            .create_topics(vec![NewTopic::new(topic(name), partitions)])
            .await
        {
            answer.expect("the topic is created");
        }
    }
    let config = StreamsConfig {
        request_timeout: Duration::from_secs(45),
        ..StreamsConfig::default()
    };
    let slow = Slow {
        clock: clock.clone(),
        left: AtomicU32::new(2),
        stall: Duration::from_secs(40),
    };
    let (workers, app) = Streams::builder(word_count())
        .application_id("words")
        .log_client(Arc::new(HookedLog::new(&broker, slow)))
        .state_dir("/state")
        .state_hosts(Arc::new(MemoryHosts::new()))
        .clock(clock.clone())
        .faults(Faults::none())
        .config(config)
        .prepare()
        .await
        .expect("the application starts");
    for worker in workers {
        tokio::spawn(worker.run());
    }
    let lines = ["to be or", "not to be", "that is", "the question"];
    send_lines(&broker, lines.map(str::to_owned)).await;
    app.wait_until_caught_up()
        .await
        .expect("the worker asks for a new epoch and goes on");
    assert_eq!(
        last_counts(&read_committed(&broker, "counts").await),
        expected(lines)
    );
    let metrics = app.metrics();
    assert_eq!(metrics.recoveries, 1, "the coordinator gave the transaction up");
    assert_eq!(metrics.restarts, 0);
    app.shutdown(Duration::from_secs(60)).await.expect("it ends");
}
