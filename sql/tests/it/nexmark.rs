//! Nexmark: each query of `benches/nexmark` as a view, beside plain DataFusion over the same events.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Auction, Bid, Event, Person};

use crate::node::{Node, sorted_lines};

/// Makes a query from its number: the view, and the batch query where it is another one.
macro_rules! query {
    ($number:literal) => {
        Query {
            name: concat!("q", $number),
            view: include_str!(concat!("../../../benches/nexmark/q", $number, ".sql")),
            batch: None,
        }
    };
    ($number:literal, batch) => {
        Query {
            batch: Some(include_str!(concat!(
                "../../../benches/nexmark/batch/q",
                $number,
                ".sql"
            ))),
            ..query!($number)
        }
    };
}

struct Query {
    name: &'static str,
    view: &'static str,
    batch: Option<&'static str>,
}

impl Query {
    /// The query for plain DataFusion.
    fn batch(&self) -> &str {
        let own = || self.view.split_once(" AS\n").map(|(_, query)| query);
        let text = self.batch.or_else(own).unwrap();
        text.trim_end().trim_end_matches(';')
    }
}

const QUERIES: &[Query] = &[
    query!(0),
    query!(1),
    query!(2),
    query!(3),
    query!(4),
    query!(5, batch),
    query!(6),
    query!(7, batch),
    query!(8, batch),
    query!(9),
    query!(12, batch),
    query!(13),
    query!(14),
    query!(15),
    query!(16),
    query!(17),
    query!(18),
    query!(19),
    query!(20),
    query!(21),
    query!(22),
    query!(23),
];

const EVENTS: usize = 6_000;

#[derive(Default)]
struct Events {
    people: Vec<Person>,
    auctions: Vec<Auction>,
    bids: Vec<Bid>,
}

fn events() -> Events {
    let config = NexmarkConfig {
        base_time: 1_436_918_400_000,
        ..NexmarkConfig::default()
    };
    let mut events = Events::default();
    for event in EventGenerator::new(config).take(EVENTS) {
        match event {
            Event::Person(person) => events.people.push(person),
            Event::Auction(auction) => events.auctions.push(auction),
            Event::Bid(bid) => events.bids.push(bid),
        }
    }
    events
}

/// A JSON object from names and values that are JSON already.
fn object(fields: &[(&str, String)]) -> String {
    let mut text = String::from("{");
    for (index, (name, value)) in fields.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(text, "{comma}\"{name}\":{value}").unwrap();
    }
    text + "}"
}

fn text(value: &str) -> String {
    serde_json::to_string(value).unwrap()
}

fn time(millis: u64) -> String {
    let micros = TimestampMicrosecondArray::from(vec![millis as i64 * 1_000]);
    format!(
        "\"{}Z\"",
        micros
            .value_as_datetime(0)
            .unwrap()
            .format("%Y-%m-%dT%H:%M:%S%.3f")
    )
}

impl Events {
    fn records(&self, stream: &str) -> Vec<(i32, i64, String)> {
        let values: Vec<(u64, String)> = match stream {
            "person" => self.people.iter().map(|p| (p.date_time, person(p))).collect(),
            "auction" => self.auctions.iter().map(|a| (a.date_time, auction(a))).collect(),
            "bid" => self.bids.iter().map(|b| (b.date_time, bid(b))).collect(),
            _ => (0..100)
                .map(|key| {
                    (
                        0,
                        object(&[("key", key.to_string()), ("value", text(&format!("side {key}")))]),
                    )
                })
                .collect(),
        };
        let records = values.into_iter().enumerate();
        records
            .map(|(index, (millis, value))| ((index % 2) as i32, millis as i64, value))
            .collect()
    }

