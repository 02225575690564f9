//! A job that ran, was reset and runs again: on a data directory of its own process, and on a node behind a socket.
//!
//! Always true of the job: it counts its ten lines, which are an hour apart, so what it counts after a reset tells where it began.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millpond::log::broker::{Broker, BrokerOptions, NewTopic, ProducePartition, ProduceRequest};
use millpond::log::clock::{Clock, SystemClock};
use millpond::log::record::{BatchBuilder, BatchOptions};
use millpond::log::types::{TopicName, TopicPartition};
use millpond::streams::dsl::StreamsBuilder;
use millpond::streams::runtime::{
    EmbeddedLog, LogClient, RemoteLog, RemoteOptions, RuntimeError, Streams, StreamsHandle, StreamsState,
};
use serde_json::{Value, json};

use crate::node::Node;
use crate::process::{Finished, finished, millpond};

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 3_600_000;
const LINES: i64 = 10;

/// Where the job runs.
enum Place {
    Embedded(PathBuf),
    Served(Node),
}

struct World {
    place: Place,
    home: tempfile::TempDir,
}

impl World {
    /// Both places, with ten lines in topic "lines", the last an hour old.
    async fn all() -> Vec<World> {
        let home = || tempfile::tempdir().expect("a temporary folder");
        let embedded = home();
        let data = embedded.path().join("data");
        let worlds = vec![
            World {
                place: Place::Embedded(data),
                home: embedded,
            },
            World {
                place: Place::Served(Node::start(&[])),
                home: home(),
            },
        ];
        for world in &worlds {
            let running = world.open().await;
            let log = running.log.clone();
            for name in ["lines", "counts"] {
                let topic = NewTopic::new(topic(name), 1).config("retention.ms", "-1");
                log.create_topics(vec![topic]).await.expect("it is created");
            }
            let now = SystemClock::new().now_ms();
            let mut batch = BatchBuilder::new(BatchOptions::default());
            for line in 0..LINES {
                let time = now - (LINES - line) * HOUR_MS;
                batch
                    .append(time, Some(b"k"), Some(b"all"), &[])
                    .expect("it fits");
            }
            let request = ProduceRequest {
                partitions: vec![ProducePartition {
                    partition: TopicPartition::new(topic("lines"), 0),
                    batches: batch.build().into(),
                }],
                ..ProduceRequest::default()
            };
            let answer = log.produce(request).await.pop().expect("an answer");
            answer.expect("written");
            running.close().await;
        }
        worlds
    }

    fn state(&self) -> PathBuf {
        match &self.place {
            Place::Embedded(data) => data.join("state"),
            Place::Served(_) => self.home.path().join("state"),
        }
    }

    async fn open(&self) -> Open {
        match &self.place {
            Place::Embedded(data) => {
                let broker = Broker::start(BrokerOptions::at(data.join("log"))).await;
                let broker = broker.expect("the broker starts");
                Open {
                    log: Arc::new(EmbeddedLog::new(broker.clone())),
                    broker: Some(broker),
                }
            }
            Place::Served(node) => Open {
                log: Arc::new(RemoteLog::new(RemoteOptions::new(&node.address)).expect("a client")),
                broker: None,
            },
        }
    }

    /// Runs `millpond streams reset` for the job. A node is told where the state is, for a data directory it is known.
    fn reset(&self, more: &[&str]) -> Finished {
        let state = self.state().display().to_string();
        let args = [
            "streams",
            "reset",
            "--application-id",
            "words",
            "--format",
            "json",
        ];
        match &self.place {
            Place::Embedded(data) => finished(millpond(args).arg("--data").arg(data).args(more)),
            Place::Served(node) => node.run(&[&args[..], &["--state-dir", &state], more].concat()),
        }
    }

    fn reset_to(&self, more: &[&str]) -> Value {
        let done = self.reset(&[more, &["-y"]].concat());
        assert_eq!(done.code(), Some(0), "{}\n{}", done.stdout, done.stderr);
        serde_json::from_str(&done.stdout).expect("JSON")
    }

    /// Runs the job until it has read everything, and returns what it counted: since it began anew, and in this run.
    async fn run(&self) -> (u64, u64) {
        let running = self.open().await;
        let job = self.job(&running).await.expect("it starts");
        job.wait_until_caught_up().await.expect("it catches up");
        let counted = job.store::<String, u64>("counted").expect("there is one");
        let counted = counted.get(&"all".to_owned()).expect("readable").unwrap_or(0);
        // The input and the repartition topic.
        let read = job.metrics().records_in / 2;
        job.shutdown(PATIENCE).await.expect("it ends");
        running.close().await;
        (counted, read)
    }

