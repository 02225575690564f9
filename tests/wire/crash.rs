//! SIGKILL under load: idempotent and transactional producers, readers and a group go on across the crashes, and nothing they were told turns out false.
//!
//! Written and read through librdkafka, judged by `tests/checker`. A kill comes when so many values more have been acknowledged, so it always hits a
//! loaded broker. `MILLPOND_CRASH_KILLS=200` kills more often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{Either, join_all, select};
use millpond_checker::{Commit, Event, Function, Kind, Producer as Identity, Read, Send};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::recorder::Recorder;

const TOPIC: &str = "crash";
const PARTITIONS: i32 = 3;
const SENDERS: u32 = 2;
const TRANSACTORS: u32 = 2;
const READER: u32 = 10;
const MEMBER: u32 = 11;
const FINAL_READER: u32 = 12;
/// Values acknowledged between two kills.
const VALUES_PER_KILL: u64 = 400;
/// One poll takes at most this long; so many empty ones in a row are a hang.
const POLL: Duration = Duration::from_millis(100);
const EMPTY_POLLS_MAX: u32 = 900;

fn partition(number: i32) -> String {
    format!("{TOPIC}-{number}")
}

struct Load {
    address: String,
    recorder: Recorder,
    stop: AtomicBool,
}

impl Load {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.address)
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .set("retry.backoff.ms", "20")
            .set("retry.backoff.max.ms", "200");
        config
    }

    fn producer(&self, settings: &[(&str, &str)]) -> FutureProducer {
        let mut config = self.config();
        config.set("linger.ms", "1").set("message.timeout.ms", "90000");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config.create().expect("the settings are librdkafka's")
    }

    fn consumer(&self, settings: &[(&str, &str)]) -> BaseConsumer {
        let mut config = self.config();
        config
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config.create().expect("the settings are librdkafka's")
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// New values of one process, spread over the partitions.
struct Values {
    next: u64,
}

impl Values {
    fn of(process: u32) -> Self {
        Self {
            next: u64::from(process) << 40,
        }
    }

    fn take(&mut self, count: i32) -> Vec<(i32, Send)> {
        (0..count)
            .map(|n| {
                self.next += 1;
                let number = n % PARTITIONS;
                let send = Send {
                    partition: partition(number),
                    value: self.next,
                    offset: None,
                };
                (number, send)
            })
            .collect()
    }
}

/// Sends all of `sends` and fills in the offsets; false if one was not acknowledged.
async fn deliver(producer: &FutureProducer, sends: &mut [(i32, Send)]) -> bool {
    let payloads: Vec<String> = sends.iter().map(|(_, send)| send.value.to_string()).collect();
    let deliveries = sends.iter().zip(&payloads).map(|((number, _), payload)| {
        let record: FutureRecord<'_, (), String> =
            FutureRecord::to(TOPIC).partition(*number).payload(payload);
        producer.send(record, Timeout::Never)
    });
    let delivered = join_all(deliveries).await;
    let mut all = true;
    for ((_, send), delivered) in sends.iter_mut().zip(delivered) {
        match delivered {
            Ok(delivery) => {
                send.offset =
                    Some(u64::try_from(delivery.offset).expect("an acknowledged record has an offset"))
            }
            Err(_) => all = false,
        }
    }
    all
}

fn only(sends: &[(i32, Send)]) -> Vec<Send> {
    sends.iter().map(|(_, send)| send.clone()).collect()
}

/// An idempotent producer: each of its records is in the log once, whatever happened to the request or its answer.
async fn send(load: Arc<Load>, process: u32) {
    let producer = load.producer(&[("enable.idempotence", "true")]);
    let mut values = Values::of(process);
    while !load.stopped() {
        let mut sends = values.take(9);
        load.recorder
            .record(process, Kind::Invoke, Function::Send, |event| {
                event.sends = only(&sends)
            });
        let all = deliver(&producer, &mut sends).await;
        assert!(all, "an idempotent producer gave up on process {process}");
        load.recorder.record(process, Kind::Ok, Function::Send, |event| {
            event.sends = only(&sends)
        });
    }
}

/// How a transaction ended.
enum Ended {
    Committed,
    Aborted,
    /// Only a new life of the producer tells.
    Fatal,
}

/// Calls again what may be called again.
fn insist(mut call: impl FnMut() -> KafkaResult<()>) -> KafkaResult<()> {
    loop {
        match call() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {}
            ended => return ended,
        }
    }
}

fn end(producer: &FutureProducer, commit: bool) -> Ended {
    let bound = Duration::from_secs(10);
    if commit {
        match insist(|| producer.commit_transaction(bound)) {
            Ok(()) => return Ended::Committed,
            Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {}
            Err(_) => return Ended::Fatal,
        }
    }
    match insist(|| producer.abort_transaction(bound)) {
        Ok(()) => Ended::Aborted,
        Err(_) => Ended::Fatal,
    }
}

