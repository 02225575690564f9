//! `millpond topic offsets`.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use super::names::TopicNames;
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::offsets::{Ends, parse_position};
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::{Client, OffsetAt, code_name, kafka_failure};

/// Show where partitions begin and end, and which offset lies at a time
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond topic offsets orders
  millpond topic offsets orders --at @-1h          first record of the last hour
  millpond topic offsets orders -p 0,3 --at @2022-02-14
  millpond topic offsets -r 'order.*' --format json")]
pub(super) struct OffsetsArgs {
    #[command(flatten)]
    names: TopicNames,

    /// Only these partitions
    #[arg(short = 'p', long, value_name = "N,…", value_delimiter = ',')]
    partitions: Vec<i32>,

    /// Also the offset at this place, as for consume -o
    #[arg(long, short = 'o', value_name = "OFFSET", allow_hyphen_values = true)]
    at: Option<String>,

    /// Kafka's way to ask for a time in ms, or -1 and -2 for end and start
    #[arg(
        long,
        value_name = "MS",
        hide = true,
        allow_hyphen_values = true,
        conflicts_with = "at"
    )]
    time: Option<String>,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "topic_offsets",
    tables: &[TableShape {
        name: "partitions",
        columns: &[
            Column("topic", Kind::Text, "name"),
            Column("partition", Kind::Count, "number"),
            Column("log_start_offset", Kind::Count, "first offset that can be read"),
            Column(
                "last_stable_offset",
                Kind::Count,
                "first offset of the oldest open transaction",
            ),
            Column("high_watermark", Kind::Count, "offset of the next record"),
            Column("offsets", Kind::Count, "offsets held: at most so many records"),
            Column("at_offset", Kind::Count, "offset at the place asked for by --at"),
            Column(
                "at_timestamp",
                Kind::Time,
                "time of the record there, if the place is a time",
            ),
            Column("error", Kind::Text, "Kafka's code if it failed"),
        ],
    }],
};

pub(super) async fn run(args: OffsetsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let at = match (&args.at, args.time.as_deref()) {
        (Some(at), _) => Some(at.clone()),
        (None, Some("-1")) => Some("end".to_owned()),
        (None, Some("-2")) => Some("start".to_owned()),
        (None, Some(ms)) => Some(format!("@{ms}")),
        (None, None) => None,
    };
    let at = at.map(|at| parse_position(&at, client.now_ms())).transpose()?;
    let (topics, missing) = args.names.find_or_all(&mut client).await?;
    let topics: Vec<_> = topics
        .into_iter()
        .filter(|topic| !args.names.is_empty() || !topic.internal)
        .collect();
    let wanted = |_: &str, partition: i32| args.partitions.is_empty() || args.partitions.contains(&partition);
    let starts = client.offsets(&topics, OffsetAt::Start, wanted).await?;
    let ends = client.offsets(&topics, OffsetAt::End, wanted).await?;
    let stable = client.offsets(&topics, OffsetAt::StableEnd, wanted).await?;
    let at_time = match at.and_then(|at| at.time()) {
        Some(time) => client.offsets(&topics, OffsetAt::Time(time), wanted).await?,
        None => std::collections::BTreeMap::new(),
    };
    let mut failed = Failed::default();
    missing.into_iter().for_each(|failure| failed.push(failure));
    let mut document = Document::new(&SHAPE);
    for (key, end) in &ends {
        let start = starts.get(key).and_then(|spot| spot.offset);
        let spot = at_time.get(key);
        let place = match (at, start, end.offset) {
            (Some(at), Some(start), Some(end)) => {
                Some(at.resolve(Ends { start, end }, spot.and_then(|spot| spot.offset)))
            }
            _ => None,
        };
        let error = if end.error == 0 {
            Value::Null
        } else {
            failed.push(kafka_failure(&format!("{}-{}", key.0, key.1), end.error, None));
            json!(code_name(end.error))
        };
        document.push(vec![
            json!(key.0),
            json!(key.1),
            json!(start),
            json!(stable.get(key).and_then(|spot| spot.offset)),
            json!(end.offset),
            json!(end.offset.zip(start).map(|(end, start)| end - start)),
            json!(place),
            json!(spot.and_then(|spot| spot.timestamp)),
            error,
        ]);
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}
