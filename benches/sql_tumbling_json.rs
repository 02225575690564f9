//! How many JSON rows a second does a SQL view take in: tumbling count, exactly-once, RocksDB?
//!
//! A million flights as JSON (about 130 bytes) lie in a topic of four partitions. The view counts them per origin and hour with
//! the statements of the README; the clock runs from CREATE MATERIALIZED VIEW until the view reflects every row. Beside
//! it, arrow-json alone on one core over the same bytes: the limit that parsing sets.

mod support;

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::arrow::json::ReaderBuilder;
use millpond::sql::{SqlEngine, SqlOptions};
use support::Node;

const ROWS: u64 = 1_000_000;
const PARTITIONS: i32 = 4;

fn row(number: u64) -> String {
    let origin = ["EWR", "JFK", "LGA"][(number % 3) as usize];
    let minutes = number / 2000;
    format!(
        r#"{{"carrier":"UA","flight":{},"origin":"{origin}","dest":"IAH","dep_delay":{}.0,"distance":1400.0,"scheduled":"2013-01-{:02}T{:02}:{:02}:00Z"}}"#,
        number % 9000,
        number % 60,
        1 + minutes / 1440,
        minutes / 60 % 24,
        minutes % 60
    )
}

fn tumbling(c: &mut Criterion) {
    let node = Node::start();
    let topic = node.create_topic("flights", PARTITIONS);
    let mut all = String::new();
    node.fill(&topic, PARTITIONS, ROWS, |number| {
        let row = row(number);
        all.push_str(&row);
        all.push('\n');
        (
            1_356_998_400_000,
            format!("N{}", number % 3000).into_bytes(),
            row.into_bytes(),
        )
    });
    let mut group = c.benchmark_group("SQL tumbling count on JSON");
    group
        .throughput(Throughput::Elements(ROWS))
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat);

    let schema = Arc::new(Schema::new(vec![
        Field::new("carrier", DataType::Utf8, true),
        Field::new("flight", DataType::Int32, true),
        Field::new("origin", DataType::Utf8, true),
        Field::new("dest", DataType::Utf8, true),
        Field::new("dep_delay", DataType::Float64, true),
        Field::new("distance", DataType::Float64, true),
        Field::new(
            "scheduled",
            DataType::Timestamp(TimeUnit::Microsecond, None),
            true,
        ),
    ]));
    group.bench_function("arrow-json alone, one core", |b| {
        b.iter(|| {
            let reader = ReaderBuilder::new(schema.clone())
                .with_batch_size(8192)
                .build(Cursor::new(all.as_bytes()))
                .expect("a sound schema");
            let rows: usize = reader.map(|batch| batch.expect("sound rows").num_rows()).sum();
            assert_eq!(rows as u64, ROWS);
        });
    });

    let engine = node
        .runtime
        .block_on(SqlEngine::open(SqlOptions::new(
            &node.broker,
            node.folder("state"),
        )))
        .expect("an engine on an empty folder");
    node.runtime
        .block_on(engine.execute(
            "CREATE STREAM flights (carrier VARCHAR, flight INT, origin VARCHAR, dest VARCHAR, dep_delay DOUBLE,
               distance DOUBLE, scheduled TIMESTAMP, WATERMARK FOR scheduled AS scheduled - INTERVAL '1' DAY)
             WITH (topic = 'flights', format = 'json', partitions = 4)",
        ))
        .expect("a stream over the topic");
    let mut run = 0;
    group.bench_function("materialised view, exactly-once", |b| {
        b.iter_batched(
            || {
                if run > 0 {
                    node.runtime
                        .block_on(engine.execute(&format!("DROP MATERIALIZED VIEW hourly_{run}")))
                        .expect("a view that exists");
                }
                run += 1;
                format!(
                    "CREATE MATERIALIZED VIEW hourly_{run} AS
                       SELECT origin, window_start, window_end, COUNT(*) AS departures, AVG(dep_delay) AS avg_delay
                       FROM TUMBLE(flights, scheduled, INTERVAL '1' HOUR) GROUP BY origin, window_start, window_end"
                )
            },
            |statement| {
                node.runtime.block_on(async {
                    engine.execute(&statement).await.expect("a view");
                    engine.wait_until_caught_up().await.expect("a view that follows");
                })
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = tumbling
}
criterion_main!(benches);