/// A transactional producer: every fifth transaction is aborted, and one that ended without a word is fenced by a new life.
async fn transact(load: Arc<Load>, process: u32) {
    let id = format!("transactor-{process}");
    let mut values = Values::of(process);
    let mut identity = Identity { id, epoch: 0 };
    let mut round = 0_u32;
    while !load.stopped() {
        let producer = load.producer(&[
            ("transactional.id", &identity.id),
            ("transaction.timeout.ms", "90000"),
        ]);
        identity.epoch += 1;
        load.recorder
            .record(process, Kind::Invoke, Function::Init, |_| {});
        let initialised =
            tokio::task::block_in_place(|| insist(|| producer.init_transactions(Duration::from_secs(10))));
        if let Err(error) = initialised {
            panic!("process {process} cannot become a transactional producer: {error}");
        }
        load.recorder.record(process, Kind::Ok, Function::Init, |event| {
            event.producer = Some(identity.clone())
        });
        while !load.stopped() {
            round += 1;
            let mut sends = values.take(5);
            load.recorder
                .record(process, Kind::Invoke, Function::Txn, |event| {
                    event.sends = only(&sends);
                    event.producer = Some(identity.clone());
                });
            let begun = producer.begin_transaction().is_ok();
            let delivered = begun && deliver(&producer, &mut sends).await;
            let ended = tokio::task::block_in_place(|| end(&producer, delivered && !round.is_multiple_of(5)));
            let kind = match ended {
                Ended::Committed => Kind::Ok,
                Ended::Aborted => Kind::Fail,
                Ended::Fatal => Kind::Info,
            };
            load.recorder.record(process, kind, Function::Txn, |event| {
                event.sends = only(&sends);
                event.producer = Some(identity.clone());
            });
            if kind == Kind::Info {
                break;
            }
        }
    }
}

/// What came of polling until `enough`: reads in order, and partitions whose end was seen.
fn poll(consumer: &BaseConsumer, event: &mut Event, records_max: usize) -> BTreeSet<i32> {
    let mut ends = BTreeSet::new();
    let mut wait = POLL;
    while event.reads.len() < records_max {
        match consumer.poll(wait) {
            None => break,
            Some(Ok(message)) => {
                let payload = message.payload().expect("our records have values");
                let text = std::str::from_utf8(payload).expect("our values are numbers");
                event.reads.push(Read {
                    partition: partition(message.partition()),
                    offset: u64::try_from(message.offset()).expect("a record has an offset"),
                    value: text.parse().expect("our values are numbers"),
                });
                ends.remove(&message.partition());
            }
            Some(Err(KafkaError::PartitionEOF(number))) => {
                ends.insert(number);
            }
            // The broker is being killed now and then; librdkafka comes back by itself.
            Some(Err(_)) => break,
        }
        // What has been fetched already comes without waiting.
        wait = Duration::ZERO;
    }
    ends
}

fn from_the_start() -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for number in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, number, Offset::Beginning)
            .expect("a valid offset");
    }
    list
}

fn assign(load: &Load, process: u32, consumer: &BaseConsumer) {
    load.recorder
        .record(process, Kind::Invoke, Function::Assign, |_| {});
    consumer.assign(&from_the_start()).expect("a valid assignment");
    load.recorder.record(process, Kind::Ok, Function::Assign, |_| {});
}

/// Reads all partitions while they grow, across the crashes.
fn read(load: &Load) {
    let consumer = load.consumer(&[("group.id", "unused")]);
    assign(load, READER, &consumer);
    while !load.stopped() {
        load.recorder.record(READER, Kind::Invoke, Function::Poll, |_| {});
        load.recorder.record_with(READER, Function::Poll, |event| {
            poll(&consumer, event, 500);
        });
    }
}

