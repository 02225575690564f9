//! Sending records with librdkafka, and keeping account of what was delivered.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use serde_json::{Value, json};

use crate::cli::document::{DocumentFormat, OutputArgs};
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;
use crate::cli::rdkafka_error;
use crate::cli::summary::{Moved, Progress};
use crate::cli::template::Input;
use crate::cli::topic::names::the_topic;
use crate::cli::wire::Client;

/// How long to wait for input before looking at deliveries and Ctrl-C.
const POLL: Duration = Duration::from_millis(20);

/// What is the same for all records.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) topic: Option<String>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(super) partition: Option<i32>,
    pub(super) tombstone: bool,
    pub(super) transactional: bool,
    pub(super) output: OutputArgs,
    /// Topics must exist, unless `None`; the inner one was looked up already.
    pub(super) known: Option<Option<String>>,
}

/// What became of a record.
struct Outcome {
    topic: String,
    partition: i32,
    offset: Option<i64>,
    bytes: usize,
    error: Option<KafkaError>,
}

/// Collects what became of records.
#[derive(Default)]
struct Account {
    outcomes: Mutex<Vec<Outcome>>,
}

impl ClientContext for Account {}

impl ProducerContext for Account {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => (message, Some(error.clone())),
        };
        let outcome = Outcome {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: error.is_none().then(|| message.offset()),
            bytes: message.key().map_or(0, <[u8]>::len) + message.payload().map_or(0, <[u8]>::len),
            error,
        };
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(outcome);
    }
}

/// Sums over all records.
#[derive(Default)]
struct Sums {
    moved: Moved,
    failed: u64,
    first: Option<KafkaError>,
}

/// Sends all of the input.
pub(super) async fn run(
    job: Job,
    config: &ClientConfig,
    input: Receiver<anyhow::Result<Input>>,
    client: &mut Client,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let limit = client.settings().request_timeout();
    let started = client.clock().monotonic();
    let producer: BaseProducer<Account> = config
        .create_with_context(Account::default())
        .map_err(|error| rdkafka_error::failure("cannot start the producer", &error))?;
    if job.transactional {
        let begun = producer
            .init_transactions(limit)
            .and_then(|()| producer.begin_transaction());
        begun.map_err(|error| rdkafka_error::failure("cannot begin a transaction", &error))?;
    }
    let mut sums = Sums::default();
    let sent = send_all(&job, &producer, &input, client, interrupt, &mut sums, out).await;
    let interrupted = interrupt.is_pressed();
    let delivered = if job.transactional && (sent.is_err() || interrupted) {
        Ok(())
    } else {
        deliver(&producer, &job, &mut sums, out)
    };
    let ended = if !job.transactional {
        Ok(())
    } else if sent.is_err() || delivered.is_err() || interrupted || sums.failed > 0 {
        producer
            .abort_transaction(limit)
            .map_err(|error| rdkafka_error::failure("cannot abort the transaction", &error))
    } else {
        producer
            .commit_transaction(limit)
            .map_err(|error| rdkafka_error::failure("cannot commit the transaction", &error))
    };
    out.flush()?;
    sent?;
    delivered?;
    sums.moved.say(client.clock().monotonic() - started);
    let why = sums.first.as_ref().map(|error| {
        let what = format!(
            "{} of {} records were not delivered",
            sums.failed,
            sums.failed + sums.moved.records
        );
        rdkafka_error::failure(&what, error)
    });
    if let Some(why) = why {
        return Err(why.into());
    }
    ended?;
    if interrupted {
        return Err(Failure::interrupted().into());
    }
    Ok(())
}

