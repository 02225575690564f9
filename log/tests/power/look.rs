//! After a power cut: starts the broker on what is left and compares it with what was acknowledged.
//!
//! Always: everything is read through the broker, as a consumer would. Topics that fsync must have every acknowledged record at its offset
//! with its value. All topics: what is there is what the writers sent, in their order, without a gap or a repetition. Transactions: committed
//! ones wholly there, aborted ones not at all, one that nobody got an answer for either way but whole, and the group's offset says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use millpond_log::broker::{Broker, BrokerError, BrokerOptions, Isolation};
use millpond_log::client::{Consumer, ConsumerOptions, Producer, ProducerOptions};
use millpond_log::faults::Faults;
use millpond_log::record::Record;
use millpond_log::storage::disk_fs::FsDisk;
use millpond_log::storage::verify::verify;
use millpond_log::types::{GroupId, TopicPartition};
use parking_lot::Mutex;

use crate::ledger::{Ledger, Outcome};
use crate::plan::{CACHE, GROUP, Life, Machine, Name, ONE, TOPICS, TRANSACTIONAL, TXN, Txn};
use crate::writer::{Say, topic_name, write};

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Acknowledged records of fsync topics that are not there, those of committed transactions included.
    pub(crate) lost: u64,
    /// Acknowledged records of the page-cache topic that are not there: what a power cut may do to it.
    pub(crate) cache_lost: u64,
    /// Transactions of which only a part is there, or that were acknowledged to have ended otherwise.
    pub(crate) torn: u64,
    /// The journal held something to replay.
    pub(crate) replayed: bool,
    /// Everything that should not be.
    pub(crate) wrong: Vec<String>,
}

/// Findings that are told.
const TOLD_MAX: usize = 20;
/// A reader that hears nothing for so long is stuck.
const READ_MAX: Duration = Duration::from_secs(10);

impl Findings {
    fn wrong(&mut self, what: String) {
        if self.wrong.len() < TOLD_MAX {
            self.wrong.push(what);
        }
    }

    fn lost(&mut self, what: String) {
        self.lost += 1;
        self.wrong(what);
    }

    fn torn(&mut self, what: String) {
        self.torn += 1;
        self.wrong(what);
    }
}

