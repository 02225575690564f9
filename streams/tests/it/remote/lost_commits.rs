//! I4 behind a socket: the end of a transaction is lost before it happens, after it happened, or arrives late; or it takes so long that the
//! coordinator gives the transaction up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use millpond_log::broker::{ProducerIdentity, TxnResult};
use millpond_log::clock::{Clock, SystemClock};
use millpond_log::types::TransactionalId;
use millpond_streams::dsl::StreamsBuilder;
use millpond_streams::runtime::{LogClient, LogError, StreamsConfig};
use millpond_streams::topology::Topology;

use super::log_io::{read_committed, send_lines};
use super::places::Place;
use super::same_job::last_counts;
use crate::hooked_log::{EndTxn, HookedLog};
use crate::support::{PATIENCE, expected, topic};

fn word_count(place: &Place) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(&place.named("lines"))
        .group_by(|_, line| line.clone())
        .count("line-counts")
        .updates()
        .map_values(|count| count.to_string())
        .to(&place.named("counts"));
    builder.build().expect("a sound topology")
}

/// Loses every third commit, each time in another way.
#[derive(Debug, Default)]
struct Lossy {
    calls: AtomicU64,
    lost: Arc<AtomicU64>,
}

#[async_trait]
impl EndTxn for Lossy {
    async fn end_txn(
        &self,
        log: &Arc<dyn LogClient>,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if call % 3 != 1 {
            return log.end_txn(id, identity, result).await;
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
        match call / 3 % 3 {
            0 => {}
            1 => drop(log.end_txn(id, identity, result).await?),
            _ => {
                let log = log.clone();
                tokio::spawn(async move {
                    SystemClock::new().sleep(Duration::from_millis(30)).await;
                    // Refused when the worker has fenced meanwhile, which is the point.
                    log.end_txn(id, identity, result).await.ok();
                });
            }
        }
        Err(LogError::Unknown("connection lost".into()))
    }
}

async fn run_through(
    place: &Place,
    hook: impl EndTxn + 'static,
    config: StreamsConfig,
    rounds: usize,
) -> u64 {
    place.create("lines", 2).await;
    place.create("counts", 1).await;
    let name = topic(&place.named("lines"));
    let app = place
        .launcher(word_count(place), "lines")
        .log_client(Arc::new(HookedLog::over(place.log.clone(), hook)))
        .config(config)
        .run()
        .await
        .expect(place.name);
    let lines: Vec<String> = (0..rounds * 20).map(|n| format!("w{}", n % 7)).collect();
    for part in lines.chunks(20) {
        send_lines(&*place.log, &name, 2, part.iter().cloned()).await;
        app.wait_until_caught_up().await.expect(place.name);
    }
    let counts = last_counts(&read_committed(&*place.log, &topic(&place.named("counts"))).await);
    assert_eq!(
        counts,
        expected(lines.iter().map(String::as_str)),
        "{}",
        place.name
    );
    let metrics = app.metrics();
    assert_eq!(metrics.restored_records, 0, "state was kept, not rebuilt");
    app.shutdown(PATIENCE).await.expect(place.name);
    metrics.recoveries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_commits_neither_lose_nor_double_anything_nor_cost_the_state() {
    for place in Place::remote().await {
        let hook = Lossy::default();
        let lost = hook.lost.clone();
        let recoveries = run_through(&place, hook, StreamsConfig::default(), 14).await;
        let lost = lost.load(Ordering::Relaxed);
        assert!(lost >= 4, "too few commits were lost to prove anything");
        assert!(recoveries >= lost, "{}", place.name);
    }
}

/// Holds up the steps of the first commit: each for less than a step may take, together for longer than a transaction may stay open.
#[derive(Debug)]
struct Stalled {
    stall: Duration,
    left: AtomicU64,
}

impl Stalled {
    async fn stall(&self) {
        let left = self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            SystemClock::new().sleep(self.stall).await;
        }
    }
}

#[async_trait]
impl EndTxn for Stalled {
    async fn end_txn(
        &self,
        log: &Arc<dyn LogClient>,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        self.stall().await;
        log.end_txn(id, identity, result).await
    }

    async fn after_produce(&self) {
        self.stall().await;
    }

    async fn before_offsets(&self) {
        self.stall().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_the_coordinator_gave_up_is_done_again() {
    for place in Place::remote().await {
        // Apache Kafka looks for such transactions every 10 seconds.
        let timeout = Duration::from_secs(if place.prefix.is_empty() { 1 } else { 8 });
        let hook = Stalled {
            stall: timeout * 8 / 10,
            left: AtomicU64::new(3),
        };
        let config = StreamsConfig {
            transaction_timeout: timeout,
            delivery_timeout: timeout * 9 / 10,
            ..StreamsConfig::default()
        };
        let recoveries = run_through(&place, hook, config, 3).await;
        assert!(recoveries >= 1, "{}", place.name);
    }
}
