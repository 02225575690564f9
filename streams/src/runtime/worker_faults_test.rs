//! The worker when its log is slow, refuses, or does not answer: what it gives up, what it keeps, and what it says.

use std::sync::Arc;
use std::time::Duration;

use super::commit::StopReason;
use super::fake_log::EndTxnLuck;
use super::test_world::{World, counts};
use super::*;
use crate::state::{MemoryHosts, Survivors};

#[tokio::test(start_paused = true)]
async fn a_transaction_that_timed_out_is_done_again() {
    let mut recoveries = 0;
    for after_ms in (98..108).chain(198..212) {
        let world = World::new();
        let running = world.start(1).await;
        world.log.send("lines", 0, &[("", "a b a", 1), ("", "c", 2)]);
        world.clock.sleep(Duration::from_millis(after_ms)).await;
        world.log.expire_transactions();
        world.log.send("lines", 1, &[("", "a d", 3)]);
        running.caught_up().await;
        let expected = counts([("a", 3), ("b", 1), ("c", 1), ("d", 1)]);
        assert_eq!(world.counts(), expected, "expired after {after_ms} ms");
        let metrics = running.handle.metrics();
        assert_eq!(metrics.restarts, 0, "expired after {after_ms} ms");
        recoveries += metrics.recoveries;
    }
    assert!(recoveries >= 2, "the timeout hit {recoveries} open transactions");
}

