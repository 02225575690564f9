//! `make soak`: half an hour (MINUTES=30) of two jobs on one broker under steady load, with faults at random moments, checked all the while.
//!
//! One job is killed and frozen; the other one is only frozen, so that one process has the whole time to leak. The broker is killed in the first third, and after that only
//! frozen and cut off, for the same reason. All connections go through a proxy that cuts some of them in the middle of a request. Every other minute what either job has
//! told of final results is compared with a computation over the input; in the end everything is, with both states and with states made from the changelogs alone.
//!
//! It prints its seed, a table, and ends with exit code 1 on any violation. `SOAK_OUT=docs/soak` writes `docs/soak.json` and `docs/soak.svg` as well.
//! What is drawn is in `faults.rs`, the memory in `memory.rs`.

mod faults;
mod follow;
mod memory;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millpond_log::clock::{Clock, SystemClock};

use crate::job::Plan;
use crate::job::create_topics;
use crate::job::feeder::Feeder;
use crate::process::Identities;
use crate::remote::World;
use crate::settings::{PATIENCE, STEADY, block_on, number, plan, say, seed};
use crate::verdict::is_right;
use faults::Faults;
use follow::Follower;
use memory::{Memory, Samples};
use report::Report;

/// Records of each input partition in every 100 ms.
const RATE: u64 = 2;

/// One request in so many is cut off.
const CUT_ONE_IN: u64 = 400;

/// Time between two comparisons.
const LOOK_EVERY: Duration = Duration::from_secs(100);

pub(crate) fn run() -> ExitCode {
    let minutes = number("MINUTES").unwrap_or(30);
    let report = block_on(soak(Duration::from_secs(60 * minutes)));
    println!("{}", report.table());
    if let Ok(path) = std::env::var("SOAK_OUT") {
        report.write(&path).expect("the report can be written");
    }
    if report.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn soak(span: Duration) -> Report {
    let seed = seed();
    let steps = u64::try_from(span.as_millis() / 100).unwrap_or(u64::MAX);
    // More than will be reached: the plan ends where the time does.
    let victim_plan = plan(seed, steps * RATE * 2);
    let steady_plan = Plan {
        job: STEADY,
        ..victim_plan
    };
    let mut world = World::start_with_cuts(victim_plan, CUT_ONE_IN).await;
    create_topics(&*world.log, &steady_plan).await;
    let mut steady = world.job_of(&steady_plan, "steady", None);
    let mut victim = world.job("victim", None);
    let clock = SystemClock::shared();
    let samples = Samples::start(
        clock.clone(),
        Memory {
            broker: world.broker.id(),
            steady: steady.id(),
            victim: victim.id(),
        },
    );
    let load = Load::start(clock.clone(), &world, steps).await;
    let mut faults = Faults::new(seed);
    let mut follower = Follower::new(world.log.clone());
    let mut report = Report::new(seed, span, RATE);
    let mut identities = Identities::default();
    let mut next_look = LOOK_EVERY;
    let begin = clock.monotonic();
    while clock.monotonic() - begin < span {
        let elapsed = clock.monotonic() - begin;
        clock.sleep(faults.pause()).await;
        faults
            .strike(
                &mut world,
                &mut steady,
                &mut victim,
                elapsed * 3 < span,
                &mut report,
            )
            .await;
        samples.watch(Memory {
            broker: world.broker.id(),
            steady: steady.id(),
            victim: victim.id(),
        });
        identities.check(&world.state("steady"));
        identities.check(&world.state("victim"));
        if elapsed >= next_look {
            next_look = elapsed + LOOK_EVERY;
            match follower.look(&[victim_plan, steady_plan]).await {
                Ok(compared) => {
                    report.comparisons += 1;
                    say(&format!(
                        "{} s: {compared:?}, faults {:?}",
                        elapsed.as_secs(),
                        report.faults
                    ));
                }
                Err(error) => report.violation(&error),
            }
        }
    }
    report.memory = samples.finish();
    let ended = load.stop().await;
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            report.violation(&error);
            return report;
        }
    };
    victim.kill();
    steady.tell("catch up");
    if let Err(error) = steady.wait_for("caught up", 1).await {
        report.violation(&format!("the job that was not killed: {error}"));
    }
    steady.tell("stop");
    steady.ended_within(PATIENCE).await;
    drop(steady);
    report.input = ended.records;
    for (plan, state) in [(victim_plan, "victim"), (steady_plan, "steady")] {
        let plan = Plan {
            records: ended.records,
            ..plan
        };
        let (log, address, dir) = (world.log.clone(), world.address(), world.state(state));
        let judged = tokio::spawn(async move {
            is_right(&*log, &plan, |launcher| launcher.connect(address.clone()), &dir).await;
        });
        match judged.await {
            Ok(()) => report.comparisons += 1,
            Err(error) => report.violation(&format!("{state}, in the end: {error}")),
        }
    }
    identities.check(&world.state("steady"));
    identities.check(&world.state("victim"));
    report.databases = identities.count();
    world.stop().await;
    report
}

/// Who feeds, beside everything else.
struct Load {
    over: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<Plan, String>>,
}

impl Load {
    async fn start(clock: Arc<dyn Clock>, world: &World, steps: u64) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let feeder = Feeder::open(world.log.clone(), clock.clone(), world.plan).await;
        let mut feeder = feeder.expect("the input can be written");
        let begin = clock.monotonic();
        let task = tokio::spawn(async move {
            for step in 1..=steps * 2 {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                feeder.feed(step * RATE).await?;
                // After a stall it catches up, as a producer with a backlog would.
                let due = begin + Duration::from_millis(100) * u32::try_from(step).unwrap_or(u32::MAX);
                clock.sleep(due.saturating_sub(clock.monotonic())).await;
            }
            feeder.stop_here().await
        });
        Load { over, task }
    }

    /// The plan as it was carried out.
    async fn stop(self) -> Result<Plan, String> {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.map_err(|error| error.to_string())?
    }
}
