//! A processor that asks for a commit gets it soon, whatever the interval; nothing is lost or doubled by it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fake_log::EndTxnLuck;
use super::test_world::World;
use super::*;
use crate::dsl::{
    KeyValueStore, ProcessorContext, ProcessorInit, Record, RecordProcessor, Stores, StreamsBuilder,
};
use crate::processor::BoxError;
use crate::topology::Topology;

/// Longer than any of the tests.
const HOUR: Duration = Duration::from_secs(3_600);

/// Numbers the records of each key, and asks for a commit at those that say so.
#[derive(Default)]
struct Counter {
    numbers: Option<KeyValueStore<String, u64>>,
}

impl RecordProcessor for Counter {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
        self.numbers = Some(context.store("numbers")?);
        Ok(())
    }

    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let numbers = self.numbers.as_ref().ok_or("not started")?;
        let number = numbers.get(context, &record.key)?.unwrap_or(0) + 1;
        numbers.put(context, &record.key, &number)?;
        if record.value == "commit" {
            context.commit();
        }
        context.forward(Record::new(record.key, number.to_string(), record.timestamp));
        Ok(())
    }
}

fn numbering() -> Topology {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::key_value::<String, u64>("numbers"));
    builder
        .stream::<String, String>("lines")
        .process(Counter::default, &["numbers"])
        .to("counts");
    builder.build().expect("a sound topology")
}

/// Commits by itself only after an hour.
fn patient() -> StreamsConfig {
    StreamsConfig {
        commit_interval: HOUR,
        transaction_timeout: 2 * HOUR,
        ..StreamsConfig::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_commits_at_once_what_all_tasks_of_the_worker_did() {
    let world = World::new();
    let running = world.start_topology(numbering(), patient()).await;
    world.log.send("lines", 0, &[("a", "x", 1)]);
    world.log.send("lines", 1, &[("b", "x", 1)]);
    world.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(running.handle.metrics().commits, 0, "it waits for its interval");
    world.log.send("lines", 1, &[("b", "commit", 2)]);
    world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(running.handle.metrics().commits, 1);
    let counts = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert_eq!(world.counts(), counts, "the other task's, too");
    world.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(running.handle.metrics().commits, 1, "a request is met once");
}

#[tokio::test(start_paused = true)]
async fn a_request_made_while_a_commit_is_under_way_is_met_by_the_next_one() {
    let world = World::new();
    let running = world.start_topology(numbering(), patient()).await;
    for round in 1..=50_i64 {
        world.log.send("lines", 0, &[("a", "commit", round)]);
        // An answer takes the log a millisecond and more, so most of these come in the middle of a commit.
        world.clock.sleep(Duration::from_micros(700)).await;
    }
    world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(world.counts(), BTreeMap::from([("a".to_owned(), 50)]));
    assert_eq!(world.log.committed("counts").len(), 50, "each once");
    let commits = running.handle.metrics().commits;
    assert!((2..=50).contains(&commits), "{commits}");
}

#[tokio::test(start_paused = true)]
async fn requests_in_lost_transactions_are_made_again_with_the_work() {
    for exactly_once in [true, false] {
        let world = World::new();
        let config = StreamsConfig {
            exactly_once,
            ..patient()
        };
        let running = world.start_topology(numbering(), config.clone()).await;
        world.log.set_luck(vec![
            EndTxnLuck::LostBefore,
            EndTxnLuck::LostAfter,
            EndTxnLuck::Answered,
            EndTxnLuck::LostBefore,
        ]);
        for round in 1..=20_i64 {
            world.log.send("lines", 0, &[("a", "commit", round)]);
            world.log.send("lines", 1, &[("b", "x", round)]);
            world.clock.sleep(Duration::from_millis(150)).await;
        }
        // A request in a transaction that a crash loses is not remembered either.
        world.log.send("lines", 1, &[("b", "x", 21)]);
        world.clock.sleep(Duration::from_millis(100)).await;
        running.crash().await;
        world.hosts.crash(crate::state::Survivors::None);
        let running = world.start_topology(numbering(), config).await;
        world.log.send("lines", 0, &[("a", "commit", 22)]);
        running.caught_up().await;
        let counts = BTreeMap::from([("a".to_owned(), 21), ("b".to_owned(), 21)]);
        assert_eq!(world.counts(), counts, "exactly once: {exactly_once}");
        assert!(world.log.committed("counts").len() >= 42);
        assert!(!exactly_once || world.log.committed("counts").len() == 42);
    }
}
