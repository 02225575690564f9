//! Reading without a group: exact bounds, nothing left behind.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use millpond::log::record::TimestampType;

use super::ConsumeArgs;
use super::print::Printer;
use crate::cli::failure::Failure;
use crate::cli::offsets::{Ends, Position, Span, Until};
use crate::cli::settings::warn;
use crate::cli::summary::Progress;
use crate::cli::template::Shown;
use crate::cli::wire::{Client, Fetched, Fetcher, Isolation, OffsetAt, Part, Spot, Topic, kafka_failure};

type Key = (String, i32);

/// Runs the command.
pub(super) async fn run(
    args: &ConsumeArgs,
    printer: &mut Printer,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let started = client.clock().monotonic();
    let span = match &args.offset {
        Some(offset) => Span::parse(offset, client.now_ms())?,
        None => Span::ALL,
    };
    let isolation = if args.read_uncommitted {
        Isolation::Uncommitted
    } else {
        Isolation::Committed
    };
    let (topics, missing) = args.names.find(&mut client).await?;
    if let Some(failure) = missing.into_iter().next() {
        return Err(failure.into());
    }
    let parts = parts(&mut client, args, &topics, span, isolation).await?;
    let mut fetcher = Fetcher::new(parts, isolation, args.print_control);
    let mut progress = Progress::start(!std::io::stdout().is_terminal(), started);
    let mut lost = false;
    while !fetcher.is_done() && !printer.is_full() {
        let fetched = match fetcher.poll(&mut client).await {
            Ok(fetched) => fetched,
            // Who follows waits for the cluster too.
            Err(error) if args.follow && Failure::is_connect(&error) => {
                if !lost {
                    warn(&format!("{error}; trying again"));
                }
                lost = true;
                client.clock().sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        lost = false;
        for batch in &fetched {
            print(batch, &fetcher.parts[batch.part], printer, out)?;
            if printer.is_full() {
                break;
            }
        }
        out.flush()?;
        progress.tick(printer.moved, client.clock().monotonic());
    }
    printer.moved.say(client.clock().monotonic() - started);
    Ok(())
}

/// Where each partition begins and ends.
async fn parts(
    client: &mut Client,
    args: &ConsumeArgs,
    topics: &[Topic],
    span: Span,
    isolation: Isolation,
) -> anyhow::Result<Vec<Part>> {
    for partition in &args.partitions {
        if !topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .any(|known| known.id == *partition)
        {
            let count = topics
                .iter()
                .map(|topic| topic.partitions.len())
                .max()
                .unwrap_or_default();
            return Err(Failure::failed(format!("no partition {partition}"))
                .hint(format!("there are {count}, counted from 0"))
                .into());
        }
    }
    let wanted = |_: &str, partition: i32| args.partitions.is_empty() || args.partitions.contains(&partition);
    let end_at = match isolation {
        Isolation::Committed => OffsetAt::StableEnd,
        Isolation::Uncommitted => OffsetAt::End,
    };
    let starts = client.offsets(topics, OffsetAt::Start, wanted).await?;
    let ends = client.offsets(topics, end_at, wanted).await?;
    let from_time = at_time(client, topics, span.from.time(), wanted).await?;
    let until_time = at_time(client, topics, span.until.time(), wanted).await?;
    // Who asks for what comes next wants to wait for it.
    let follow = args.follow || (span.from == Position::End && span.until == Until::Never);
    let mut parts = Vec::new();
    for topic in topics {
        for partition in &topic.partitions {
            let key = (topic.name.clone(), partition.id);
            let Some(end) = ends.get(&key) else { continue };
            let start = starts.get(&key).and_then(|spot| spot.offset);
            let (Some(start), Some(end)) = (start, end.offset) else {
                return Err(kafka_failure(&format!("{}-{}", key.0, key.1), end.error, None).into());
            };
            let ends = Ends { start, end };
            let from = span.from.resolve(ends, offset_in(&from_time, &key));
            if let Position::At(asked) = span.from
                && asked != from
            {
                warn(&format!(
                    "{}-{} has offsets {start} to {end}, begins at {from}",
                    key.0, key.1
                ));
            }
            let until = match span.until.resolve(ends, offset_in(&until_time, &key)) {
                None if !follow => Some(end),
                // An offset that is not there yet is waited for only by who follows.
                Some(until) if !follow => Some(until.min(end)),
                until => until,
            };
            parts.push(Part {
                topic: key.0,
                partition: key.1,
                leader: partition.leader.unwrap_or(-1),
                next: from,
                until,
                log_start: None,
                last_stable: None,
                high_watermark: None,
            });
        }
    }
    Ok(parts)
}

async fn at_time(
    client: &mut Client,
    topics: &[Topic],
    time: Option<i64>,
    wanted: impl Fn(&str, i32) -> bool,
) -> anyhow::Result<BTreeMap<Key, Spot>> {
    match time {
        Some(time) => client.offsets(topics, OffsetAt::Time(time), wanted).await,
        None => Ok(BTreeMap::new()),
    }
}

fn offset_in(spots: &BTreeMap<Key, Spot>, key: &Key) -> Option<i64> {
    spots.get(key).and_then(|spot| spot.offset)
}

fn print(fetched: &Fetched, part: &Part, printer: &mut Printer, out: &mut dyn Write) -> anyhow::Result<()> {
    let header = fetched.batch.header();
    let producer = header.producer_id();
    let compression = header.compression().to_string();
    for record in fetched.batch.iter() {
        let record = record?;
        if !(fetched.from..fetched.until).contains(&record.offset.get()) {
            continue;
        }
        let shown = Shown {
            topic: &part.topic,
            partition: part.partition,
            offset: record.offset.get(),
            leader_epoch: Some(header.leader_epoch().get()),
            timestamp: Some(record.timestamp).filter(|at| *at >= 0),
            timestamp_type: Some(match header.timestamp_type() {
                TimestampType::CreateTime => "CreateTime",
                TimestampType::LogAppendTime => "LogAppendTime",
            }),
            key: record.key,
            value: record.value,
            headers: record
                .headers
                .iter()
                .map(|header| (header.key, header.value))
                .collect(),
            producer_id: producer.is_some().then(|| producer.get()),
            producer_epoch: producer.is_some().then(|| header.producer_epoch().get()),
            compression: Some(compression.clone()),
            transactional: Some(header.is_transactional()),
            control: Some(header.is_control()),
            log_start: part.log_start,
            last_stable: part.last_stable,
            high_watermark: part.high_watermark,
        };
        printer.print(&shown, out)?;
        if printer.is_full() {
            break;
        }
    }
    Ok(())
}
