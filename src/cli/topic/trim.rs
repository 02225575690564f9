//! `millpond topic trim`.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::{DeleteRecordsRequest, TopicName};
use serde_json::{Value, json};

use super::names::TopicNames;
use crate::cli::confirm::ConfirmArgs;
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::offsets::{Ends, parse_position};
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::{Client, OffsetAt, To, code_name, kafka_failure, text};

/// Delete the records before a place
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond topic trim orders -o @-7d --dry-run     what is older than a week
  millpond topic trim orders -o end -y             everything
  millpond topic trim orders -o -1000 -p 0 -y      all but the last thousand offsets of partition 0")]
pub(super) struct TrimArgs {
    #[command(flatten)]
    names: TopicNames,

    /// The first record to keep, as for consume -o
    #[arg(short = 'o', long, value_name = "OFFSET", allow_hyphen_values = true)]
    offset: String,

    /// Only these partitions
    #[arg(short = 'p', long, value_name = "N,…", value_delimiter = ',')]
    partitions: Vec<i32>,

    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "topic_trim",
    tables: &[TableShape {
        name: "partitions",
        columns: &[
            Column("topic", Kind::Text, "name"),
            Column("partition", Kind::Count, "number"),
            Column("old_start", Kind::Count, "first offset before"),
            Column("new_start", Kind::Count, "first offset afterwards"),
            Column("offsets", Kind::Count, "offsets that go: at most so many records"),
            Column("error", Kind::Text, "Kafka's code if it failed"),
        ],
    }],
};

pub(super) async fn run(args: TrimArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let place = parse_position(&args.offset, client.now_ms())?;
    let (topics, missing) = args.names.find(&mut client).await?;
    let mut failed = Failed::default();
    missing.into_iter().for_each(|failure| failed.push(failure));
    let wanted = |_: &str, partition: i32| args.partitions.is_empty() || args.partitions.contains(&partition);
    let starts = client.offsets(&topics, OffsetAt::Start, wanted).await?;
    let ends = client.offsets(&topics, OffsetAt::End, wanted).await?;
    let at_time = match place.time() {
        Some(time) => client.offsets(&topics, OffsetAt::Time(time), wanted).await?,
        None => BTreeMap::new(),
    };
    let mut plan = Document::new(&SHAPE);
    let mut targets = BTreeMap::new();
    for (key, end) in &ends {
        let start = starts.get(key);
        let (Some(start), Some(end)) = (start.and_then(|spot| spot.offset), end.offset) else {
            let error = start.map_or(end.error, |start| start.error.max(end.error));
            failed.push(kafka_failure(&format!("{}-{}", key.0, key.1), error, None));
            continue;
        };
        let target = place.resolve(Ends { start, end }, at_time.get(key).and_then(|spot| spot.offset));
        targets.insert(key.clone(), (start, target));
        plan.push(row(key, start, target, Value::Null));
    }
    let what = format!("delete records of {} partitions", targets.len());
    if !args.confirm.confirm(&what, &plan, &args.output, out)? {
        return failed.finish();
    }
    let mut by_leader: BTreeMap<i32, BTreeMap<String, Vec<DeleteRecordsPartition>>> = BTreeMap::new();
    for topic in &topics {
        for partition in &topic.partitions {
            let target = targets.get(&(topic.name.clone(), partition.id));
            if let (Some((_, target)), Some(leader)) = (target, partition.leader) {
                by_leader
                    .entry(leader)
                    .or_default()
                    .entry(topic.name.clone())
                    .or_default()
                    .push(
                        DeleteRecordsPartition::default()
                            .with_partition_index(partition.id)
                            .with_offset(*target),
                    );
            }
        }
    }
    let timeout_ms = client.timeout_ms();
    let mut document = Document::new(&SHAPE);
    for (leader, asked) in by_leader {
        let answer = client
            .ask(
                To::Node(leader),
                |_| {
                    DeleteRecordsRequest::default()
                        .with_timeout_ms(timeout_ms)
                        .with_topics(
                            asked
                                .iter()
                                .map(|(topic, partitions)| {
                                    DeleteRecordsTopic::default()
                                        .with_name(TopicName(text(topic.clone())))
                                        .with_partitions(partitions.clone())
                                })
                                .collect(),
                        )
                },
                |_| 0,
            )
            .await?;
        for topic in answer.topics {
            for partition in topic.partitions {
                let key = (topic.name.0.to_string(), partition.partition_index);
                let old = targets.get(&key).map_or(0, |(start, _)| *start);
                if partition.error_code == 0 {
                    document.push(row(&key, old, partition.low_watermark, Value::Null));
                } else {
                    failed.push(kafka_failure(
                        &format!("{}-{}", key.0, key.1),
                        partition.error_code,
                        None,
                    ));
                    document.push(row(&key, old, old, json!(code_name(partition.error_code))));
                }
            }
        }
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}

fn row(key: &(String, i32), old: i64, new: i64, error: Value) -> Vec<Value> {
    vec![
        json!(key.0),
        json!(key.1),
        json!(old),
        json!(new),
        json!(new - old),
        error,
    ]
}