    /// The events as tables of plain DataFusion, made without JSON and without any of our code.
    fn tables(&self) -> SessionContext {
        let context = SessionContext::new();
        let add = |name: &str, columns: Vec<(&str, ArrayRef)>| {
            let batch = RecordBatch::try_from_iter_with_nullable(
                columns.into_iter().map(|(name, c)| (name, c, true)),
            )
            .unwrap();
            let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
            context.register_table(name, Arc::new(table)).unwrap();
        };
        let (people, auctions, bids) = (&self.people, &self.auctions, &self.bids);
        add(
            "person",
            vec![
                ("id", numbers(people, |p| p.id)),
                ("name", texts(people, |p| &p.name)),
                ("email_address", texts(people, |p| &p.email_address)),
                ("credit_card", texts(people, |p| &p.credit_card)),
                ("city", texts(people, |p| &p.city)),
                ("state", texts(people, |p| &p.state)),
                ("date_time", times(people, |p| p.date_time)),
                ("extra", texts(people, |p| &p.extra)),
            ],
        );
        add(
            "auction",
            vec![
                ("id", numbers(auctions, |a| a.id)),
                ("item_name", texts(auctions, |a| &a.item_name)),
                ("description", texts(auctions, |a| &a.description)),
                ("initial_bid", numbers(auctions, |a| a.initial_bid)),
                ("reserve", numbers(auctions, |a| a.reserve)),
                ("date_time", times(auctions, |a| a.date_time)),
                ("expires", times(auctions, |a| a.expires)),
                ("seller", numbers(auctions, |a| a.seller)),
                ("category", numbers(auctions, |a| a.category)),
                ("extra", texts(auctions, |a| &a.extra)),
            ],
        );
        add(
            "bid",
            vec![
                ("auction", numbers(bids, |b| b.auction)),
                ("bidder", numbers(bids, |b| b.bidder)),
                ("price", numbers(bids, |b| b.price)),
                ("channel", texts(bids, |b| &b.channel)),
                ("url", texts(bids, |b| &b.url)),
                ("date_time", times(bids, |b| b.date_time)),
                ("extra", texts(bids, |b| &b.extra)),
            ],
        );
        let keys: Vec<usize> = (0..100).collect();
        let values: Vec<String> = keys.iter().map(|key| format!("side {key}")).collect();
        add(
            "side_input",
            vec![
                ("key", numbers(&keys, |key| *key)),
                ("value", texts(&values, |value| value)),
            ],
        );
        context
    }
}

fn numbers<T>(rows: &[T], of: impl Fn(&T) -> usize) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(
        rows.iter().map(|row| of(row) as i64),
    ))
}

fn texts<T>(rows: &[T], of: impl Fn(&T) -> &String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
}

fn times<T>(rows: &[T], of: impl Fn(&T) -> u64) -> ArrayRef {
    let micros = rows.iter().map(|row| of(row) as i64 * 1_000);
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros))
}

fn person(p: &Person) -> String {
    object(&[
        ("id", p.id.to_string()),
        ("name", text(&p.name)),
        ("email_address", text(&p.email_address)),
        ("credit_card", text(&p.credit_card)),
        ("city", text(&p.city)),
        ("state", text(&p.state)),
        ("date_time", time(p.date_time)),
        ("extra", text(&p.extra)),
    ])
}

fn auction(a: &Auction) -> String {
    object(&[
        ("id", a.id.to_string()),
        ("item_name", text(&a.item_name)),
        ("description", text(&a.description)),
        ("initial_bid", a.initial_bid.to_string()),
        ("reserve", a.reserve.to_string()),
        ("date_time", time(a.date_time)),
        ("expires", time(a.expires)),
        ("seller", a.seller.to_string()),
        ("category", a.category.to_string()),
        ("extra", text(&a.extra)),
    ])
}

fn bid(b: &Bid) -> String {
    object(&[
        ("auction", b.auction.to_string()),
        ("bidder", b.bidder.to_string()),
        ("price", b.price.to_string()),
        ("channel", text(&b.channel)),
        ("url", text(&b.url)),
        ("date_time", time(b.date_time)),
        ("extra", text(&b.extra)),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_query_gives_what_a_batch_computation_gives() {
    let events = events();
    let tables = events.tables();
    let mut node = Node::start().await;
    node.run(include_str!("../../../benches/nexmark/streams.sql"))
        .await;
    for query in QUERIES {
        node.run(query.view).await;
    }
    let streams = ["side_input", "person", "auction", "bid"];
    let records = streams.map(|stream| (stream, events.records(stream)));
    for half in 0..2 {
        for (stream, records) in &records {
            let middle = records.len() / 2;
            let part = if half == 0 {
                &records[..middle]
            } else {
                &records[middle..]
            };
            node.produce(stream, part.to_vec()).await;
        }
        if half == 0 {
            // Whatever is done by now is not done again.
            node = node.restart().await;
        }
    }
    node.engine.wait_until_caught_up().await.unwrap();
    for query in QUERIES {
        let expected = tables.sql(query.batch()).await.unwrap().collect().await.unwrap();
        let expected = sorted_lines(&expected);
        assert!(!expected.is_empty(), "{} gives nothing", query.name);
        let found = node.sorted(&format!("SELECT * FROM {}", query.name)).await;
        assert_eq!(found.len(), expected.len(), "{}", query.name);
        assert!(
            found == expected,
            "{}: {:?} … {:?}",
            query.name,
            &found[0],
            &expected[0]
        );
    }
    node.engine.shutdown().await.unwrap();
}
