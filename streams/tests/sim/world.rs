//! One simulated machine through several lives: its disk, its state hosts, its clock, and what was written to it.
//!
//! Every life has a runtime of its own; a crash drops it with every task on it, takes the disk back to what was synced and the hosts to what
//! they had flushed (or a little more, as RocksDB may). Which job runs is told (`Job`): a count, or many operators. A kill point stops the task that hit it on the spot and the power at the same instant.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use millpond_log::broker::{Broker, BrokerOptions, NewTopic};
use millpond_log::clock::{Clock, SimClock};
use millpond_log::config::BrokerConfig;
use millpond_log::faults::{Faults, Sabotage};
use millpond_log::rng::{Rng, SeededRng};
use millpond_log::storage::disk_sim::{CrashMode, SimDisk};
use millpond_log::storage::verify::verify;
use millpond_streams::dsl::StreamsBuilder;
use millpond_streams::runtime::{EmbeddedLog, LogClient, Streams, StreamsConfig};
use millpond_streams::state::{MemoryHosts, StateLimits, Survivors};
use millpond_streams::topology::Topology;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::feeder::{Written, feed};
use super::hooked_log::HookedLog;
use super::job::{Plan, create_topics};
use super::operators;
use super::oracle;
use super::support::topic;
use super::unreliable::Unreliable;

pub(crate) const APPLICATION: &str = "sim";
pub(crate) const STORE: &str = "per-key";

/// Simulated time within which the last life must have processed everything.
const LIVENESS: Duration = Duration::from_secs(120);

/// What a run was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// All bytes of the disk at the end.
    pub(crate) digest: u64,
    /// Names of the kill points that ended a life, or the time that did.
    pub(crate) deaths: Vec<String>,
    /// Changelog records replayed in all lives.
    pub(crate) restored_records: u64,
    /// Times a worker had to find out what became of a commit.
    pub(crate) recoveries: u64,
    /// Records written.
    pub(crate) written: u64,
}

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// Counts per key behind a repartition topic: small, so that many seeds are run.
    Counts,
    /// Windows, suppression, sessions, joins of every kind, timers, versioned tables: `tests/job`.
    Operators,
}

/// Runs a seed. `Err` says what was wrong in the end, or which named error stopped the application.
pub(crate) fn simulate(job: Job, seed: u64, sabotage: Option<Sabotage>) -> Result<Report, String> {
    let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(seed));
    let mut world = World {
        disk: SimDisk::new(seed),
        hosts: MemoryHosts::new(),
        wall_ms: 1_700_000_000_000,
        written: Arc::default(),
        job,
        plan: operators::plan(seed),
        sabotage,
        report: Report {
            digest: 0,
            deaths: Vec::new(),
            restored_records: 0,
            recoveries: 0,
            written: 0,
        },
        rng,
    };
    let crashes = 2 + world.rng.below(4);
    for _ in 0..crashes {
        let death = Death::draw(&*world.rng);
        world.live(Some(death))?;
        world.disk.crash(CrashMode::LoseUnsynced);
        let survivors = match world.rng.below(3) {
            0 => Survivors::Oldest(world.rng.below(4) as usize),
            _ => Survivors::None,
        };
        world.hosts.crash(survivors);
    }
    world.live(None)?;
    let verified =
        verify(&world.disk.shared(), Path::new("/log")).map_err(|error| format!("verify: {error}"))?;
    if let Some(problem) = verified.all_problems().next() {
        return Err(format!("a derived file does not match its log: {problem:?}"));
    }
    world.report.digest = world.disk.digest();
    world.report.written = world.written.lock().next_id;
    Ok(world.report)
}

/// How a life ends.
#[derive(Debug, Clone, Copy)]
struct Death {
    after: Duration,
    /// At a kill point, if it comes first.
    at: KillAt,
}

