//! `millpond txn abort`.

use std::io::Write;

use clap::Args;
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{TopicName, WriteTxnMarkersRequest};
use serde_json::{Value, json};

use super::list::producers;
use crate::cli::confirm::ConfirmArgs;
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::failure::Failure;
use crate::cli::settings::ClusterArgs;
use crate::cli::topic::names::the_topic;
use crate::cli::wire::{Client, To, code_name, kafka_failure, text};

/// Abort a transaction that hangs in a partition
///
/// Writes the marker that its coordinator did not write. A transaction that its producer still works on is lost by this: look at it first.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond txn list --hanging orders
  millpond txn abort orders -p 3 --start-offset 1234 --dry-run
  millpond txn abort orders -p 3 --producer-id 5000 -y")]
pub(super) struct AbortArgs {
    /// The topic
    topic: String,

    /// The partition
    #[arg(short = 'p', long, value_name = "N")]
    partition: i32,

    /// First offset of the transaction
    #[arg(long, value_name = "OFFSET", required_unless_present = "producer_id")]
    start_offset: Option<i64>,

    /// Number of its producer
    #[arg(long, value_name = "ID")]
    producer_id: Option<i64>,

    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "txn_abort",
    tables: &[TableShape {
        name: "transactions",
        columns: &[
            Column("topic", Kind::Text, "where it was open"),
            Column("partition", Kind::Count, "number"),
            Column("start_offset", Kind::Count, "its first record"),
            Column("producer_id", Kind::Count, "number of the producer"),
            Column("producer_epoch", Kind::Count, "its term"),
            Column("last_timestamp", Kind::Time, "when it last wrote here"),
            Column(
                "status",
                Kind::Text,
                "aborted, failed, or would be aborted (--dry-run)",
            ),
            Column("error", Kind::Text, "Kafka's code if it failed"),
        ],
    }],
};

pub(super) async fn run(args: AbortArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let topic = the_topic(&mut client, &args.topic).await?;
    let open: Vec<_> = producers(&mut client, &topic, args.partition)
        .await?
        .into_iter()
        .filter(|producer| producer.current_txn_start_offset >= 0)
        .collect();
    let wanted = open.iter().find(|producer| {
        args.start_offset
            .is_none_or(|offset| offset == producer.current_txn_start_offset)
            && args.producer_id.is_none_or(|id| id == producer.producer_id.0)
    });
    let Some(found) = wanted else {
        let offsets: Vec<String> = open
            .iter()
            .map(|producer| producer.current_txn_start_offset.to_string())
            .collect();
        return Err(Failure::failed(format!(
            "no such open transaction in {}-{}",
            args.topic, args.partition
        ))
        .hint(if offsets.is_empty() {
            "none is open there; `millpond txn list --hanging TOPIC` looks at all partitions".to_owned()
        } else {
            format!("open are those that start at {}", offsets.join(", "))
        })
        .into());
    };
    let row = |status: &str, error: Value| {
        vec![
            json!(args.topic),
            json!(args.partition),
            json!(found.current_txn_start_offset),
            json!(found.producer_id.0),
            json!(found.producer_epoch),
            json!(Some(found.last_timestamp).filter(|at| *at >= 0)),
            json!(status),
            error,
        ]
    };
    let mut plan = Document::new(&SHAPE);
    plan.push(row("would be aborted", Value::Null));
    let what = format!(
        "abort the transaction at offset {}",
        found.current_txn_start_offset
    );
    if !args.confirm.confirm(&what, &plan, &args.output, out)? {
        return Ok(());
    }
    let leader = topic
        .partitions
        .iter()
        .find(|partition| partition.id == args.partition);
    let leader = leader.and_then(|partition| partition.leader).unwrap_or(-1);
    let epoch = i16::try_from(found.producer_epoch).map_err(|_| {
        Failure::failed(format!(
            "the broker names an impossible epoch {}",
            found.producer_epoch
        ))
    })?;
    let answer = client
        .ask(
            To::Node(leader),
            |_| {
                WriteTxnMarkersRequest::default().with_markers(vec![
                    WritableTxnMarker::default()
                        .with_producer_id(found.producer_id)
                        .with_producer_epoch(epoch)
                        .with_transaction_result(false)
                        // A coordinator that ended none here yet has no term; the marker must not be older than the last.
                        .with_coordinator_epoch(found.coordinator_epoch.max(0))
                        .with_topics(vec![
                            WritableTxnMarkerTopic::default()
                                .with_name(TopicName(text(args.topic.clone())))
                                .with_partition_indexes(vec![args.partition]),
                        ]),
                ])
            },
            |_| 0,
        )
        .await?;
    let partitions = answer
        .markers
        .iter()
        .flat_map(|marker| &marker.topics)
        .flat_map(|topic| &topic.partitions);
    let code = partitions
        .map(|partition| partition.error_code)
        .find(|code| *code != 0)
        .unwrap_or(0);
    let mut failed = Failed::default();
    let mut document = Document::new(&SHAPE);
    if code == 0 {
        document.push(row("aborted", Value::Null));
    } else {
        failed.push(kafka_failure(
            &format!("{}-{}", args.topic, args.partition),
            code,
            None,
        ));
        document.push(row("failed", json!(code_name(code))));
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}
