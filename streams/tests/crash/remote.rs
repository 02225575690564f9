//! Broker and job in processes of their own, a proxy between them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::clock::{Clock, SystemClock};
use millpond_log::faults::Sabotage;
use millpond_streams::runtime::{LogClient, RemoteLog, RemoteOptions, StreamsConfig, StreamsHandle};
use rustix::process::Signal;

use crate::child::{launcher, show_plan};
use crate::cut_proxy::CutProxy;
use crate::job::feeder::Feeder;
use crate::job::{Plan, create_topics};
use crate::process::{Child, Identities, command};
use crate::settings::{PATIENCE, block_on, config, kills, plan, say, seed};
use crate::verdict::{is_right, log_is_sound};

/// A broker in a process of its own, what it is reached through, and who feeds it.
pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    pub(crate) plan: Plan,
    pub(crate) proxy: CutProxy,
    pub(crate) log: Arc<dyn LogClient>,
    pub(crate) feeder: Feeder,
    pub(crate) broker: Child,
}

impl World {
    pub(crate) async fn start(plan: Plan) -> World {
        World::start_with_cuts(plan, 0).await
    }

    /// One request in `one_in` is cut off (0: none).
    pub(crate) async fn start_with_cuts(plan: Plan, one_in: u64) -> World {
        let home = tempfile::tempdir().expect("a temporary directory");
        let proxy = CutProxy::start(plan.seed, one_in, 0).await;
        let broker = start_broker(&home, &proxy).await;
        let log = connect(&proxy.address.to_string());
        create_topics(&*log, &plan).await;
        let feeder = Feeder::open(log.clone(), SystemClock::shared(), plan)
            .await
            .expect("the input can be written");
        World {
            home,
            plan,
            proxy,
            log,
            feeder,
            broker,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.proxy.address.to_string()
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The job in a process, with its state in the directory of this name.
    pub(crate) fn job(&self, name: &str, sabotage: Option<Sabotage>) -> Child {
        let names = sabotage.map(|sabotage| ("MILLPOND_SABOTAGE", sabotage.name()));
        self.job_of(&self.plan, name, names)
    }

    /// The same for another plan on this world's input, with a variable of its environment.
    pub(crate) fn job_of(&self, plan: &Plan, name: &str, env: Option<(&str, &str)>) -> Child {
        let state = self.state(name).display().to_string();
        let mut command = command(&["job".to_owned(), self.address(), state, show_plan(plan)]);
        command.envs(env);
        Child::start(command, self.home.path())
    }

    /// SIGKILL, and another process on the same data.
    pub(crate) async fn kill_broker(&mut self) {
        self.proxy.lead_to(None);
        self.broker.kill();
        self.broker = start_broker(&self.home, &self.proxy).await;
    }

    /// Feeds what is left, holds everything against the input, and the log against its own files.
    pub(crate) async fn finish(mut self, name: &str) {
        self.feeder.finish().await.expect("the input is taken");
        let address = self.address();
        is_right(
            &*self.log,
            &self.plan,
            |launcher| launcher.connect(address.clone()),
            &self.state(name),
        )
        .await;
        self.stop().await;
    }

    /// Ends the broker in an orderly way; every derived file must be what its log makes it.
    pub(crate) async fn stop(mut self) {
        self.proxy.lead_to(None);
        self.proxy.cut_all();
        self.broker.tell("stop");
        let status = self.broker.ended_within(PATIENCE).await.expect("the broker ends");
        assert!(status.success(), "{}", self.broker.complaints());
        log_is_sound(&self.home.path().join("log"));
    }
}

async fn start_broker(home: &tempfile::TempDir, proxy: &CutProxy) -> Child {
    let dir = home.path().join("log").display().to_string();
    let port = proxy.address.port().to_string();
    let mut broker = Child::start(command(&["broker".to_owned(), dir, port]), home.path());
    let address = broker.wait_for("listening", 1).await;
    let address = address.expect("the broker starts").parse().expect("an address");
    proxy.lead_to(Some(address));
    broker
}

pub(crate) fn connect(address: &str) -> Arc<dyn LogClient> {
    Arc::new(RemoteLog::new(RemoteOptions::new(address)).expect("a client"))
}

/// What a start replayed; more than its stores may lag is an error.
pub(crate) fn replayed(job: &Child) -> Result<u64, String> {
    let mut most = 0;
    for line in job.said("replayed") {
        let numbers: Vec<u64> = line.split(' ').filter_map(|text| text.parse().ok()).collect();
        match numbers[..] {
            [bytes, limit] if bytes <= limit => most = most.max(bytes),
            _ => return Err(format!("bytes replayed and the most that may be: {line}")),
        }
    }
    Ok(most)
}

pub(crate) fn killed_jobs() {
    block_on(async {
        let seed = seed();
        let mut rng = fastrand::Rng::with_seed(seed);
        let wanted = kills(5);
        let plan = plan(seed, 120 + 60 * wanted);
        let mut world = World::start(plan).await;
        let (mut identities, mut most_replayed) = (Identities::default(), 0);
        let points = ["K19", "S1", "S2", "S3", "S5", "K20"];
        for number in 0..wanted {
            let point = (number % 2 == 0).then(|| {
                let point = points[rng.usize(..points.len())];
                let hit = if point == "K20" { 1 } else { rng.u32(1..8) };
                format!("{point}:{hit}")
            });
            let mut job = world.job_of(
                &world.plan,
                "state",
                point.as_deref().map(|point| ("MILLPOND_KILL_POINT", point)),
            );
            for _ in 0..rng.u32(1..6) {
                world
                    .feeder
                    .feed(world.feeder.written() + 12)
                    .await
                    .expect("the input is taken");
            }
            // Half of them in the middle of the work; the others when they are done with it.
            if rng.bool() {
                job.tell("catch up");
                job.wait_for("caught up", 1).await.ok();
            }
            if !job.has_ended() {
                job.kill();
            }
            assert!(
                !job.complaints().contains("the application"),
                "{}",
                job.complaints()
            );
            most_replayed = most_replayed.max(replayed(&job).expect("no more than the lag"));
            identities.check(&world.state("state"));
        }
        world.finish("state").await;
        say(&format!(
            "jobs beside their broker: {wanted} kills, 0 wipes, at most {most_replayed} bytes replayed by a start"
        ));
    });
}

pub(crate) fn killed_brokers() {
    block_on(async {
        let seed = seed();
        let mut rng = fastrand::Rng::with_seed(seed);
        let wanted = kills(5);
        let plan = plan(seed, 120 + 60 * wanted);
        let mut world = World::start(plan).await;
        let mut job = world.job("state", None);
        let mut identities = Identities::default();
        for number in 0..wanted {
            for _ in 0..rng.u32(1..6) {
                world
                    .feeder
                    .feed(world.feeder.written() + 12)
                    .await
                    .expect("the input is taken");
            }
            if number % 3 == 0 {
                job.tell("catch up");
                job.wait_for("caught up", number as usize / 3 + 1)
                    .await
                    .expect("it catches up");
            }
            world.kill_broker().await;
            assert!(!job.has_ended(), "{}", job.complaints());
            identities.check(&world.state("state"));
        }
        // Alive all the time, so nothing was replayed; killed now, so that its state is what a crash leaves.
        job.tell("catch up");
        let rounds = wanted.div_ceil(3) as usize + 1;
        job.wait_for("caught up", rounds).await.expect("it catches up");
        job.kill();
        world.finish("state").await;
        say(&format!(
            "brokers under a job: {wanted} kills, the job lived through all of them"
        ));
    });
}

/// Runs the job in this process with settings of its own, feeding it meanwhile; returns how often it had to find out what became of a commit.
async fn beside(
    world: &mut World,
    settings: StreamsConfig,
    mut disturb: impl AsyncFnMut(&mut World, &StreamsHandle, u64),
) -> u64 {
    let app = launcher(&world.plan, &world.state("state"))
        .connect(world.address())
        .config(settings)
        .run()
        .await
        .expect("the application starts");
    app.wait_until_running().await.expect("it runs");
    let mut round = 0;
    while world.feeder.written() < world.plan.records {
        world
            .feeder
            .feed(world.feeder.written() + 15)
            .await
            .expect("the input is taken");
        disturb(world, &app, round).await;
        round += 1;
    }
    app.wait_until_caught_up().await.expect("it catches up");
    let metrics = app.metrics();
    assert_eq!(metrics.restarts, 0);
    app.shutdown(PATIENCE).await.expect("it ends");
    metrics.recoveries
}

pub(crate) fn slow_broker() {
    block_on(async {
        let mut world = World::start(plan(seed(), 300)).await;
        let settings = StreamsConfig {
            request_timeout: Duration::from_millis(220),
            ..config()
        };
        let clock = SystemClock::new();
        let recoveries = beside(&mut world, settings, async |world, app, round| {
            // Slow by turns in the middle of the work, until the slow turn met a commit. Never slow in the end: whoever waits for it asks as well, and would be told
            // that nobody answers.
            let gives_up = clock.monotonic() + PATIENCE;
            while round == 1 && app.metrics().recoveries == 0 && clock.monotonic() < gives_up {
                let more = world.feeder.written() + 2;
                world.feeder.feed(more).await.expect("the input is taken");
                world.proxy.slow_down(260);
                clock.sleep(Duration::from_millis(300)).await;
                world.proxy.slow_down(0);
                clock.sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        assert!(
            recoveries > 0,
            "answers were to come later than they are waited for"
        );
        say(&format!(
            "slow broker: {recoveries} commits with an unknown outcome"
        ));
        world.finish("state").await;
    });
}

pub(crate) fn stalled_broker() {
    block_on(async {
        let mut world = World::start(plan(seed(), 300)).await;
        let settings = StreamsConfig {
            request_timeout: Duration::from_millis(500),
            delivery_timeout: Duration::from_millis(900),
            transaction_timeout: Duration::from_secs(1),
            ..config()
        };
        let clock = SystemClock::new();
        let recoveries = beside(&mut world, settings, async |world, _, round| {
            if round % 5 == 2 {
                world.broker.signal(Signal::STOP);
                clock.sleep(Duration::from_millis(1_500)).await;
                world.broker.signal(Signal::CONT);
            }
        })
        .await;
        assert!(recoveries > 0, "transactions were to be given up");
        say(&format!("stalled broker: {recoveries} transactions given up"));
        world.finish("state").await;
    });
}
