//! Stream time of idle tasks, driven by the worker: windows close without input, and a replay from the beginning of the log does the same at the same place.

use std::time::Duration;

use super::fake_log::EndTxnLuck;
use super::test_world::World;
use super::*;
use crate::dsl::{Consumed, EmitStrategy, StreamsBuilder, TimeWindows};
use crate::topology::Topology;

const START: i64 = 1_000_000;

/// Counts the records of "events" per second, without grace.
fn per_second(timeout: Duration) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream_with::<String, String>("events", Consumed::default().idle_advance(timeout))
        .group_by_key()
        .windowed_by(TimeWindows::of(Duration::from_secs(1)))
        .count("per-second")
        .updates()
        .map(|windowed, count| (windowed.key, format!("{} {count}", windowed.window.start_ms)))
        .to("counts");
    builder.build().expect("a sound topology")
}

fn world() -> World {
    let world = World::new();
    world.log.add_topic("events", 1);
    world
}

fn counts(world: &World) -> Vec<String> {
    let committed = world.log.committed("counts").into_iter();
    committed.map(|(_, count)| count.expect("a count")).collect()
}

/// A record, then nothing for ten seconds, then one for the window of the first, and one that is in time.
async fn play(world: &World, topology: Topology) {
    let running = world.start_topology(topology, StreamsConfig::default()).await;
    world.log.send("events", 0, &[("a", "first", START + 100)]);
    world.clock.sleep(Duration::from_secs(10)).await;
    world.log.send(
        "events",
        0,
        &[("a", "late", START + 200), ("a", "last", START + 90_000)],
    );
    running.caught_up().await;
    running
        .handle
        .shutdown(Duration::from_secs(5))
        .await
        .expect("it ends");
}

const EXPECTED: [&str; 2] = ["1000000 1", "1090000 1"];

#[tokio::test(start_paused = true)]
async fn a_window_closes_while_input_is_idle() {
    let world = world();
    play(&world, per_second(Duration::from_secs(2))).await;
    assert_eq!(counts(&world), EXPECTED);
    let marks = world.log.committed("words-events-time").len();
    assert!(
        (3..=6).contains(&marks),
        "one for about every timeout, got {marks}"
    );
}

#[tokio::test(start_paused = true)]
async fn time_stands_still_without_input_unless_it_is_asked_to_go_on() {
    let world = world();
    play(&world, per_second(Duration::from_secs(60))).await;
    assert_eq!(counts(&world), ["1000000 1", "1000000 2", "1090000 1"]);
    assert!(world.log.committed("words-events-time").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replay_drops_the_same_records_although_nothing_is_idle_then() {
    let first = world();
    play(&first, per_second(Duration::from_secs(2))).await;
    let again = World::new();
    again.log.copy_topic(&first.log, "events");
    again.log.copy_topic(&first.log, "words-events-time");
    let topology = per_second(Duration::from_secs(2));
    let running = again.start_topology(topology, StreamsConfig::default()).await;
    running.caught_up().await;
    assert_eq!(counts(&again), EXPECTED);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_lost_transaction_takes_its_step_of_time_back() {
    use EndTxnLuck::{Answered, LostAfter, LostBefore};
    let world = world();
    world
        .log
        .set_luck(vec![LostBefore, Answered, LostAfter, LostBefore, LostAfter]);
    play(&world, per_second(Duration::from_secs(2))).await;
    let found = counts(&world);
    assert_eq!(found, EXPECTED);
    let again = World::new();
    again.log.copy_topic(&world.log, "events");
    again.log.copy_topic(&world.log, "words-events-time");
    let topology = per_second(Duration::from_secs(2));
    let running = again.start_topology(topology, StreamsConfig::default()).await;
    running.caught_up().await;
    assert_eq!(counts(&again), found);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_from_the_time_that_was_reached() {
    let world = world();
    let topology = || per_second(Duration::from_secs(2));
    let running = world.start_topology(topology(), StreamsConfig::default()).await;
    world.log.send("events", 0, &[("a", "first", START + 100)]);
    world.clock.sleep(Duration::from_secs(10)).await;
    running.crash().await;
    let running = world.start_topology(topology(), StreamsConfig::default()).await;
    world.log.send(
        "events",
        0,
        &[("a", "late", START + 200), ("a", "last", START + 90_000)],
    );
    running.caught_up().await;
    assert_eq!(counts(&world), EXPECTED);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_never_had_a_record_holds_no_window_open_downstream() {
    for (timeout_s, expected) in [(2, &["1000000 1"][..]), (60, &[])] {
        let world = World::new();
        let builder = StreamsBuilder::new();
        builder
            .stream_with::<String, String>(
                "lines",
                Consumed::default().idle_advance(Duration::from_secs(timeout_s)),
            )
            .group_by(|_, word| word.clone())
            .windowed_by(TimeWindows::of(Duration::from_secs(1)))
            .emit_strategy(EmitStrategy::on_window_close())
            .count("per-second")
            .updates()
            .map(|windowed, count| (windowed.key, format!("{} {count}", windowed.window.start_ms)))
            .to("counts");
        let topology = builder.build().expect("a sound topology");
        let running = world.start_topology(topology, StreamsConfig::default()).await;
        // One of two partitions; the other stays empty.
        world.log.send("lines", 0, &[("k", "word", START + 100)]);
        world.clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(counts(&world), expected, "after {timeout_s} s");
        drop(running);
    }
}
