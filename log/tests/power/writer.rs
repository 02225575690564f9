//! Writes to every topic at once and says what was acknowledged, one line each, as soon as it is.
//!
//! Always: a line is written after the acknowledgement, never before; records of a partition are named 0, 1, 2… in the order they are sent.
//! Lines are the ones `ledger.rs` reads. The child process runs it until its disk is dead; the parent, for a few rounds, after a recovery.

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all};
use millpond_log::broker::{Broker, BrokerError, BrokerOptions, OffsetAndMetadata};
use millpond_log::client::{Admin, Delivery, Producer, ProducerOptions, ProducerRecord};
use millpond_log::rng::{Rng, SeededRng};
use millpond_log::types::{GroupId, Offset, TopicName, TopicPartition};

use crate::plan::{CACHE, GROUP, Life, Machine, Name, ONE, TOPICS, TRANSACTIONAL, TXN, Txn};

/// Takes a line.
pub(crate) type Say = Arc<dyn Fn(String) + Send + Sync>;

/// Tells the child process that it is one, and where it works.
pub(crate) const CHILD_DIR: &str = "MILLPOND_POWER_CHILD";
pub(crate) const CHILD_SEED: &str = "MILLPOND_POWER_CHILD_SEED";
pub(crate) const CHILD_LIFE: &str = "MILLPOND_POWER_CHILD_LIFE";
/// Instead of a life's number: the control's life.
pub(crate) const CONTROL_LIFE: &str = "control";

/// A child that nobody kills ends after this.
const CHILD_LIFETIME: Duration = Duration::from_secs(120);
/// Records under way to a topic.
const WINDOW: usize = 128;
/// After so many bytes a life writes slowly, or a fast disk would be full before the cut.
const HURRIED_BYTES: usize = 12 << 20;

