//! `millpond topic add-partitions`.

use std::io::Write;

use clap::Args;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::{CreatePartitionsRequest, TopicName};
use serde_json::{Value, json};

use super::names::TopicNames;
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::{Client, To, code_name, kafka_failure, text};

/// Give topics more partitions
///
/// Records stay where they are, but a key may belong to another partition from then on: readers that rely on the order of a key should know.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond topic add-partitions orders --to 12
  millpond topic add-partitions -r 'order.*' --to 12 --dry-run")]
pub(super) struct AddPartitionsArgs {
    #[command(flatten)]
    names: TopicNames,

    /// Number of partitions afterwards
    #[arg(long, alias = "partitions", value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    to: i32,

    /// Only let the broker check whether it could
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "topic_add_partitions",
    tables: &[TableShape {
        name: "topics",
        columns: &[
            Column("topic", Kind::Text, "name"),
            Column("before", Kind::Count, "partitions it had"),
            Column(
                "after",
                Kind::Count,
                "partitions it has, or would have (--dry-run)",
            ),
            Column("error", Kind::Text, "Kafka's code if it failed"),
        ],
    }],
};

pub(super) async fn run(args: AddPartitionsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let (topics, missing) = args.names.find(&mut client).await?;
    let mut failed = Failed::default();
    missing.into_iter().for_each(|failure| failed.push(failure));
    let mut document = Document::new(&SHAPE);
    if !topics.is_empty() {
        let timeout_ms = client.timeout_ms();
        let answer = client
            .ask(
                To::Controller,
                |_| {
                    CreatePartitionsRequest::default()
                        .with_topics(
                            topics
                                .iter()
                                .map(|topic| {
                                    CreatePartitionsTopic::default()
                                        .with_name(TopicName(text(topic.name.clone())))
                                        .with_count(args.to)
                                        .with_assignments(None)
                                })
                                .collect(),
                        )
                        .with_timeout_ms(timeout_ms)
                        .with_validate_only(args.dry_run)
                },
                |answer| answer.results.first().map_or(0, |topic| topic.error_code),
            )
            .await?;
        for result in answer.results {
            let name = result.name.0.to_string();
            let before = topics
                .iter()
                .find(|topic| topic.name == name)
                .map(|topic| topic.partitions.len());
            let error = if result.error_code == 0 {
                Value::Null
            } else {
                failed.push(kafka_failure(
                    &format!("topic {name}"),
                    result.error_code,
                    result.error_message.as_deref(),
                ));
                json!(code_name(result.error_code))
            };
            let after = if error.is_null() {
                json!(args.to)
            } else {
                json!(before)
            };
            document.push(vec![json!(name), json!(before), after, error]);
        }
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}
