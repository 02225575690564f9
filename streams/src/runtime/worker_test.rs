//! The worker against a log in memory: exactly once through lost answers, restarts and zombies.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::faults::Faults;

use super::commit::StopReason;
use super::fake_log::EndTxnLuck;
use super::test_world::{World, counts, word_count};
use super::*;
use crate::dsl::StreamsBuilder;
use crate::state::{MemoryHosts, Survivors};
use crate::topology::Topology;

/// Operators that cache until the commit show nothing in the overlay; without counting input they would cache for ever.
#[tokio::test(start_paused = true)]
async fn input_alone_makes_a_transaction_full() {
    let world = World::new();
    let line = "be ".repeat(100);
    for _ in 0..10 {
        world.log.send("lines", 0, &[("", line.trim(), 1)]);
    }
    let config = StreamsConfig {
        commit_interval: Duration::from_secs(3600),
        transaction_timeout: Duration::from_secs(7200),
        run_bytes: 300,
        uncommitted_bytes_max: 600,
        ..StreamsConfig::default()
    };
    let running = world.start_with(config).await;
    // On the paused clock a minute is over as soon as nobody has anything to do.
    world.clock.sleep(Duration::from_secs(60)).await;
    let metrics = running.handle.metrics();
    assert!(metrics.commits >= 5, "{metrics:?}");
    running.crash().await;
}