/// Verifies the directory, starts the broker, reads everything, writes a little more, reads again, stops, verifies again. The ledger loses what the
/// page-cache topic lost, and gains what was written here.
pub(crate) async fn look(dir: &Path, machine: &Machine, life: &Life, ledger: &mut Ledger) -> Findings {
    let mut found = Findings::default();
    verify_files(dir, "before the start", &mut found);
    let mut options = BrokerOptions::at(dir).with_config(machine.config());
    options.faults = Faults::none();
    let broker = match Broker::start(options).await {
        Ok(broker) => broker,
        Err(error) => {
            found.lost = ledger.count(|topic| topic != CACHE) + ledger.count_transactional();
            found.wrong(format!("the broker does not start: {error}"));
            return found;
        }
    };
    if let Err(error) = compare(&broker, ledger, &mut found).await {
        found.wrong(format!("reading: {error}"));
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    let say: Say = {
        let lines = lines.clone();
        Arc::new(move |line| lines.lock().push(line))
    };
    write(&broker, life.looker(), &["one", "many", "cache"], Some(4), say).await;
    for line in lines.lock().iter() {
        if line.starts_with("@stopped") {
            found.wrong(format!("writes do not go on: {line}"));
        }
        if let Err(wrong) = ledger.add(life.looker(), line) {
            found.wrong(wrong);
        }
    }
    if found.wrong.is_empty()
        && let Err(error) = compare(&broker, ledger, &mut found).await
    {
        found.wrong(format!("reading what was written after the recovery: {error}"));
    }
    if let Err(error) = broker.shutdown().await {
        found.wrong(format!("shutdown: {error}"));
    }
    verify_files(dir, "after a clean stop", &mut found);
    found
}

fn verify_files(dir: &Path, when: &str, found: &mut Findings) {
    match verify(&FsDisk::shared(), dir) {
        Ok(report) => {
            for problem in report.all_problems() {
                found.wrong(format!(
                    "verify {when}: {}: {}",
                    problem.file.display(),
                    problem.what
                ));
            }
            found.replayed |= report
                .all_notes()
                .any(|note| note.what.starts_with("the journal holds"));
        }
        Err(error) => found.wrong(format!("verify {when}: {error}")),
    }
}

async fn compare(broker: &Broker, ledger: &mut Ledger, found: &mut Findings) -> Result<(), BrokerError> {
    for (topic, partitions, durability) in TOPICS.into_iter().filter(|(topic, ..)| *topic != TXN) {
        for partition in 0..partitions {
            let there = read(broker, topic, partition, found).await;
            check_order(topic, partition, &there, found);
            let Some(acknowledged) = ledger.records.get_mut(&(topic.to_owned(), partition)) else {
                continue;
            };
            if durability == "page-cache" {
                let before = acknowledged.len();
                acknowledged.retain(|offset, name| there.get(offset) == Some(name));
                found.cache_lost += (before - acknowledged.len()) as u64;
                continue;
            }
            for (offset, name) in acknowledged
                .iter()
                .filter(|(offset, name)| there.get(offset) != Some(name))
            {
                let instead = there.get(offset);
                found.lost(format!(
                    "lost: {topic}-{partition} at {offset}: {name:?}; there is {instead:?}"
                ));
            }
        }
    }
    compare_transactions(broker, ledger, found).await
}

/// Whatever survived of each writer is the beginning of what it sent, and a later writer comes after an earlier one.
fn check_order(topic: &str, partition: i32, there: &BTreeMap<i64, Name>, found: &mut Findings) {
    let mut last: Option<Name> = None;
    for (offset, name) in there {
        let follows = match last {
            Some(last) if last.writer == name.writer => name.number == last.number + 1,
            Some(last) => last.writer < name.writer && name.number == 0,
            None => name.number == 0,
        };
        if !follows {
            found.wrong(format!(
                "{topic}-{partition} at {offset}: {name:?} comes after {last:?}"
            ));
        }
        last = Some(*name);
    }
}

async fn compare_transactions(
    broker: &Broker,
    ledger: &Ledger,
    found: &mut Findings,
) -> Result<(), BrokerError> {
    let exists = broker.partition_count(&topic_name(TXN)).is_some();
    if exists {
        // Takes over from the writer that died: its open transaction is aborted.
        drop(Producer::new(broker, ProducerOptions::transactional(TRANSACTIONAL)).await?);
    }
    let mut there: BTreeMap<Txn, BTreeMap<Name, (i32, i64)>> = BTreeMap::new();
    for partition in (0..3).filter(|_| exists) {
        for (offset, name) in read(broker, TXN, partition, found).await {
            let repeated = there
                .entry(Txn::of(name))
                .or_default()
                .insert(name, (partition, offset));
            if repeated.is_some() {
                found.wrong(format!("{TXN}-{partition} at {offset}: {name:?} is there twice"));
            }
        }
    }
    let mut undecided = BTreeSet::new();
    for (txn, records) in &there {
        let visible: Vec<_> = records
            .iter()
            .map(|(name, (partition, _))| (*partition, *name))
            .collect();
        if visible != txn.records() {
            found.torn(format!(
                "torn: {txn:?}: {} of {} records",
                visible.len(),
                txn.records().len()
            ));
        }
        match ledger.transactions.get(txn) {
            Some(Outcome::Committed(_)) => {}
            Some(Outcome::Aborted) => found.torn(format!("{txn:?} was aborted, and its records are seen")),
            None if txn.aborts() => {
                found.torn(format!("{txn:?} was never committed, and its records are seen"))
            }
            None if ledger.late.contains(txn) || undecided.insert(txn.writer) => {}
            None => found.wrong(format!("{txn:?}: a second one committed without an answer")),
        }
    }
    for (txn, outcome) in &ledger.transactions {
        let Outcome::Committed(offsets) = outcome else {
            continue;
        };
        let records = there.get(txn);
        for ((partition, name), offset) in txn.records().into_iter().zip(offsets) {
            let place = records.and_then(|records| records.get(&name)).copied();
            if place != Some((partition, *offset)) {
                found.lost(format!(
                    "lost: {TXN}-{partition} at {offset}: {name:?} of {txn:?}; it is at {place:?}"
                ));
            }
        }
    }
    let input = TopicPartition::new(topic_name(ONE), 0);
    let committed = committed_offset(broker, input).await?;
    let expected = there.keys().next_back().map(|txn| txn.group_offset());
    if committed != expected {
        found.torn(format!(
            "the group's offset is {committed:?}, the records of transactions say {expected:?}"
        ));
    }
    Ok(())
}

/// The offset the transactions committed for the group.
async fn committed_offset(broker: &Broker, input: TopicPartition) -> Result<Option<i64>, BrokerError> {
    const ATTEMPTS: u32 = 100;
    let mut attempt = 0;
    loop {
        attempt += 1;
        match broker
            .offset_fetch(&GroupId::new(GROUP), Some(vec![input.clone()]))
            .await
        {
            // Markers may still be on their way.
            Err(error) if error.is_retriable() && attempt < ATTEMPTS => {
                broker.clock().sleep(Duration::from_millis(50)).await;
            }
            answer => return Ok(answer?.first().map(|(_, committed)| committed.offset.get())),
        }
    }
}

/// Every record of a partition a committed reader sees, each checked against its own name. What cannot be read is left out, and told.
async fn read(broker: &Broker, topic: &str, partition: i32, found: &mut Findings) -> BTreeMap<i64, Name> {
    let mut there = BTreeMap::new();
    let place = TopicPartition::new(topic_name(topic), partition);
    let Ok(log) = broker.partition_log(&place) else {
        return there;
    };
    let end = log.offsets().read_limit(Isolation::ReadCommitted);
    let mut consumer = Consumer::new(broker, ConsumerOptions::default());
    if let Err(error) = consumer.assign([place.clone()]).await {
        found.wrong(format!("{place}: {error}"));
        return there;
    }
    let clock = broker.clock().clone();
    let mut last_heard = clock.monotonic();
    loop {
        let position = consumer.position(&place);
        if position.is_none_or(|position| position >= end) {
            return there;
        }
        if clock.monotonic() - last_heard > READ_MAX {
            found.wrong(format!(
                "{place}: nothing can be read from {position:?}, but the log ends at {end}"
            ));
            return there;
        }
        let next = futures::future::poll_fn(|context| Poll::Ready(consumer.poll_next_unpin(context))).await;
        match next {
            Poll::Ready(Some(Ok(next))) => match named(&next.record, topic, partition) {
                Ok(name) => {
                    there.insert(next.record.offset.get(), name);
                }
                Err(wrong) => found.wrong(format!("{place} at {}: {wrong}", next.record.offset)),
            },
            Poll::Ready(Some(Err(error))) => {
                found.wrong(format!("{place} from {position:?}: {error}"));
                return there;
            }
            Poll::Ready(None) => return there,
            Poll::Pending => {
                tokio::task::yield_now().await;
                continue;
            }
        }
        last_heard = clock.monotonic();
    }
}

fn named(record: &Record, topic: &str, partition: i32) -> Result<Name, String> {
    let value = record.value.as_deref().unwrap_or_default();
    let name = Name::read(value).ok_or_else(|| format!("{} bytes that nobody sent", value.len()))?;
    if name.value(topic, partition) != value {
        return Err(format!("{name:?} with another value than was sent"));
    }
    Ok(name)
}