#[derive(Debug, Clone, Copy)]
enum KillAt {
    /// At this hit of any point.
    Any(u64),
    /// At this hit of the points of this name.
    Named(&'static str, u64),
    Never,
}

/// Points worth aiming at: those of the coordinator, of the worker and of task state come seldom beside those of storage.
const AIMED: [&str; 11] = [
    "K12", "K13", "K14", "K15", "K19", "K20", "S1", "S2", "S3", "S4", "S5",
];

impl Death {
    fn draw(rng: &dyn Rng) -> Death {
        let at = match rng.below(4) {
            // Anywhere, recovery of the broker included.
            0 => KillAt::Any(1 + rng.below(40)),
            1 => KillAt::Any(1 + rng.below(400)),
            2 => KillAt::Named(AIMED[rng.below(AIMED.len() as u64) as usize], 1 + rng.below(4)),
            _ => KillAt::Never,
        };
        Death {
            after: Duration::from_millis(20 + rng.below(900)),
            at,
        }
    }
}

struct World {
    disk: SimDisk,
    hosts: MemoryHosts,
    wall_ms: i64,
    written: Arc<Mutex<Written>>,
    job: Job,
    /// Of the many operators.
    plan: Plan,
    sabotage: Option<Sabotage>,
    report: Report,
    rng: Arc<dyn Rng>,
}

/// Shared with the hook at the kill points.
struct Fate {
    death: Option<Death>,
    hits: AtomicU64,
    named_hits: AtomicU64,
    killed_at: Mutex<Option<String>>,
    killed: Notify,
    disk: SimDisk,
}

/// Thrown through the task that hit its kill point.
struct Killed;

impl Fate {
    fn hit(&self, point: &str) {
        let hit = self.hits.fetch_add(1, Ordering::Relaxed) + 1;
        let dies = match self.death.map_or(KillAt::Never, |death| death.at) {
            KillAt::Any(at) => hit == at,
            KillAt::Named(name, at) => {
                name == point && self.named_hits.fetch_add(1, Ordering::Relaxed) + 1 == at
            }
            KillAt::Never => false,
        };
        if dies {
            self.disk.crash(CrashMode::LoseUnsynced);
            *self.killed_at.lock() = Some(point.to_owned());
            self.killed.notify_one();
            // No panic hook, no message: the task is gone, as everything else will be in a moment.
            resume_unwind(Box::new(Killed));
        }
    }
}

impl World {
    /// One life, until its death or, without one, until everything is processed and checked.
    fn live(&mut self, death: Option<Death>) -> Result<(), String> {
        let fate = Arc::new(Fate {
            death,
            hits: AtomicU64::new(0),
            named_hits: AtomicU64::new(0),
            killed_at: Mutex::new(None),
            killed: Notify::new(),
            disk: self.disk.clone(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let life = AssertUnwindSafe(|| {
            runtime.block_on(async {
                let clock: Arc<dyn Clock> = Arc::new(SimClock::new(self.wall_ms));
                let outcome = {
                    let story = std::pin::pin!(self.story(&fate, clock.clone()));
                    tokio::select! {
                        biased;
                        () = fate.killed.notified() => Ok(()),
                        () = clock.sleep(death.map_or(LIVENESS, |death| death.after)) => match death {
                            Some(_) => Ok(()),
                            None => Err(format!("not everything was processed within {LIVENESS:?}")),
                        },
                        outcome = story => outcome,
                    }
                };
                (outcome, clock.now_ms())
            })
        });
        let outcome = match catch_unwind(life) {
            Ok((outcome, now_ms)) => {
                self.wall_ms = now_ms;
                outcome
            }
            Err(thrown) if thrown.is::<Killed>() => Ok(()),
            Err(thrown) => resume_unwind(thrown),
        };
        let killed_at = fate.killed_at.lock().clone();
        if let Some(death) = death {
            let name = killed_at
                .clone()
                .unwrap_or_else(|| format!("{} ms", death.after.as_millis()));
            self.report.deaths.push(name);
        }
        // Between the power cut and the end of the runtime, errors are what a dying machine says.
        if killed_at.is_some() { Ok(()) } else { outcome }
    }

    /// What happens in a life: start everything, feed, and in the last one end well.
    async fn story(&mut self, fate: &Arc<Fate>, clock: Arc<dyn Clock>) -> Result<(), String> {
        let hook = fate.clone();
        let faults = Faults::with_sabotage(self.sabotage).on_point(Arc::new(move |point| hook.hit(point)));
        let broker = Broker::start(BrokerOptions {
            data_dir: "/log".into(),
            disk: self.disk.shared(),
            clock: clock.clone(),
            rng: self.rng.clone(),
            faults: faults.clone(),
            config: BrokerConfig::default(),
        })
        .await
        .map_err(|error| format!("the broker does not start: {error:?}"))?;
        let log: Arc<dyn LogClient> = Arc::new(EmbeddedLog::new(broker.clone()));
        let topology = match self.job {
            Job::Counts => topology(),
            Job::Operators => {
                create_topics(&*log, &self.plan).await;
                operators::topology(&self.plan)
            }
        };
        for (name, partitions) in [("events", 2), ("counts", 1)] {
            if broker.partition_count(&topic(name)).is_none() {
                for answer in broker
                    .create_topics(vec![NewTopic::new(topic(name), partitions)])
                    .await
                {
                    answer.map_err(|error| format!("topic {name} is not created: {error}"))?;
                }
            }
        }
        let unreliable = Unreliable {
            rng: self.rng.clone(),
            clock: clock.clone(),
            one_in: 2 + self.rng.below(8),
        };
        let (workers, app) = Streams::builder(topology)
            .application_id(APPLICATION)
            .log_client(Arc::new(HookedLog::new(&broker, unreliable)))
            .state_dir("/state")
            .state_hosts(Arc::new(self.hosts.clone()))
            .clock(clock.clone())
            .faults(faults)
            .config(self.config())
            .prepare()
            .await
            .map_err(|error| format!("the application does not start: {error}"))?;
        for worker in workers {
            tokio::spawn(worker.run());
        }
        let batches = if fate.death.is_some() { u64::MAX } else { 10 };
        let (rng, written) = (self.rng.clone(), self.written.clone());
        let feeding = match self.job {
            Job::Counts => feed(broker.clone(), rng, written, batches).boxed(),
            Job::Operators => {
                operators::feed(log.clone(), clock.clone(), rng, self.plan, written, batches).boxed()
            }
        };
        let fed = {
            let feeding = std::pin::pin!(feeding);
            let failing = std::pin::pin!(failure(&app, &*clock));
            tokio::select! {
                biased;
                error = failing => Err(error),
                fed = feeding => fed,
            }
        };
        self.note(&app);
        fed?;
        app.wait_until_caught_up()
            .await
            .map_err(|error| error.to_string())?;
        let written = std::mem::take(&mut *self.written.lock());
        let checked = match self.job {
            Job::Counts => oracle::check(&broker, &app, &written).await,
            Job::Operators => operators::check(&*log, &broker, &app, &self.plan).await,
        };
        *self.written.lock() = written;
        self.note(&app);
        checked?;
        app.shutdown(Duration::from_secs(30))
            .await
            .map_err(|error| error.to_string())?;
        broker
            .shutdown()
            .await
            .map_err(|error| format!("the broker does not stop: {error}"))
    }

    fn note(&mut self, app: &millpond_streams::runtime::StreamsHandle) {
        let metrics = app.metrics();
        self.report.restored_records += metrics.restored_records;
        self.report.recoveries += metrics.recoveries;
    }

    /// Settings drawn from the seed.
    fn config(&self) -> StreamsConfig {
        let rng = &*self.rng;
        let millis = |below| Duration::from_millis(1 + rng.below(below));
        StreamsConfig {
            workers: 1 + rng.below(2) as usize,
            commit_interval: millis(100),
            batch_bytes: 256 << rng.below(8),
            run_bytes: 128 << rng.below(10),
            buffered_bytes_per_partition: 1024 << rng.below(8),
            purge_interval: millis(500),
            request_timeout: Duration::from_secs(5),
            delivery_timeout: Duration::from_secs(20),
            recoveries_max: 1000,
            state: StateLimits {
                apply_interval: millis(300),
                apply_bytes: 256 << rng.below(8),
                flush_interval: millis(600),
                ..StateLimits::default()
            },
            ..StreamsConfig::default()
        }
    }
}

/// Resolves when the application has failed.
async fn failure(app: &millpond_streams::runtime::StreamsHandle, clock: &dyn Clock) -> String {
    loop {
        if let millpond_streams::runtime::StreamsState::Error(error) = app.state() {
            return format!("the application failed: {error}");
        }
        clock.sleep(Duration::from_millis(10)).await;
    }
}

/// Counts events per key, through a repartition topic, and writes the counts.
fn topology() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("events")
        .group_by(|key, _| key.clone())
        .count(STORE)
        .updates()
        .map_values(|count| count.to_string())
        .to("counts");
    builder.build().expect("a sound topology")
}
