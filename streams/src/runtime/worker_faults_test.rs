//! The worker when its log is slow, refuses, or does not answer: what it gives up, what it keeps, and what it says.

use std::time::Duration;

use super::commit::StopReason;
use super::fake_log::EndTxnLuck;
use super::test_world::{World, counts};
use super::*;
use crate::state::Survivors;

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
async fn a_batch_the_topic_will_never_take_fails_the_application_at_once() {
    let world = World::new();
    world.log.set_max_message_bytes("counts", 100);
    let running = world.start(1).await;
    world.log.send("lines", 0, &[("", "a b c d e f g", 1)]);
    let error = running
        .handle
        .wait_until_caught_up()
        .await
        .expect_err("100 bytes hold no batch of seven counts");
    assert!(
        matches!(error, RuntimeError::Commit(StopReason::Rejected(_))),
        "{error:?}"
    );
    let text = error.to_string();
    for part in [
        "topic counts",
        "7 record(s)",
        "limit of 100",
        "`max.message.bytes`",
        "`batch_bytes`",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    assert_eq!(running.handle.metrics().recoveries, 0, "trying again cannot help");
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