async fn send_all(
    job: &Job,
    producer: &BaseProducer<Account>,
    input: &Receiver<anyhow::Result<Input>>,
    client: &mut Client,
    interrupt: &Interrupt,
    sums: &mut Sums,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut known: BTreeSet<String> = job.known.iter().flatten().cloned().collect();
    // Over what somebody types nothing is drawn.
    let watched = !std::io::stdin().is_terminal() && job.output.format == DocumentFormat::Text;
    let mut progress = Progress::start(watched, client.clock().monotonic());
    while !interrupt.is_pressed() {
        let record = match input.recv_timeout(POLL) {
            Ok(record) => record?,
            Err(RecvTimeoutError::Timeout) => {
                settle(producer, job, sums, out)?;
                out.flush()?;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let topic = record.topic.as_ref().or(job.topic.as_ref());
        let topic = topic
            .ok_or_else(|| Failure::failed("a record names no topic"))?
            .clone();
        if job.known.is_some() && !known.contains(&topic) {
            the_topic(client, &topic).await?;
            known.insert(topic.clone());
        }
        send(job, producer, &topic, record, sums, out)?;
        progress.tick(sums.moved, client.clock().monotonic());
    }
    Ok(())
}

fn send(
    job: &Job,
    producer: &BaseProducer<Account>,
    topic: &str,
    record: Input,
    sums: &mut Sums,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let key = record.key.or_else(|| job.key.clone());
    let value = record.value.filter(|value| !(job.tombstone && value.is_empty()));
    let mut message: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
    if let Some(key) = &key {
        message = message.key(key);
    }
    if let Some(value) = &value {
        message = message.payload(value);
    }
    if let Some(partition) = job.partition.or(record.partition) {
        message = message.partition(partition);
    }
    if let Some(timestamp) = record.timestamp {
        message = message.timestamp(timestamp);
    }
    if !record.headers.is_empty() || !job.headers.is_empty() {
        let mut headers = OwnedHeaders::new();
        for (key, value) in record.headers.iter().chain(&job.headers) {
            headers = headers.insert(Header {
                key,
                value: value.as_deref(),
            });
        }
        message = message.headers(headers);
    }
    loop {
        match producer.send(message) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                message = back;
                producer.poll(POLL);
                settle(producer, job, sums, out)?;
            }
            Err((error, _)) => return Err(rdkafka_error::failure(&format!("topic {topic}"), &error).into()),
        }
    }
    settle(producer, job, sums, out)
}

/// Waits until everything that was sent is delivered or given up; a second Ctrl-C ends the process.
fn deliver(
    producer: &BaseProducer<Account>,
    job: &Job,
    sums: &mut Sums,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(100));
        settle(producer, job, sums, out)?;
    }
    settle(producer, job, sums, out)
}

/// Takes in what was delivered since.
fn settle(
    producer: &BaseProducer<Account>,
    job: &Job,
    sums: &mut Sums,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    producer.poll(Duration::ZERO);
    let outcomes = {
        let mut outcomes = producer
            .context()
            .outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *outcomes)
    };
    for outcome in outcomes {
        match &outcome.error {
            None => sums.moved.add(outcome.bytes),
            Some(error) => {
                sums.failed += 1;
                sums.first.get_or_insert_with(|| error.clone());
            }
        }
        let error = outcome.error.map_or(Value::Null, |error| {
            json!(
                rdkafka_error::failure("", &error)
                    .to_string()
                    .trim_start_matches(": ")
            )
        });
        match job.output.format {
            DocumentFormat::Json => {
                let line = json!({
                    "topic": outcome.topic, "partition": outcome.partition, "offset": outcome.offset, "error": error,
                });
                writeln!(out, "{line}")?;
            }
            DocumentFormat::Awk => {
                let offset = outcome
                    .offset
                    .map_or_else(|| "-".to_owned(), |offset| offset.to_string());
                writeln!(
                    out,
                    "{}\t{}\t{offset}\t{}",
                    outcome.topic,
                    outcome.partition,
                    error.as_str().unwrap_or("-")
                )?;
            }
            DocumentFormat::Text | DocumentFormat::Help => {}
        }
    }
    Ok(())
}
