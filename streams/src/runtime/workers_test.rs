//! Workers that come and go while the application runs, and who is told what it is doing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::fake_log::EndTxnLuck;
use super::test_world::{Running, World, counts};
use super::*;
use crate::dsl::StreamsBuilder;

const PATIENCE: Duration = Duration::from_secs(30);

impl Running {
    fn add_worker(&mut self) -> usize {
        let worker = self.handle.new_worker().expect("it runs");
        let number = worker.index;
        self.workers.push(tokio::spawn(worker.run()));
        number
    }

    /// Which worker has how many tasks.
    fn shares(&self) -> Vec<(usize, usize)> {
        let tasks = self.handle.task_metrics();
        let workers: BTreeSet<usize> = tasks.iter().map(|task| task.worker).collect();
        let share = |worker: usize| tasks.iter().filter(|task| task.worker == worker).count();
        workers
            .into_iter()
            .map(|worker| (worker, share(worker)))
            .collect()
    }
}

/// Gauges are up to date after a second.
async fn settled(world: &World, running: &Running) {
    running.handle.wait_until_running().await.expect("it runs");
    running.caught_up().await;
    world.clock.sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn workers_share_the_tasks_when_one_comes_and_take_them_back_when_it_goes() {
    let world = World::new();
    let mut running = world.start(1).await;
    world.log.send("lines", 0, &[("", "to be or", 1)]);
    settled(&world, &running).await;
    assert_eq!(running.shares(), [(0, 4)]);
    assert_eq!(running.add_worker(), 1);
    world.log.send("lines", 1, &[("", "not to be", 2)]);
    settled(&world, &running).await;
    assert_eq!(running.shares(), [(0, 2), (1, 2)]);
    assert_eq!(running.add_worker(), 2);
    settled(&world, &running).await;
    assert_eq!(running.shares(), [(0, 2), (1, 1), (2, 1)]);
    let before = running.handle.metrics();
    assert_eq!(running.handle.remove_worker(PATIENCE).await, Ok(2));
    assert_eq!(running.handle.remove_worker(PATIENCE).await, Ok(1));
    world.log.send("lines", 0, &[("", "be", 3)]);
    settled(&world, &running).await;
    assert_eq!(running.shares(), [(0, 4)]);
    let after = running.handle.metrics();
    assert!(after.records_in > before.records_in, "counters only grow");
    assert_eq!(after.recoveries, 0, "nothing was lost on the way");
    assert_eq!(
        world.counts(),
        counts([("be", 3), ("not", 1), ("or", 1), ("to", 2)])
    );
    let refused = running.handle.remove_worker(PATIENCE).await;
    assert!(
        matches!(refused, Err(RuntimeError::Unavailable { .. })),
        "{refused:?}"
    );
    running.handle.shutdown(PATIENCE).await.expect("it ends");
    assert_eq!(running.handle.state(), StreamsState::Stopped);
    let refused = running.handle.add_worker();
    assert!(
        matches!(refused, Err(RuntimeError::Unavailable { .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn workers_that_come_and_go_in_the_middle_of_lost_commits_lose_and_double_nothing() {
    let world = World::new();
    let mut running = world.start(2).await;
    let mut sent = 0;
    for round in 0..40_i64 {
        for partition in 0..2 {
            let word = format!("w{}", round % 7);
            world
                .log
                .send("lines", partition, &[("", &format!("{word} all"), round)]);
            sent += 1;
        }
        if round % 5 == 1 {
            world.log.set_luck(vec![
                EndTxnLuck::LostAfter,
                EndTxnLuck::Answered,
                EndTxnLuck::LostBefore,
            ]);
        }
        // In the middle of whatever is going on, restores and hand-overs included.
        world
            .clock
            .sleep(Duration::from_millis(37 * (round as u64 % 4)))
            .await;
        match round % 3 {
            0 => drop(running.add_worker()),
            1 => {}
            _ => drop(running.handle.remove_worker(PATIENCE).await.expect("one is left")),
        }
    }
    running.caught_up().await;
    let found = world.counts();
    assert_eq!(found["all"], sent);
    assert_eq!(found.values().sum::<i64>(), 2 * sent);
    let of_all: Vec<i64> = world
        .log
        .committed("counts")
        .into_iter()
        .filter(|(word, _)| word == "all")
        .map(|(_, count)| count.expect("a count").parse().expect("a number"))
        .collect();
    assert!(of_all.is_sorted_by(|a, b| a < b), "counted twice: {of_all:?}");
    running.workers.retain(|worker| !worker.is_finished());
    running.crash().await;
    world.hosts.crash(crate::state::Survivors::None);
    let running = world.start(3).await;
    running.caught_up().await;
    assert_eq!(world.counts(), found);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_worker_had_is_taken_over_by_one_that_is_added() {
    let world = World::new();
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = broken.clone();
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .map_values(move |line| {
            assert!(
                line != "poison" || !is_broken.load(Ordering::Relaxed),
                "as planned"
            );
            line.clone()
        })
        .to("counts");
    let topology = builder.build().expect("a sound topology");
    let config = StreamsConfig {
        workers: 2,
        ..StreamsConfig::default()
    };
    let mut running = world.start_topology(topology, config).await;
    settled(&world, &running).await;
    world.log.send("lines", 1, &[("k", "poison", 1)]);
    world.clock.sleep(Duration::from_secs(2)).await;
    assert!(matches!(running.handle.state(), StreamsState::Error(_)));
    broken.store(false, Ordering::Relaxed);
    assert_eq!(running.add_worker(), 1, "the number is free");
    settled(&world, &running).await;
    assert_eq!(running.handle.state(), StreamsState::Running);
    assert_eq!(world.log.committed("counts").len(), 1);
    assert_eq!(running.shares(), [(0, 1), (1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_tasks_waits_for_one_to_go() {
    let world = World::new();
    let mut running = world.start(4).await;
    settled(&world, &running).await;
    assert_eq!(running.add_worker(), 4);
    settled(&world, &running).await;
    assert_eq!(running.shares().len(), 4, "there are four tasks");
    assert_eq!(running.handle.remove_worker(PATIENCE).await, Ok(4));
    running.handle.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn every_change_of_state_is_told_once_and_in_order() {
    let world = World::new();
    let told: Arc<Mutex<Vec<(StreamsState, StreamsState)>>> = Arc::default();
    let tell = told.clone();
    let (workers, handle) = world
        .launcher(super::test_world::word_count())
        .workers(2)
        .on_state_change(Arc::new(move |now: &StreamsState, before: &StreamsState| {
            tell.lock().push((before.clone(), now.clone()));
        }))
        .prepare()
        .await
        .expect("it starts");
    let workers = workers
        .into_iter()
        .map(|worker| tokio::spawn(worker.run()))
        .collect();
    let mut running = Running { handle, workers };
    settled(&world, &running).await;
    running.add_worker();
    settled(&world, &running).await;
    running.handle.shutdown(PATIENCE).await.expect("it ends");
    use StreamsState::{PendingShutdown, Restoring, Running as Runs, Starting, Stopped};
    let expected = [
        (Starting, Restoring),
        (Restoring, Runs),
        (Runs, Restoring),
        (Restoring, Runs),
        (Runs, PendingShutdown),
        (PendingShutdown, Stopped),
    ];
    assert_eq!(*told.lock(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_part_stays_paused_when_tasks_change_hands_and_not_after_a_restart() {
    let world = World::new();
    let mut running = world.start(1).await;
    settled(&world, &running).await;
    running.handle.pause_part("word-counts").expect("there is one");
    world.log.send("lines", 0, &[("", "to be", 1)]);
    world.clock.sleep(Duration::from_secs(5)).await;
    running.add_worker();
    world.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(world.counts(), counts([]));
    running.handle.shutdown(PATIENCE).await.expect("it ends");
    let running = world.start(2).await;
    running.caught_up().await;
    assert_eq!(world.counts(), counts([("be", 1), ("to", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_start_asks_for_its_topics_again_until_its_patience_ends() {
    let world = World::new();
    world.log.lose_describes(3);
    let running = world.start(1).await;
    world.log.send("lines", 0, &[("", "to be", 1)]);
    running.caught_up().await;
    assert_eq!(world.counts(), counts([("be", 1), ("to", 1)]));
    running.handle.shutdown(PATIENCE).await.expect("it ends");
    let world = World::new();
    world.log.lose_describes(u32::MAX);
    let config = StreamsConfig {
        start_timeout: Duration::from_secs(20),
        ..StreamsConfig::default()
    };
    let before = world.clock.monotonic();
    let launcher = world.launcher(super::test_world::word_count());
    let refused = launcher
        .config(config)
        .prepare()
        .await
        .expect_err("nobody answers");
    let waited = world.clock.monotonic().saturating_sub(before);
    assert!(
        waited > Duration::from_secs(15) && waited <= Duration::from_secs(20),
        "{waited:?}"
    );
    let text = refused.to_string();
    assert!(
        text.contains("describing topics for the start") && text.contains("repeated for 20s"),
        "{text}"
    );
}