/// If this is the child process: writes until the disk is dead, and answers true.
pub(crate) fn ran_as_child() -> bool {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return false;
    };
    // Nobody would read the lines of an orphan.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .expect("dies with its parent");
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let machine = Machine::of(number(CHILD_SEED).expect("seed given"));
    let life = match number(CHILD_LIFE) {
        Some(number) => Life::of(&machine, number as u32),
        None => Life::of_control(0),
    };
    let say: Say = Arc::new(|line| {
        let mut line = line;
        line.push('\n');
        if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
            std::process::exit(3);
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(child(PathBuf::from(dir), machine, life, say));
    true
}

async fn child(dir: PathBuf, machine: Machine, life: Life, say: Say) {
    let options = BrokerOptions::at(dir).with_config(machine.config());
    let clock = options.clock.clone();
    let work = async {
        let broker = match Broker::start(options).await {
            Ok(broker) => broker,
            Err(error) => return say(format!("@stopped start: {error}")),
        };
        write(&broker, life.writer(), life.load, None, say).await;
    };
    futures::future::select(Box::pin(work), clock.sleep(CHILD_LIFETIME)).await;
}

/// Creates what topics are missing, then writes to those of `load` and to the transactional one, for some rounds or until it fails. A failure is
/// said, not returned: it is what a dead disk leads to.
pub(crate) async fn write(
    broker: &Broker,
    writer: u32,
    load: &[&'static str],
    rounds: Option<u64>,
    say: Say,
) {
    if let Err(error) = create_topics(broker).await {
        return say(format!("@stopped create: {error}"));
    }
    say("@ready".to_owned());
    let rounds = rounds.unwrap_or(u64::MAX);
    let mut work: Vec<BoxFuture<'_, (&str, Result<(), BrokerError>)>> = Vec::new();
    for (topic, partitions, _) in TOPICS.into_iter().filter(|(topic, ..)| load.contains(topic)) {
        let say = say.clone();
        work.push(
            async move {
                (
                    topic,
                    stream(broker, topic, partitions, writer, rounds, say).await,
                )
            }
            .boxed(),
        );
    }
    let txn_say = say.clone();
    work.push(async move { (TXN, transactions(broker, writer, rounds, txn_say).await) }.boxed());
    let tell = |(topic, done): (&str, Result<(), BrokerError>)| {
        if let Err(error) = done {
            say(format!("@stopped {topic}: {error}"));
        }
    };
    join_all(work.into_iter().map(|work| work.map(tell))).await;
}

async fn create_topics(broker: &Broker) -> Result<(), BrokerError> {
    for (topic, partitions, durability) in TOPICS {
        if broker.partition_count(&topic_name(topic)).is_none() {
            Admin::new(broker)
                .create_topic_with(topic, partitions, [("durability", durability)])
                .await?;
        }
    }
    Ok(())
}

pub(crate) fn topic_name(topic: &str) -> TopicName {
    TopicName::new(topic).expect("legal name")
}

async fn stream(
    broker: &Broker,
    topic: &str,
    partitions: i32,
    writer: u32,
    rounds: u64,
    say: Say,
) -> Result<(), BrokerError> {
    let name = topic_name(topic);
    let producer = Producer::new(broker, ProducerOptions::default()).await?;
    let rng = SeededRng::new(u64::from(writer) + 7);
    let mut next = vec![0; partitions as usize];
    let mut waiting: VecDeque<(Name, Delivery)> = VecDeque::new();
    let mut bytes = 0;
    for _ in 0..rounds {
        // Sometimes all partitions at once, sometimes a few; the latter with more records each.
        let first = rng.below(partitions as u64);
        let count = if rng.below(2) == 0 {
            partitions as u64
        } else {
            1 + rng.below(partitions as u64)
        };
        for partition in (first..first + count).map(|p| (p % partitions as u64) as i32) {
            for _ in 0..1 + rng.below(3) {
                let number = &mut next[partition as usize];
                let record = Name {
                    writer,
                    number: *number,
                };
                *number += 1;
                let value = record.value(topic, partition);
                bytes += value.len();
                let sent = ProducerRecord::new(&name).partition(partition).value(value);
                waiting.push_back((record, producer.send(sent).await?));
            }
        }
        while waiting.len() > WINDOW {
            acknowledge(&mut waiting, topic, &say).await?;
        }
        if bytes > HURRIED_BYTES {
            broker.clock().sleep(Duration::from_millis(10)).await;
        } else if topic == CACHE {
            broker.clock().sleep(Duration::from_millis(1)).await;
        }
    }
    while !waiting.is_empty() {
        acknowledge(&mut waiting, topic, &say).await?;
    }
    Ok(())
}

async fn acknowledge(
    waiting: &mut VecDeque<(Name, Delivery)>,
    topic: &str,
    say: &Say,
) -> Result<(), BrokerError> {
    let Some((record, delivery)) = waiting.pop_front() else {
        return Ok(());
    };
    let done = delivery.await?;
    let (partition, offset) = (done.partition.partition.get(), done.offset.get());
    say(format!("@ack {topic} {partition} {offset} {}", record.number));
    Ok(())
}

async fn transactions(broker: &Broker, writer: u32, rounds: u64, say: Say) -> Result<(), BrokerError> {
    let name = topic_name(TXN);
    let mut producer = Producer::new(broker, ProducerOptions::transactional(TRANSACTIONAL)).await?;
    let (group, input) = (GroupId::new(GROUP), TopicPartition::new(topic_name(ONE), 0));
    for number in 0..rounds {
        let txn = Txn { writer, number };
        producer.begin_transaction()?;
        let mut deliveries = Vec::new();
        for (partition, record) in txn.records() {
            let value = record.value(TXN, partition);
            let sent = ProducerRecord::new(&name).partition(partition).value(value);
            deliveries.push((partition, producer.send(sent).await?));
        }
        let read_to = OffsetAndMetadata::new(Offset::new(txn.group_offset()));
        producer
            .send_offsets(&group, vec![(input.clone(), read_to)])
            .await?;
        if txn.aborts() {
            producer.abort_transaction().await?;
            say(format!("@abort {number}"));
            continue;
        }
        producer.commit_transaction().await?;
        let mut line = format!("@commit {number}");
        for (_, delivery) in deliveries {
            line.push_str(&format!(" {}", delivery.await?.offset));
        }
        say(line);
    }
    Ok(())
}
