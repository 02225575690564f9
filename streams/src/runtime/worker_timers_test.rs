//! Nodes that act on wall-clock time, driven by the worker: with and without input, inside transactions.

use std::sync::Arc;
use std::time::Duration;

use super::fake_log::EndTxnLuck;
use super::test_world::World;
use super::*;
use crate::processor::{
    Batch, Headers, InitContext, OutputIndex, ProcessContext, ProcessError, Processor, SinkRecord,
};
use crate::state::{StoreIndex, StoreSpec};
use crate::topology::{SinkOptions, SourceOptions, Topology, TopologyBuilder};

/// Counts in a store how often it was told that time went on, and writes each count to "counts".
#[derive(Default)]
struct Ticker {
    found: Option<(StoreIndex, OutputIndex)>,
}

impl Processor for Ticker {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.found = Some((context.store_index("ticks")?, context.output("counts")?));
        Ok(())
    }

    fn process(&mut self, _batch: Batch, _context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    fn wall_clock_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(10))
    }

    fn on_wall_clock(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let (store, topic) = self.found.expect("init came first");
        let before = context.store(store).get(b"n")?.map_or(0, |bytes| bytes[0]);
        let ticks = before + 1;
        context.store(store).put(b"n", [ticks]);
        let value = ticks.to_string();
        context.send(&SinkRecord {
            topic,
            partition: None,
            key: Some(b"n"),
            value: Some(value.as_bytes()),
            timestamp: context.now_ms(),
            headers: &Headers::NONE,
        });
        Ok(())
    }
}

fn ticking() -> Topology {
    let mut builder = TopologyBuilder::new();
    builder.add_store(StoreSpec::key_value("ticks"));
    let source = builder.add_source("source", &["times"], SourceOptions::default());
    let ticker = Arc::new(|| Box::new(Ticker::default()) as Box<dyn Processor>);
    let ticker = builder.add_processor("ticker", ticker, &[source], &["ticks"]);
    builder.add_sink("sink", "counts", SinkOptions::default(), &[ticker]);
    builder.build().expect("a sound topology")
}

fn world() -> World {
    let world = World::new();
    world.log.add_topic("times", 1);
    world
}

fn ticks(world: &World) -> Vec<String> {
    let committed = world.log.committed("counts").into_iter();
    committed.map(|(_, tick)| tick.expect("a count")).collect()
}

#[tokio::test(start_paused = true)]
async fn an_idle_task_acts_on_wall_clock_time_at_its_interval() {
    let world = world();
    let running = world.start_topology(ticking(), StreamsConfig::default()).await;
    world.clock.sleep(Duration::from_secs(35)).await;
    assert_eq!(ticks(&world), ["1", "2", "3"]);
    running
        .handle
        .shutdown(Duration::from_secs(5))
        .await
        .expect("it ends");
    let again = world.start_topology(ticking(), StreamsConfig::default()).await;
    world.clock.sleep(Duration::from_secs(15)).await;
    assert_eq!(ticks(&world), ["1", "2", "3", "4"], "its state went on");
    drop(again);
}

#[tokio::test(start_paused = true)]
async fn what_a_node_did_in_a_lost_transaction_is_done_again_once() {
    use EndTxnLuck::{Answered, LostAfter, LostBefore};
    let world = world();
    world.log.set_luck(vec![LostBefore, Answered, LostAfter]);
    let running = world.start_topology(ticking(), StreamsConfig::default()).await;
    world.clock.sleep(Duration::from_secs(65)).await;
    let found = ticks(&world);
    let expected: Vec<String> = (1..=found.len()).map(|tick| tick.to_string()).collect();
    assert_eq!(found, expected, "none is missing and none is there twice");
    assert!(found.len() >= 6, "{found:?}");
    assert_eq!(running.handle.metrics().recoveries, 2);
}
