//! A topic for every carrier, and none lost: rows that cannot be used become dead letters with the reason: `cargo run --example fan_out`
//!
//! Lines of a CSV file, some of them spoilt, are parsed and sent to the topic of their carrier, which an extractor names. What goes wrong, and what the error
//! policies make of it:
//!
//! - bytes that are no text: the source cannot read them, a dead letter (the default);
//! - lines that are no flight: the parser refuses them, a dead letter; lines of *cancelled* flights it refuses too, and the policy of that node lets them go;
//! - carriers without a topic: the sink refuses them, a dead letter.
//!
//! Nothing stops, and every line is somewhere exactly once: the sums are compared with those of a loop over the lines.

use std::collections::BTreeMap;
use std::time::Duration;

use millpond::log::broker::{Broker, BrokerOptions};
use millpond::log::client::{Admin, Producer, ProducerOptions, ProducerRecord};
use millpond::streams::config::{ErrorDecision, ErrorPolicy};
use millpond::streams::dsl::StreamsBuilder;
use millpond::streams::json_serde;
use millpond::streams::runtime::Streams;
use millpond::streams::topology::{Topology, TopologyError};
use serde::{Deserialize, Serialize};

mod data;

/// The carriers that have a topic. US Airways and three small ones have none.
const CARRIERS: [&str; 12] = [
    "9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "MQ", "UA", "VX", "WN",
];

/// Lines of ours among those of the file: what arrives on a bad day.
const SPOILT: [&[u8]; 4] = [
    b"2013,1,1,517,515,2,830",
    b"2013,1,1,oops,515,early,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z",
    b"\xff\xfe2\x000\x001\x003\x00",
    b"",
];

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Departure {
    flight: String,
    from: String,
    to: String,
    minutes_late: i64,
}

json_serde!(Departure);

/// Why a line is no departure.
#[derive(Debug, PartialEq)]
enum NoDeparture {
    Cancelled,
    Columns(usize),
    Delay(String),
}

impl std::fmt::Display for NoDeparture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoDeparture::Cancelled => write!(f, "the flight was cancelled"),
            NoDeparture::Columns(found) => write!(f, "{found} columns where 19 belong"),
            NoDeparture::Delay(found) => write!(f, "a delay of {found:?} minutes"),
        }
    }
}

impl std::error::Error for NoDeparture {}

/// The carrier and the departure of a line.
fn parse(line: &str) -> Result<(String, Departure), NoDeparture> {
    let columns: Vec<&str> = line.split(',').collect();
    let &[
        _,
        _,
        _,
        _,
        _,
        delay,
        _,
        _,
        _,
        carrier,
        number,
        _,
        from,
        to,
        _,
        _,
        _,
        _,
        _,
    ] = columns.as_slice()
    else {
        return Err(NoDeparture::Columns(columns.len()));
    };
    if delay == "NA" {
        return Err(NoDeparture::Cancelled);
    }
    let minutes_late = delay.parse().map_err(|_| NoDeparture::Delay(delay.to_owned()))?;
    let departure = Departure {
        flight: format!("{carrier}{number}"),
        from: from.to_owned(),
        to: to.to_owned(),
        minutes_late,
    };
    Ok((carrier.to_owned(), departure))
}

fn topic_of(carrier: &str) -> String {
    format!("departures-{carrier}")
}

fn topology() -> Result<Topology, TopologyError> {
    let topics = CARRIERS.map(topic_of);
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let builder = StreamsBuilder::new();
    builder
        .stream::<(), String>("lines")
        .try_map(|(), line| parse(&line))
        .on_error(ErrorPolicy::decide(|failed| match failed.cause.downcast_ref() {
            Some(NoDeparture::Cancelled) => ErrorDecision::Skip,
            _ => ErrorDecision::DeadLetter,
        }))
        .to_extracted(&topics, |carrier, _, _| topic_of(carrier));
    builder.build()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(BrokerOptions::at(dir.path().join("log"))).await?;
    let admin = Admin::new(&broker);
    let lines = lines()?;
    let topic = admin.create_topic("lines", 2).await?.name;
    let producer = Producer::new(&broker, ProducerOptions::default()).await?;
    for line in &lines {
        drop(
            producer
                .send(ProducerRecord::new(&topic).value(line.clone()))
                .await?,
        );
    }
    producer.flush().await?;
    for carrier in CARRIERS {
        admin.create_topic(&topic_of(carrier), 1).await?;
    }

    let job = Streams::builder(topology()?)
        .application_id("fan-out")
        .embedded(&broker)
        .state_dir(dir.path().join("state"))
        .run()
        .await?;
    job.wait_until_caught_up().await?;

    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    println!("{:<16} {:>8} {:>10}", "topic", "records", "mean min");
    for topic in CARRIERS.map(topic_of) {
        let mut minutes = 0;
        let records = data::committed(&broker, &topic).await?;
        for record in &records {
            let departure: Departure = serde_json::from_slice(record.value.as_deref().unwrap_or_default())?;
            minutes += departure.minutes_late;
        }
        println!(
            "{topic:<16} {:>8} {:>10.1}",
            records.len(),
            minutes as f64 / records.len() as f64
        );
        found.insert(topic, records.len());
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for letter in data::committed(&broker, "fan-out-dead-letters").await? {
        let header = |name: &str| {
            let name = format!("__streams.errors.{name}");
            let header = letter.headers.iter().find(|header| header.key == name.as_bytes());
            String::from_utf8_lossy(
                header
                    .and_then(|header| header.value.as_deref())
                    .unwrap_or_default(),
            )
            .into_owned()
        };
        *reasons
            .entry(format!("{}: {}", header("exception"), header("message")))
            .or_default() += 1;
    }
    println!(
        "\n{} lines of cancelled flights were let go; dead letters:",
        job.metrics().skipped_records
    );
    reasons
        .iter()
        .for_each(|(reason, count)| println!("{count:>8} {reason}"));
    found.insert("dead letters".to_owned(), reasons.values().sum());
    found.insert(
        "let go".to_owned(),
        usize::try_from(job.metrics().skipped_records)?,
    );

    println!();
    anyhow::ensure!(
        found.values().sum::<usize>() == lines.len(),
        "lines were lost or doubled"
    );
    data::compare("lines by where they went", &found, &batch(&lines))?;
    job.shutdown(Duration::from_secs(10)).await?;
    broker.shutdown().await?;
    Ok(())
}

/// The lines of the file, every thousandth followed by a spoilt one.
fn lines() -> anyhow::Result<Vec<Vec<u8>>> {
    let mut spoilt = SPOILT.iter().cycle();
    let mut lines = Vec::new();
    for (number, line) in data::flight_lines()?.into_iter().enumerate() {
        lines.push(line.into_bytes());
        if number % 1000 == 999 {
            lines.extend(spoilt.next().map(|line| line.to_vec()));
        }
    }
    Ok(lines)
}

/// Where each line belongs.
fn batch(lines: &[Vec<u8>]) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for line in lines {
        let parsed = std::str::from_utf8(line).ok().map(parse);
        let place = match parsed {
            Some(Ok((carrier, _))) if CARRIERS.contains(&carrier.as_str()) => topic_of(&carrier),
            Some(Err(NoDeparture::Cancelled)) => "let go".to_owned(),
            _ => "dead letters".to_owned(),
        };
        *places.entry(place).or_default() += 1;
    }
    places
}