/// Reads in a group, commits what it read, and asks what is committed: its offsets never go back.
fn read_in_group(load: &Load) {
    let consumer = load.consumer(&[("group.id", "group"), ("session.timeout.ms", "10000")]);
    let recorder = &load.recorder;
    recorder.record(MEMBER, Kind::Invoke, Function::Subscribe, |_| {});
    consumer.subscribe(&[TOPIC]).expect("a valid subscription");
    recorder.record(MEMBER, Kind::Ok, Function::Subscribe, |_| {});
    let mut positions: BTreeMap<String, u64> = BTreeMap::new();
    while !load.stopped() {
        recorder.record(MEMBER, Kind::Invoke, Function::Poll, |_| {});
        recorder.record_with(MEMBER, Function::Poll, |event| {
            poll(&consumer, event, 200);
            for read in &event.reads {
                let next = positions.entry(read.partition.clone()).or_default();
                *next = (*next).max(read.offset + 1);
            }
        });
        let commits: Vec<Commit> = positions
            .iter()
            .map(|(partition, offset)| Commit {
                group: "group".to_owned(),
                partition: partition.clone(),
                offset: *offset,
            })
            .collect();
        let mut list = TopicPartitionList::new();
        for number in 0..PARTITIONS {
            if let Some(offset) = positions.get(&partition(number)) {
                let offset = i64::try_from(*offset).expect("offsets fit");
                list.add_partition_offset(TOPIC, number, Offset::Offset(offset))
                    .expect("a valid offset");
            }
        }
        if list.count() == 0 {
            continue;
        }
        recorder.record(MEMBER, Kind::Invoke, Function::CommitOffsets, |event| {
            event.commits = commits.clone()
        });
        let kind = match consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => Kind::Ok,
            Err(_) => Kind::Info,
        };
        recorder.record(MEMBER, kind, Function::CommitOffsets, |event| {
            event.commits = commits
        });
        recorder.record(MEMBER, Kind::Invoke, Function::FetchOffsets, |_| {});
        let fetched = consumer.committed_offsets(list, Duration::from_secs(30));
        let kind = if fetched.is_ok() { Kind::Ok } else { Kind::Info };
        recorder.record(MEMBER, kind, Function::FetchOffsets, |event| {
            let Ok(fetched) = fetched else { return };
            event.commits = fetched
                .elements()
                .iter()
                .map(|element| Commit {
                    group: "group".to_owned(),
                    partition: partition(element.partition()),
                    offset: element
                        .offset()
                        .to_raw()
                        .and_then(|raw| u64::try_from(raw).ok())
                        .unwrap_or(0),
                })
                .collect();
        });
    }
}

/// Reads every partition from start to end, when nobody writes any more.
fn read_finally(load: &Load) {
    let recorder = &load.recorder;
    recorder.record(FINAL_READER, Kind::Invoke, Function::FinalReads, |_| {});
    recorder.record(FINAL_READER, Kind::Ok, Function::FinalReads, |_| {});
    let consumer = load.consumer(&[("group.id", "unused")]);
    assign(load, FINAL_READER, &consumer);
    let mut open: BTreeSet<i32> = (0..PARTITIONS).collect();
    let mut empty = 0;
    while !open.is_empty() {
        recorder.record(FINAL_READER, Kind::Invoke, Function::Poll, |_| {});
        recorder.record_with(FINAL_READER, Function::Poll, |event| {
            let ends = poll(&consumer, event, 1000);
            empty = if event.reads.is_empty() && ends.is_empty() {
                empty + 1
            } else {
                0
            };
            event.read_to_end = ends.iter().map(|number| partition(*number)).collect();
            open.retain(|number| !ends.contains(number));
        });
        assert!(
            empty < EMPTY_POLLS_MAX,
            "the ends of partitions {open:?} were never reached"
        );
    }
}

/// Waits for so many acknowledged values; all clients must still be at work then.
async fn loaded(load: &Load, clients: &mut JoinSet<()>, values: u64) {
    let enough = std::pin::pin!(load.recorder.acknowledged(values));
    let ended = std::pin::pin!(clients.join_next());
    if let Either::Right((ended, _)) = select(enough, ended).await {
        panic!("a client gave up before {values} values were acknowledged: {ended:?}");
    }
}

fn kills() -> u64 {
    match std::env::var("MILLPOND_CRASH_KILLS") {
        Ok(text) => text.parse().expect("MILLPOND_CRASH_KILLS must be a number"),
        Err(_) => 4,
    }
}

#[test]
fn what_clients_were_told_stays_true_across_kills() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let mut broker = Broker::start(scratch.path());
    let load = Arc::new(Load {
        address: broker.address().to_owned(),
        recorder: Recorder::new(),
        stop: AtomicBool::new(false),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(6)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let admin: AdminClient<DefaultClientContext> =
            load.config().create().expect("the settings are librdkafka's");
        let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
        let made = admin
            .create_topics([&topic], &AdminOptions::new())
            .await
            .expect("the broker answers");
        assert_eq!(made, [Ok(TOPIC.to_owned())]);
    });
    let mut clients = JoinSet::new();
    for process in 0..SENDERS {
        clients.spawn_on(send(load.clone(), process), runtime.handle());
    }
    for process in SENDERS..SENDERS + TRANSACTORS {
        clients.spawn_on(transact(load.clone(), process), runtime.handle());
    }
    for work in [read, read_in_group] {
        let load = load.clone();
        clients.spawn_blocking_on(move || work(&load), runtime.handle());
    }

    let kills = kills();
    for kill in 1..=kills {
        runtime.block_on(loaded(&load, &mut clients, kill * VALUES_PER_KILL));
        broker.kill_and_restart();
    }
    let end = (kills + 1) * VALUES_PER_KILL;
    runtime.block_on(loaded(&load, &mut clients, end));
    load.stop.store(true, Ordering::Release);
    while let Some(client) = runtime.block_on(clients.join_next()) {
        client.expect("no client gives up");
    }
    read_finally(&load);

    let report = load.recorder.judge(scratch.path());
    if !report.is_clean() {
        panic!("history kept in {}:\n{report}", scratch.keep().display());
    }
    assert!(
        report.acknowledged >= end && report.read >= end,
        "too little to mean anything:\n{report}"
    );
}