    async fn job(&self, running: &Open) -> Result<StreamsHandle, RuntimeError> {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>("lines")
            .group_by(|_, word| word.clone())
            .count("counted")
            .updates()
            .map_values(|count| count.to_string())
            .to("counts");
        Streams::builder(builder.build().expect("a sound topology"))
            .application_id("words")
            .log_client(running.log.clone())
            .state_dir(self.state())
            .run()
            .await
    }

    async fn internal_topics(&self) -> usize {
        let running = self.open().await;
        let names = ["words-counted-changelog", "words-counted-repartition"];
        let found = running.log.describe_topics(names.map(topic).to_vec()).await;
        running.close().await;
        found.expect("described").len()
    }
}

struct Open {
    log: Arc<dyn LogClient>,
    broker: Option<Broker>,
}

impl Open {
    async fn close(self) {
        drop(self.log);
        if let Some(broker) = self.broker {
            broker.shutdown().await.expect("it closes");
        }
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("a valid name")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_reset_counts_anew_from_where_it_was_told_to() {
    for world in World::all().await {
        assert_eq!(world.run().await, (10, 10));
        assert_eq!(world.run().await, (10, 0), "it goes on where it was");
        let shown = world.reset_to(&["--dry-run"]);
        assert_eq!(shown["inputs"][0]["new_offset"], json!(0), "{shown}");
        assert_eq!(shown["deleted"].as_array().map(Vec::len), Some(3), "{shown}");
        assert_eq!(world.internal_topics().await, 2);
        assert_eq!(world.run().await, (10, 0), "nothing was done");
        let time = SystemClock::new().now_ms() - 5 * HOUR_MS - HOUR_MS / 2;
        let time = time.to_string();
        let file = world.home.path().join("offsets.csv");
        std::fs::write(&file, "lines,0,8\n").expect("a file");
        let file = file.display().to_string();
        // Ends of the input: 0 and 10. Each begins where the one before left the job: at 10.
        for (place, expected) in [
            (&[][..], 10),
            (&["--to-earliest"], 10),
            (&["--to-latest"], 0),
            (&["--to-offset", "7"], 3),
            (&["--shift-by", "-2"], 2),
            (&["--shift-by", "-200"], 10),
            (&["--by-duration", "150m"], 2),
            (&["--by-duration", "PT3H30M"], 3),
            (&["--to-datetime", &time], 5),
            (&["--from-file", &file], 2),
        ] {
            world.reset_to(place);
            assert!(!world.state().join("words").exists(), "{place:?}");
            assert_eq!(world.internal_topics().await, 0, "{place:?}");
            assert_eq!(world.run().await, (expected, expected), "{place:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_runs_is_not_reset() {
    for world in World::all().await {
        let running = world.open().await;
        let job = world.job(&running).await.expect("it starts");
        job.wait_until_caught_up().await.expect("it catches up");
        let refused = world.reset(&["-y"]);
        assert_eq!(refused.code(), Some(1), "{}", refused.stdout);
        let why = match &world.place {
            // Nothing but the lock on it says who has it.
            Place::Embedded(_) => "data directory",
            Place::Served(_) => "application words is running: process",
        };
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
        assert_eq!(job.state(), StreamsState::Running);
        job.shutdown(PATIENCE).await.expect("it ends");
        running.close().await;
        assert_eq!(world.run().await, (10, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_that_is_kept_stops_the_job_instead_of_counting_twice() {
    let world = World::all().await.pop().expect("the one with a node");
    let Place::Served(node) = &world.place else {
        panic!("behind a socket");
    };
    assert_eq!(world.run().await, (10, 10));
    node.ok(&["streams", "reset", "--application-id", "words", "-y"]);
    assert!(world.state().join("words").exists(), "nobody said where it is");
    let running = world.open().await;
    let job = world.job(&running).await.expect("it starts");
    let refused = job
        .wait_until_caught_up()
        .await
        .expect_err("its state is of another time");
    assert!(matches!(refused, RuntimeError::StateMismatch { .. }), "{refused}");
    drop(job);
    running.close().await;
    world.reset_to(&[]);
    assert_eq!(world.run().await, (10, 10));
}
