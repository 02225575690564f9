//! Positions of jobs without input are committed again, so that a cluster that forgets what is not committed for a week still knows them.
//!
//! Time is simulated, and a day has ten minutes: an idle worker looks around every second.

use std::time::Duration;

use super::test_world::{World, counts};
use super::*;

const DAY: Duration = Duration::from_secs(600);
/// Kafka's `offsets.retention.minutes`, in such days.
const RETENTION: Duration = DAY.saturating_mul(7);

fn forgetful() -> World {
    let world = World::new();
    world.log.forget_offsets_after(RETENTION);
    world.log.send("lines", 0, &[("", "to be or not to be", 1)]);
    world
}

fn settings(workers: usize, repeat_commit_interval: Duration) -> StreamsConfig {
    StreamsConfig {
        workers,
        repeat_commit_interval,
        fetch_max_wait: Duration::from_secs(60),
        ..StreamsConfig::default()
    }
}

/// Runs for `time` without input, is killed with all that its hosts have not flushed, and counts one line more.
async fn idle_then_killed(world: &World, config: StreamsConfig, time: Duration) -> Result<(), RuntimeError> {
    let running = world.start_with(config.clone()).await;
    running.caught_up().await;
    world.clock.sleep(time).await;
    running.crash().await;
    world.hosts.crash(crate::state::Survivors::None);
    world.log.send("lines", 1, &[("", "be it", 2)]);
    let running = world.start_with(config).await;
    running.handle.wait_until_caught_up().await
}

#[tokio::test(start_paused = true)]
async fn an_idle_job_is_known_after_a_month() {
    for (exactly_once, workers) in [(true, 1), (true, 2), (false, 1)] {
        let world = forgetful();
        let config = StreamsConfig {
            exactly_once,
            ..settings(workers, DAY)
        };
        let went_on = idle_then_killed(&world, config, 30 * DAY).await;
        went_on.expect("its positions are known");
        let expected = counts([("be", 3), ("it", 1), ("not", 1), ("or", 1), ("to", 2)]);
        assert_eq!(world.counts(), expected);
    }
}

/// That the one before could fail.
#[tokio::test(start_paused = true)]
async fn without_it_the_positions_are_forgotten_and_the_job_says_so() {
    let world = forgetful();
    let refused = idle_then_killed(&world, settings(1, 60 * DAY), 10 * DAY).await;
    let refused = refused.expect_err("its positions are forgotten");
    assert!(matches!(refused, RuntimeError::StateMismatch { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_job_commits_about_once_a_day_and_a_new_one_never() {
    let world = World::new();
    let running = world.start_with(settings(1, DAY)).await;
    world.clock.sleep(10 * DAY).await;
    assert_eq!(running.handle.metrics().commits, 0, "there is nothing to forget");
    world.log.send("lines", 0, &[("", "to be", 1)]);
    running.caught_up().await;
    let before = running.handle.metrics().commits;
    world.clock.sleep(10 * DAY).await;
    let commits = running.handle.metrics().commits - before;
    // The tasks of one line committed at two times.
    assert!((10..=20).contains(&commits), "{commits} commits in ten days");
}

#[tokio::test(start_paused = true)]
async fn a_paused_job_is_known_too_and_commits_nothing_new() {
    let world = forgetful();
    let running = world.start_with(settings(1, DAY)).await;
    running.caught_up().await;
    running.handle.pause();
    world.log.send("lines", 1, &[("", "be it", 2)]);
    world.clock.sleep(30 * DAY).await;
    let before = world.counts();
    assert_eq!(before.get("it"), None, "it is paused");
    running.crash().await;
    let running = world.start_with(settings(1, DAY)).await;
    running.caught_up().await;
    assert_eq!(world.counts().get("it"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_busy_task_does_not_make_the_worker_forget_an_idle_one() {
    let world = forgetful();
    let running = world.start_with(settings(1, DAY)).await;
    running.caught_up().await;
    // Partition 0 stays idle.
    for hour in 0..10 * 24 {
        world.log.send("lines", 1, &[("", "x", hour)]);
        world.clock.sleep(DAY / 24).await;
    }
    running.crash().await;
    world.hosts.crash(crate::state::Survivors::None);
    let running = world.start_with(settings(1, DAY)).await;
    running.caught_up().await;
    assert_eq!(world.counts().get("x"), Some(&240));
    assert_eq!(world.counts().get("be"), Some(&2));
}
