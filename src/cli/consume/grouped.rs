//! Reading as a member of a group, by librdkafka: joins, rebalances, commits.
//!
//! What is always true: an offset is stored for commit only after its record was printed, and all that is stored is committed before the
//! member leaves, also after Ctrl-C.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp};

use super::ConsumeArgs;
use super::print::Printer;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;
use crate::cli::rdkafka_error;
use crate::cli::settings::warn;
use crate::cli::template::Shown;
use crate::cli::wire::{Client, OffsetAt};

/// How long to wait for a record before looking at Ctrl-C.
const POLL: Duration = Duration::from_millis(100);

/// Runs the command.
pub(super) async fn run(
    args: &ConsumeArgs,
    group: &str,
    printer: &mut Printer,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let reset = match args.offset.as_deref() {
        None | Some("start" | "oldest" | "earliest") => "earliest",
        Some("end" | "newest" | "latest") => "latest",
        Some(other) => {
            return Err(Failure::usage(format!("-o {other} with -g: a group begins where it stopped"))
                .hint(format!("`millpond group seek {group} --to {other}` moves it; for a new group -o start or -o end")).into());
        }
    };
    let interrupt = Interrupt::listen();
    let mut client = Client::connect(&args.cluster).await?;
    let started = client.clock().monotonic();
    let (topics, missing) = args.names.find(&mut client).await?;
    if let Some(failure) = missing.into_iter().next() {
        return Err(failure.into());
    }
    let mut config = client.settings().client_config();
    config
        .set("group.id", group)
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set(
            "isolation.level",
            if args.read_uncommitted {
                "read_uncommitted"
            } else {
                "read_committed"
            },
        );
    if client.settings().find("auto.offset.reset").is_none() {
        config.set("auto.offset.reset", reset);
    }
    let consumer: BaseConsumer = config
        .create()
        .map_err(|error| rdkafka_error::failure("cannot start the consumer", &error))?;
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    consumer
        .subscribe(&names)
        .map_err(|error| rdkafka_error::failure(&format!("cannot join group {group}"), &error))?;
    let ends = client
        .offsets(&topics, OffsetAt::StableEnd, |_, _| !args.follow)
        .await?;
    let mut end = (!args.follow).then(|| End {
        offsets: ends
            .into_iter()
            .filter_map(|(key, spot)| Some((key, spot.offset?)))
            .collect(),
        reached: BTreeMap::new(),
    });
    let read = read(&consumer, end.as_mut(), printer, &interrupt, out);
    let committed = match consumer.commit_consumer_state(CommitMode::Sync) {
        // Nothing was read, or other members have everything now.
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) | Ok(()) => Ok(()),
        Err(error) => Err(rdkafka_error::failure(
            &format!("cannot commit the offsets of group {group}"),
            &error,
        )),
    };
    printer.moved.say(client.clock().monotonic() - started);
    read?;
    committed?;
    if interrupt.is_pressed() {
        return Err(Failure::interrupted().into());
    }
    Ok(())
}

fn read(
    consumer: &BaseConsumer,
    mut end: Option<&mut End>,
    printer: &mut Printer,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut warned = false;
    while !printer.is_full() && !interrupt.is_pressed() {
        match consumer.poll(POLL) {
            None => {
                out.flush()?;
            }
            Some(Ok(message)) => {
                print(&message, printer, out)?;
                consumer
                    .store_offset_from_message(&message)
                    .map_err(|error| rdkafka_error::failure("cannot remember an offset", &error))?;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                out.flush()?;
                if let Some(end) = end.as_deref_mut() {
                    *end.reached.entry(partition).or_default() += 1;
                    if end.is_reached(consumer)? {
                        break;
                    }
                }
            }
            Some(Err(error)) if rdkafka_error::is_passing(&error) => {
                if !warned {
                    warn(&format!(
                        "{}; trying again",
                        rdkafka_error::failure("connection lost", &error)
                    ));
                }
                warned = true;
            }
            Some(Err(error)) => return Err(rdkafka_error::failure("cannot read", &error).into()),
        }
    }
    out.flush()?;
    Ok(())
}

/// Where reading ends that does not follow: the end as it was at the start.
struct End {
    offsets: BTreeMap<(String, i32), i64>,
    /// How often the end of a partition with this number was reached: librdkafka does not tell of which topic.
    reached: BTreeMap<i32, usize>,
}

impl End {
    /// Whether all that is assigned was read. A partition whose last offsets are markers of transactions has no record at its
    /// end, so that only librdkafka's word tells; any other shows it by its position.
    fn is_reached(&self, consumer: &BaseConsumer) -> anyhow::Result<bool> {
        let position = consumer
            .position()
            .map_err(|error| rdkafka_error::failure("cannot tell where it stands", &error))?;
        let mut unsure: BTreeMap<i32, usize> = BTreeMap::new();
        for element in position.elements() {
            let end = self
                .offsets
                .get(&(element.topic().to_owned(), element.partition()));
            let read = matches!((element.offset(), end), (Offset::Offset(next), Some(end)) if next >= *end);
            *unsure.entry(element.partition()).or_default() += usize::from(!read);
        }
        let told = |partition| self.reached.get(partition).copied().unwrap_or_default();
        Ok(!unsure.is_empty() && unsure.iter().all(|(partition, count)| *count <= told(partition)))
    }
}

fn print(message: &BorrowedMessage<'_>, printer: &mut Printer, out: &mut dyn Write) -> std::io::Result<()> {
    let headers = message.headers().map(|headers| {
        headers
            .iter()
            .map(|header| (header.key.as_bytes(), header.value))
            .collect()
    });
    let (timestamp, timestamp_type) = match message.timestamp() {
        Timestamp::NotAvailable => (None, None),
        Timestamp::CreateTime(at) => (Some(at), Some("CreateTime")),
        Timestamp::LogAppendTime(at) => (Some(at), Some("LogAppendTime")),
    };
    let shown = Shown {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp,
        timestamp_type,
        key: message.key(),
        value: message.payload(),
        headers: headers.unwrap_or_default(),
        ..Shown::default()
    };
    printer.print(&shown, out)
}
