//! Typed processors under the worker: stores, timers and punctuators go on after crashes and lost commits as if nothing had happened.

use std::time::Duration;

use super::fake_log::EndTxnLuck;
use super::test_world::World;
use super::*;
use crate::dsl::{
    KeyValueStore, ListStore, ProcessorContext, ProcessorInit, PunctuationType, Record, RecordProcessor,
    Stores, StreamsBuilder, Timer,
};
use crate::processor::BoxError;
use crate::topology::Topology;

/// Numbers the records of each key, collects them in a list, and says all of it when a timer of the key is due.
#[derive(Default)]
struct Collector {
    numbers: Option<KeyValueStore<String, u64>>,
    waiting: Option<ListStore<String, String>>,
}

impl RecordProcessor for Collector {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
        self.numbers = Some(context.store("numbers")?);
        self.waiting = Some(context.store("waiting")?);
        let tell = |this: &mut Self, time, context: &mut ProcessorContext<'_, Self>| {
            let numbers = this.numbers.as_ref().ok_or("not started")?.all(context)?;
            let text = format!("{} keys at {time}", numbers.len());
            context.forward(Record::new("tick".to_owned(), text, time));
            Ok(())
        };
        context.schedule(Duration::from_secs(50), PunctuationType::StreamTime, tell);
        Ok(())
    }

    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let numbers = self.numbers.as_ref().ok_or("not started")?;
        let waiting = self.waiting.as_ref().ok_or("not started")?;
        let number = numbers.get(context, &record.key)?.unwrap_or(0) + 1;
        numbers.put(context, &record.key, &number)?;
        waiting.push(context, &record.key, &format!("{number}{}", record.value))?;
        context.timer(&record.key, record.timestamp + 7_000)?;
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer<String>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let waiting = self.waiting.as_ref().ok_or("not started")?;
        let list = waiting.take(context, &timer.key)?.join(" ");
        let text = format!("{list} by {} at {}", timer.time, context.stream_time());
        context.forward(Record::new(timer.key, text, timer.time));
        Ok(())
    }
}

fn collecting() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .add_state_store(Stores::key_value::<String, u64>("numbers").in_memory())
        .add_state_store(Stores::list::<String, String>("waiting"))
        .add_state_store(Stores::timers::<String>("timers"));
    builder
        .stream::<String, String>("lines")
        .process(Collector::default, &["numbers", "waiting", "timers"])
        .to("counts");
    builder.build().expect("a sound topology")
}

/// Sends the `part`th of the records to both partitions.
fn send(world: &World, part: i64) {
    for partition in 0..2 {
        for number in part * 40..part * 40 + 40 {
            let key = ["a", "b", "c"][(number % 3) as usize];
            let key = format!("{key}{partition}");
            let time = 1_000_000 + number * 1_000 - number % 5 * 700;
            world.log.send("lines", partition, &[(&key, "x", time)]);
        }
    }
}

/// What was written, key by key, so that the order between partitions does not matter.
fn written(world: &World) -> Vec<(String, Option<String>)> {
    let mut found = world.log.committed("counts");
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let (ticks, mut lists): (Vec<_>, Vec<_>) = found.into_iter().partition(|(key, _)| key == "tick");
    let mut ticks = ticks;
    ticks.sort();
    lists.extend(ticks);
    lists
}

async fn undisturbed() -> Vec<(String, Option<String>)> {
    let world = World::new();
    (0..4).for_each(|part| send(&world, part));
    let running = world.start_topology(collecting(), StreamsConfig::default()).await;
    running.caught_up().await;
    written(&world)
}

#[tokio::test(start_paused = true)]
async fn crashes_and_lost_commits_change_nothing_of_what_a_processor_does() {
    let expected = undisturbed().await;
    assert!(expected.len() > 100, "{}", expected.len());
    let world = World::new();
    for part in 0..4 {
        let running = world.start_topology(collecting(), StreamsConfig::default()).await;
        send(&world, part);
        match part {
            0 => running.caught_up().await,
            1 => {
                world.log.set_luck(vec![
                    EndTxnLuck::LostBefore,
                    EndTxnLuck::Answered,
                    EndTxnLuck::LostAfter,
                ]);
                world.clock.sleep(Duration::from_millis(450)).await;
            }
            // In the middle of the first transaction after the restore.
            2 => world.clock.sleep(Duration::from_millis(20)).await,
            _ => {
                running.caught_up().await;
                break;
            }
        }
        running.crash().await;
        world.hosts.crash(crate::state::Survivors::None);
    }
    assert_eq!(written(&world), expected);
}