#[tokio::test(start_paused = true)]
async fn a_fence_whose_answer_is_lost_is_not_taken_for_a_newer_instance() {
    let world = World::new();
    world.log.set_luck(vec![EndTxnLuck::LostBefore]);
    let running = world.start(1).await;
    world.log.lose_next_init();
    world.log.send("lines", 0, &[("", "a b a", 1)]);
    running.caught_up().await;
    assert_eq!(world.counts(), counts([("a", 2), ("b", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_fence_in_doubt_that_hit_a_newer_instance_repeats_nothing_of_its_work() {
    let world = World::new();
    let older = world.start(1).await;
    older.handle.wait_until_running().await.expect("it runs");
    // A batch is not taken, so nothing of the transaction can be committed; the answer to the fence that follows is lost.
    world.log.set_max_message_bytes("counts", 100);
    world.log.lose_next_init_after(Duration::from_secs(20));
    world.log.send("lines", 0, &[("", "a b c d e f g", 1)]);
    world.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(older.handle.metrics().recoveries, 1);

    // Meanwhile a newer instance takes over and does the work.
    let newer = World {
        log: world.log.clone(),
        hosts: MemoryHosts::new(),
        clock: world.clock.clone(),
    };
    let running = newer.start(1).await;
    running.caught_up().await;
    world.clock.sleep(Duration::from_secs(300)).await;
    let told = world.log.committed("counts");
    assert_eq!(told.len(), 7, "{told:?}");
    let StreamsState::Error(error) = older.handle.state() else {
        panic!("the older instance goes on: {:?}", older.handle.state())
    };
    assert!(
        error.to_string().contains("which this worker never committed"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_restore() {
    let world = World::new();
    world.log.send("lines", 0, &[("", "a b", 1)]);
    let running = world.start(1).await;
    running.caught_up().await;
    running.crash().await;
    world.hosts.crash(Survivors::None);
    world.log.silence("words-word-counts-changelog");
    let running = world.start(1).await;
    world.clock.sleep(Duration::from_millis(10)).await;
    assert_eq!(running.handle.state(), StreamsState::Restoring);
    let started = world.clock.monotonic();
    running
        .handle
        .shutdown(Duration::from_secs(60))
        .await
        .expect("it ends in the middle of the restore");
    assert!(world.clock.monotonic() - started < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn batches_stay_below_the_limit_of_their_topic() {
    let world = World::new();
    world.log.set_max_message_bytes("counts", 100);
    let running = world.start(1).await;
    world.log.send("lines", 0, &[("", "a b c d e f g", 1)]);
    running.caught_up().await;
    assert_eq!(world.counts().len(), 7);
    let metrics = running.handle.metrics();
    assert_eq!((metrics.recoveries, metrics.dead_letters), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_lowered_meanwhile_costs_recoveries_and_no_record() {
    let world = World::new();
    let running = world.start(1).await;
    running.handle.wait_until_running().await.expect("it runs");
    world.log.set_max_message_bytes("counts", 100);
    world.log.send("lines", 0, &[("", "a b c d e f g", 1)]);
    running.caught_up().await;
    assert_eq!(world.counts().len(), 7);
    let metrics = running.handle.metrics();
    assert_eq!((metrics.recoveries, metrics.dead_letters), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_no_batch_can_hold_is_a_dead_letter_and_the_others_go_on() {
    let world = World::new();
    let running = world.start(1).await;
    running.handle.wait_until_running().await.expect("it runs");
    world.log.set_max_message_bytes("counts", 80);
    let long = "long".repeat(10);
    world.log.send("lines", 0, &[("", &format!("a b {long} c"), 1)]);
    running.caught_up().await;
    assert_eq!(world.counts(), counts([("a", 1), ("b", 1), ("c", 1)]));
    assert_eq!(running.handle.metrics().dead_letters, 1);
    let dead = world.log.committed("words-dead-letters");
    assert_eq!(dead, [(long.clone(), Some("1".to_owned()))]);

    // The next life knows the limit from the start.
    running
        .handle
        .shutdown(Duration::from_secs(5))
        .await
        .expect("it ends");
    let running = world.start(1).await;
    world.log.send("lines", 0, &[("", &long, 2)]);
    running.caught_up().await;
    let metrics = running.handle.metrics();
    assert_eq!((metrics.recoveries, metrics.dead_letters), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_no_sink_can_leave_out_fails_the_application_without_trying_for_long() {
    let world = World::new();
    let running = world.start(1).await;
    running.handle.wait_until_running().await.expect("it runs");
    world.log.set_max_message_bytes("words-word-counts-changelog", 80);
    world.log.send("lines", 0, &[("", &"long".repeat(10), 1)]);
    let error = running
        .handle
        .wait_until_caught_up()
        .await
        .expect_err("a change of state cannot be left out");
    assert!(
        matches!(error, RuntimeError::Commit(StopReason::Rejected(_))),
        "{error:?}"
    );
    let text = error.to_string();
    for part in [
        "topic words-word-counts-changelog",
        "1 record(s)",
        "limit of 80",
        "`max.message.bytes`",
        "make the record smaller",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    assert_eq!(running.handle.metrics().recoveries, 1, "once, to be sure");
    world.clock.sleep(Duration::from_millis(10)).await;
    assert!(!world.log.holds_readers_back(), "its transaction was aborted");
}

#[tokio::test(start_paused = true)]
async fn work_that_was_dropped_and_done_again_counts_once() {
    let counted = async |luck: Vec<EndTxnLuck>| {
        let world = World::new();
        let lost = luck.len() as u64;
        world.log.set_luck(luck);
        let running = world.start(1).await;
        world.log.send("lines", 0, &[("", "a b a", 1), ("", "b c", 2)]);
        running.caught_up().await;
        let metrics = running.handle.metrics();
        assert_eq!(metrics.recoveries, lost);
        (
            metrics.records_in,
            metrics.bytes_in,
            metrics.records_out,
            metrics.bytes_out,
        )
    };
    let undisturbed = counted(Vec::new()).await;
    assert_eq!(
        undisturbed.0,
        2 + 5,
        "lines, and words through the repartition topic"
    );
    let disturbed = counted(vec![EndTxnLuck::LostBefore, EndTxnLuck::LostBefore]).await;
    assert_eq!(disturbed, undisturbed);
}

#[tokio::test(start_paused = true)]
async fn a_lease_lies_where_the_host_surely_is_and_never_above() {
    const CHANGELOG: &str = "words-word-counts-changelog";
    let world = World::new();
    let mut config = StreamsConfig::default();
    config.state.apply_interval = Duration::from_secs(1);
    config.state.flush_interval = Duration::from_secs(20);
    let running = world.start_with(config).await;
    world.log.send("lines", 0, &[("", "a b c d e f g h", 1)]);
    running.caught_up().await;
    world.clock.sleep(Duration::from_secs(5)).await;
    let leases = || [0, 1].map(|partition| world.log.lease(CHANGELOG, partition).expect("a lease").get());
    assert_eq!(leases(), [0, 0], "applied, not flushed");
    world.clock.sleep(Duration::from_secs(30)).await;
    let flushed = leases();
    assert!(flushed[0] + flushed[1] >= 8, "{flushed:?}");
    // The lease is what a crash leaves: nothing below it is read again.
    running.crash().await;
    world.hosts.crash(Survivors::None);
    let running = world.start(1).await;
    running.caught_up().await;
    assert_eq!(running.handle.metrics().restored_records, 0);
}

#[tokio::test(start_paused = true)]
async fn state_older_than_the_tombstone_horizon_is_set_aside_and_built_anew() {
    let world = World::new();
    let running = world.start(1).await;
    world.log.send("lines", 0, &[("", "a b c d e f g h", 1)]);
    running.caught_up().await;
    running
        .handle
        .shutdown(Duration::from_secs(5))
        .await
        .expect("it ends");
    for partition in [0, 1] {
        world
            .log
            .set_tombstone_horizon("words-word-counts-changelog", partition, 1_000);
    }
    let running = world.start(1).await;
    world.log.send("lines", 0, &[("", "a", 2)]);
    running.caught_up().await;
    assert_eq!(
        running.handle.metrics().restored_records,
        8,
        "everything was replayed"
    );
    assert_eq!(world.counts()["a"], 2);
}

#[tokio::test(start_paused = true)]
async fn state_that_compaction_overtook_while_it_was_restored_is_built_once_more() {
    let world = World::new();
    let running = world.start(1).await;
    world.log.send("lines", 0, &[("", "a b c d e f g h", 1)]);
    running.caught_up().await;
    running.crash().await;
    world.hosts.crash(Survivors::None);
    world
        .log
        .set_tombstone_horizon("words-word-counts-changelog", 0, 0);
    world
        .log
        .compact_at_next_fetch("words-word-counts-changelog", 0, 2);
    let running = world.start(1).await;
    world.log.send("lines", 0, &[("", "a", 2)]);
    running.caught_up().await;
    let restored = running.handle.metrics().restored_records;
    assert!(restored > 8, "partition 0 was replayed twice: {restored}");
    assert_eq!(world.counts()["a"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_told_of_the_beginning_and_the_end_of_every_replay() {
    let world = World::new();
    let running = world.start(1).await;
    world.log.send("lines", 0, &[("", "a b c d", 1)]);
    running.caught_up().await;
    running.crash().await;
    world.hosts.crash(Survivors::None);
    let told = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let listener = |world: &World| {
        let tell = told.clone();
        Streams::builder(super::test_world::word_count())
            .application_id("words")
            .log_client(Arc::new(world.log.clone()))
            .state_dir("/state")
            .state_hosts(Arc::new(world.hosts.clone()))
            .clock(world.clock.clone())
            .faults(millpond_log::faults::Faults::none())
            .on_restore(Arc::new(move |progress: &RestoreProgress| {
                tell.lock().push(progress.clone())
            }))
    };
    let (mut workers, handle) = listener(&world).prepare().await.expect("it starts");
    tokio::spawn(workers.remove(0).run());
    handle.wait_until_caught_up().await.expect("it catches up");
    let all = std::mem::take(&mut *told.lock());
    let of = |phase| {
        all.iter()
            .filter(|progress| progress.phase == phase)
            .collect::<Vec<_>>()
    };
    let (began, ended) = (of(RestorePhase::Started), of(RestorePhase::Ended));
    assert!(!began.is_empty() && began.len() == ended.len(), "{all:?}");
    assert_eq!(ended.iter().map(|progress| progress.records).sum::<u64>(), 4);
    assert!(
        ended.iter().all(|progress| progress.remaining_offsets == 0),
        "{all:?}"
    );
    assert_eq!(handle.metrics().restore_remaining, 0);
    handle.shutdown(Duration::from_secs(5)).await.expect("it ends");

    // Stopped in the middle: told, too.
    world.hosts.crash(Survivors::None);
    world.log.send("lines", 0, &[("", "e f g h i j", 2)]);
    let running = world.start(1).await;
    running.caught_up().await;
    running.crash().await;
    world.hosts.crash(Survivors::None);
    world.log.silence("words-word-counts-changelog");
    let (mut workers, handle) = listener(&world).prepare().await.expect("it starts");
    tokio::spawn(workers.remove(0).run());
    world.clock.sleep(Duration::from_millis(10)).await;
    assert!(handle.metrics().restore_remaining > 0);
    handle.shutdown(Duration::from_secs(5)).await.expect("it ends");
    let phases: Vec<RestorePhase> = told.lock().iter().map(|progress| progress.phase).collect();
    assert_eq!(phases, [RestorePhase::Started, RestorePhase::Suspended]);
    assert_eq!(handle.metrics().restore_remaining, 0);
}