#[tokio::test(start_paused = true)]
async fn counts_words_through_a_repartition_topic() {
    let world = World::new();
    world
        .log
        .send("lines", 0, &[("", "to be or", 1), ("", "not to be", 2)]);
    world.log.send("lines", 1, &[("", "that is", 3)]);
    let running = world.start(2).await;
    running.caught_up().await;
    let expected = counts([
        ("to", 2),
        ("be", 2),
        ("or", 1),
        ("not", 1),
        ("that", 1),
        ("is", 1),
    ]);
    assert_eq!(world.counts(), expected);
    let store = running
        .handle
        .store::<String, u64>("word-counts")
        .expect("the store exists");
    assert_eq!(store.get(&"be".to_owned()).expect("readable"), Some(2));
    assert_eq!(store.all().expect("readable").len(), 6);
    assert!(running.handle.metrics().commits >= 2);
    running
        .handle
        .shutdown(Duration::from_secs(5))
        .await
        .expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn an_idle_application_commits_nothing() {
    let world = World::new();
    let running = world.start(1).await;
    running.caught_up().await;
    world.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(world.log.end_txns(), 0);
    assert_eq!(running.handle.metrics().commits, 0);
}

#[tokio::test(start_paused = true)]
async fn a_restart_resumes_from_the_last_commit() {
    let world = World::new();
    world.log.send("lines", 0, &[("", "a b a", 1)]);
    let running = world.start(1).await;
    running.caught_up().await;
    running
        .handle
        .shutdown(Duration::from_secs(5))
        .await
        .expect("it ends");
    world.log.send("lines", 0, &[("", "a c", 2)]);
    let running = world.start(1).await;
    running.caught_up().await;
    assert_eq!(world.counts(), counts([("a", 3), ("b", 1), ("c", 1)]));
    assert_eq!(
        running.handle.metrics().restored_records,
        0,
        "an orderly end leaves nothing to replay"
    );
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_changes_nothing() {
    for after_ms in [
        0, 1, 3, 50, 100, 101, 102, 103, 104, 105, 150, 201, 202, 203, 204, 205, 206, 250,
    ] {
        let world = World::new();
        world.log.send("lines", 0, &[("", "a b a", 1)]);
        world.log.send("lines", 1, &[("", "b c", 1)]);
        let running = world.start(1).await;
        world.clock.sleep(Duration::from_millis(after_ms)).await;
        running.crash().await;
        world.hosts.crash(Survivors::None);
        world.log.send("lines", 0, &[("", "a d", 2)]);
        let running = world.start(1).await;
        running.caught_up().await;
        let expected = counts([("a", 3), ("b", 2), ("c", 1), ("d", 1)]);
        assert_eq!(world.counts(), expected, "crashed after {after_ms} ms");
        let store = running
            .handle
            .store::<String, u64>("word-counts")
            .expect("the store exists");
        assert_eq!(
            store.get(&"a".to_owned()).expect("readable"),
            Some(3),
            "crashed after {after_ms} ms"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_answer_is_resolved_whether_or_not_it_happened() {
    use EndTxnLuck::{Answered, LostAfter, LostBefore};
    for luck in [
        vec![LostAfter],
        vec![LostBefore],
        vec![Answered, LostAfter, LostBefore],
        vec![LostBefore, LostBefore, LostAfter],
        vec![LostAfter, LostAfter, Answered, LostBefore],
    ] {
        let world = World::new();
        world.log.set_luck(luck.clone());
        let running = world.start(1).await;
        for round in 0..6 {
            world
                .log
                .send("lines", round % 2, &[("", "x y x", i64::from(round))]);
            world.clock.sleep(Duration::from_millis(70)).await;
        }
        running.caught_up().await;
        assert_eq!(world.counts(), counts([("x", 12), ("y", 6)]), "{luck:?}");
        let store = running
            .handle
            .store::<String, u64>("word-counts")
            .expect("the store exists");
        assert_eq!(
            store.get(&"x".to_owned()).expect("readable"),
            Some(12),
            "{luck:?}"
        );
        let lost = luck.iter().filter(|luck| **luck != Answered).count() as u64;
        assert_eq!(running.handle.metrics().recoveries, lost, "{luck:?}");
        assert_eq!(
            running.handle.metrics().restored_records,
            0,
            "state was kept, not rebuilt"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_zombie_is_fenced_and_writes_nothing_more() {
    let world = World::new();
    world.log.send("lines", 0, &[("", "a", 1)]);
    let zombie = world.start(1).await;
    zombie.caught_up().await;
    // The same application somewhere else: its own state, the same ids.
    let elsewhere = World {
        log: world.log.clone(),
        hosts: MemoryHosts::new(),
        clock: world.clock.clone(),
    };
    let newer = elsewhere.start(1).await;
    world.log.send("lines", 0, &[("", "a b", 2)]);
    newer.caught_up().await;
    world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(world.counts(), counts([("a", 2), ("b", 1)]));
    let state = zombie.handle.state();
    assert!(
        matches!(
            state,
            StreamsState::Error(RuntimeError::Commit(StopReason::Fenced(_)))
        ),
        "{state:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn fewer_workers_than_before_abort_what_the_others_left_open() {
    let world = World::new();
    world.log.send("lines", 0, &[("", "a", 1)]);
    world.log.send("lines", 1, &[("", "b", 1)]);
    let running = world.start(4).await;
    world.clock.sleep(Duration::from_millis(102)).await;
    running.crash().await;
    let running = world.start(1).await;
    running.caught_up().await;
    assert_eq!(world.counts(), counts([("a", 1), ("b", 1)]));
}

#[tokio::test(start_paused = true)]
async fn an_internal_topic_of_another_shape_is_refused_by_name() {
    let world = World::new();
    world.log.add_topic("words-word-counts-changelog", 7);
    let error = Streams::builder(word_count())
        .application_id("words")
        .log_client(Arc::new(world.log.clone()))
        .state_dir("/state")
        .state_hosts(Arc::new(world.hosts.clone()))
        .prepare()
        .await
        .expect_err("7 partitions are not 2");
    assert!(
        matches!(error, RuntimeError::InternalTopicMismatch { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("words-word-counts-changelog"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn state_that_is_ahead_of_the_committed_inputs_is_an_error_and_is_kept() {
    let world = World::new();
    world.log.send("lines", 0, &[("", "a b", 1)]);
    let running = world.start(1).await;
    running.caught_up().await;
    running
        .handle
        .shutdown(Duration::from_secs(5))
        .await
        .expect("it ends");
    // A foreign record at the end of the changelog: the state would count something twice.
    for partition in 0..2 {
        world
            .log
            .send("words-word-counts-changelog", partition, &[("a", "9", 1)]);
    }
    let running = world.start(1).await;
    let error = running
        .handle
        .wait_until_caught_up()
        .await
        .expect_err("the state does not match");
    assert!(matches!(error, RuntimeError::StateMismatch { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_operator_fails_the_application_instead_of_hanging_it() {
    let world = World::new();
    world.log.send("lines", 0, &[("", "a", 1)]);
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .map_values(|line| line.strip_prefix("b").expect("lines begin with b").to_owned())
        .to("counts");
    let (workers, handle) = Streams::builder(builder.build().expect("a sound topology"))
        .application_id("panics")
        .log_client(Arc::new(world.log.clone()))
        .state_dir("/state")
        .state_hosts(Arc::new(world.hosts.clone()))
        .clock(world.clock.clone())
        .faults(Faults::none())
        .prepare()
        .await
        .expect("the application starts");
    for worker in workers {
        tokio::spawn(worker.run());
    }
    let waited = handle.wait_until_caught_up().await;
    assert!(
        matches!(waited, Err(RuntimeError::Panicked { worker: 0, .. })),
        "{waited:?}"
    );
    let ended = handle.shutdown(Duration::from_secs(60)).await;
    assert!(
        matches!(ended, Err(RuntimeError::Panicked { worker: 0, .. })),
        "{ended:?}"
    );
}

/// Counts by key what these topics hold together.
fn per_key(topics: &[&str]) -> Topology {
    let builder = StreamsBuilder::new();
    let streams = topics.iter().map(|topic| builder.stream::<String, String>(topic));
    let all = streams
        .reduce(|all, topic| all.merge(&topic))
        .expect("at least one topic");
    all.group_by_key()
        .count("per-key")
        .updates()
        .map_values(|count| count.to_string())
        .to("counts");
    builder.build().expect("a sound topology")
}

#[tokio::test(start_paused = true)]
async fn state_goes_on_when_the_topology_reads_other_topics_than_before() {
    let world = World::new();
    world.log.add_topic("more", 2);
    let mut sent = 0;
    let lives: [&[&str]; 5] = [
        &["lines", "more"],
        &["lines"],
        &["more"],
        &["lines"],
        &["lines", "more"],
    ];
    for topics in lives {
        for topic in topics {
            world.log.send(topic, 0, &[("a", "", 1)]);
            sent += 1;
        }
        let running = world
            .start_topology(per_key(topics), StreamsConfig::default())
            .await;
        running
            .handle
            .wait_until_caught_up()
            .await
            .unwrap_or_else(|error| panic!("reading {topics:?}: {error}"));
        assert_eq!(world.counts(), counts([("a", sent)]), "reading {topics:?}");
        running
            .handle
            .shutdown(Duration::from_secs(5))
            .await
            .expect("it ends");
    }
}
