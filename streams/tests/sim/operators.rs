//! The job of many operators in the simulated world: its plan, its input, and what must be true in the end.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::broker::Broker;
use millpond_log::clock::Clock;
use millpond_log::rng::Rng;
use millpond_streams::runtime::{LogClient, StreamsHandle};
use parking_lot::Mutex;

use super::feeder::Written;
use super::job::feeder::Feeder;
pub(crate) use super::job::topology::topology;
use super::job::{Plan, check as compare};
use super::oracle::nothing_hangs;

/// More records of each partition than any run gets to.
const RECORDS_MAX: u64 = 1_000_000;

pub(crate) fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        base_ms: 1_700_000_000_000,
        records: RECORDS_MAX,
        grace_ms: 400,
        job: "",
    }
}

/// Writes input for as long as it lives, or `batches` times and then what closes every window. What was acknowledged in an earlier life must be there.
pub(crate) async fn feed(
    log: Arc<dyn LogClient>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    plan: Plan,
    written: Arc<Mutex<Written>>,
    batches: u64,
) -> Result<(), String> {
    let mut feeder = Feeder::open(log, clock.clone(), plan).await?;
    let acknowledged = written.lock().next_id;
    if feeder.written() < acknowledged {
        return Err(format!(
            "{acknowledged} records of each partition were acknowledged, and {} are there",
            feeder.written()
        ));
    }
    for _ in 0..batches {
        feeder.feed(feeder.written() + 1 + rng.below(4)).await?;
        written.lock().next_id = feeder.written();
        clock.sleep(Duration::from_millis(rng.below(40))).await;
    }
    feeder.stop_here().await.map(|_| ())
}

pub(crate) async fn check(
    log: &dyn LogClient,
    broker: &Broker,
    app: &StreamsHandle,
    plan: &Plan,
) -> Result<(), String> {
    let (expected, _) = compare::finished(log, plan).await?;
    compare::state(app, &expected)?;
    let late = app.metrics().late_records;
    if late > 0 {
        return Err(format!(
            "{late} records were late, and the input has none that are"
        ));
    }
    nothing_hangs(broker).await
}
