//! What becomes of a worker that fails, by the policy's word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::test_world::{Running, World, counts};
use super::*;
use crate::dsl::StreamsBuilder;
use crate::state::MemoryHosts;
use crate::topology::Topology;

/// Counts the words of "lines"; panics over "boom" as long as the switch is on.
fn explosive(armed: Arc<AtomicBool>) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .map_values(move |word| {
            assert!(word != "boom" || !armed.load(Ordering::Relaxed), "it went off");
            word
        })
        .group_by(|_, word| word.clone())
        .count("word-counts")
        .updates()
        .map_values(|count| count.to_string())
        .to("counts");
    builder.build().expect("a sound topology")
}

async fn start(world: &World, armed: &Arc<AtomicBool>, workers: usize, restart: RestartPolicy) -> Running {
    let config = StreamsConfig {
        workers,
        restart,
        ..StreamsConfig::default()
    };
    world.start_topology(explosive(armed.clone()), config).await
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panicked_is_replaced_and_goes_on_from_its_last_commit() {
    let world = World::new();
    let armed = Arc::new(AtomicBool::new(true));
    let told = Arc::new(Mutex::new(Vec::new()));
    let (tell, defuse) = (told.clone(), armed.clone());
    let policy = RestartPolicy::decide(move |failed| {
        tell.lock()
            .push((failed.worker, failed.replaced, failed.error.to_string()));
        if failed.replaced == 2 {
            defuse.store(false, Ordering::Relaxed);
        }
        UncaughtResponse::ReplaceWorker {
            after: Duration::from_millis(50),
        }
    });
    let running = start(&world, &armed, 1, policy).await;
    world.log.send("lines", 0, &[("", "a", 1)]);
    running.caught_up().await;
    world
        .log
        .send("lines", 0, &[("", "a", 2), ("", "boom", 3), ("", "b", 4)]);
    running.caught_up().await;
    assert_eq!(world.counts(), counts([("a", 2), ("b", 1), ("boom", 1)]));
    assert_eq!(running.handle.metrics().restarts, 3);
    let told = told.lock();
    let expected = |replaced| (0, replaced, "worker 0 panicked: it went off".to_owned());
    assert_eq!(*told, [expected(0), expected(1), expected(2)]);
    assert!(!world.log.holds_readers_back(), "what it left open was aborted");
}

#[tokio::test(start_paused = true)]
async fn one_failure_stops_every_worker_of_the_client_when_the_policy_says_so() {
    for answer in [UncaughtResponse::StopClient, UncaughtResponse::StopApplication] {
        let world = World::new();
        let armed = Arc::new(AtomicBool::new(true));
        let running = start(&world, &armed, 2, RestartPolicy::decide(move |_| answer)).await;
        world.log.send("lines", 0, &[("", "a", 1)]);
        running.caught_up().await;
        world.log.send("lines", 0, &[("", "boom", 2)]);
        for worker in running.workers {
            worker.await.expect("every worker ends by itself");
        }
        let state = running.handle.state();
        assert!(
            matches!(state, StreamsState::Error(RuntimeError::Panicked { .. })),
            "{state:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_stopped_leaves_the_others_alone() {
    let world = World::new();
    let armed = Arc::new(AtomicBool::new(true));
    // Two sub-topologies with two tasks each: the first worker has the first partitions.
    let running = start(&world, &armed, 2, RestartPolicy::Stop).await;
    running.handle.wait_until_running().await.expect("it runs");
    world.log.send("lines", 0, &[("", "boom", 1)]);
    world.log.send("lines", 1, &[("", "a", 2)]);
    world.clock.sleep(Duration::from_secs(5)).await;
    assert!(matches!(running.handle.state(), StreamsState::Error(_)));
    let ended: Vec<bool> = running
        .workers
        .iter()
        .map(|worker| worker.is_finished())
        .collect();
    assert_eq!(ended.iter().filter(|ended| **ended).count(), 1, "{ended:?}");
}

/// Whatever the policy says: two instances that fence each other in turn would be worse than one that stops.
#[tokio::test(start_paused = true)]
async fn a_fenced_worker_is_never_replaced() {
    let world = World::new();
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let policy = RestartPolicy::decide(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        UncaughtResponse::ReplaceWorker {
            after: Duration::ZERO,
        }
    });
    let armed = Arc::new(AtomicBool::new(false));
    let first = start(&world, &armed, 1, policy).await;
    world.log.send("lines", 0, &[("", "a", 1)]);
    first.caught_up().await;
    let elsewhere = World {
        log: world.log.clone(),
        hosts: MemoryHosts::new(),
        clock: world.clock.clone(),
    };
    let newer = start(&elsewhere, &armed, 1, RestartPolicy::Stop).await;
    world.log.send("lines", 0, &[("", "a", 2)]);
    newer.caught_up().await;
    world.clock.sleep(Duration::from_secs(1)).await;
    let error = first
        .handle
        .wait_until_caught_up()
        .await
        .expect_err("it was fenced");
    assert!(matches!(error, RuntimeError::Commit(_)), "{error:?}");
    assert_eq!(
        (asked.load(Ordering::Relaxed), first.handle.metrics().restarts),
        (1, 0)
    );
}
