//! `millpond topic delete`.

use std::io::Write;

use clap::Args;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{DeleteTopicsRequest, TopicName};
use serde_json::{Value, json};

use super::names::TopicNames;
use crate::cli::confirm::ConfirmArgs;
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::failure::Failure;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::{Client, OffsetAt, To, code_name, kafka_failure, text};

/// Delete topics with all their records
#[derive(Debug, Args)]
#[command(
    visible_alias = "rm",
    after_long_help = "Examples:
  millpond topic delete orders                 lists what goes, and asks
  millpond topic delete -r 'test-.*' --dry-run
  millpond topic delete orders payments -y     in scripts"
)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    names: TopicNames,

    /// A topic that does not exist is no failure
    #[arg(long)]
    if_exists: bool,

    /// Let -r match topics that brokers keep for themselves
    #[arg(long)]
    internal: bool,

    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "topic_delete",
    tables: &[TableShape {
        name: "topics",
        columns: &[
            Column("topic", Kind::Text, "name"),
            Column("partitions", Kind::Count, "how many"),
            Column("offsets", Kind::Count, "offsets it held: at most so many records"),
            Column(
                "status",
                Kind::Text,
                "deleted, failed, or would be deleted (--dry-run)",
            ),
            Column("error", Kind::Text, "Kafka's code if it failed"),
        ],
    }],
};

pub(super) async fn run(args: DeleteArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let given = args.names.given();
    let (mut topics, missing) = args.names.find(&mut client).await?;
    topics.retain(|topic| !topic.internal || args.internal || given.contains(&topic.name));
    let mut failed = Failed::default();
    if !args.if_exists {
        missing.into_iter().for_each(|failure| failed.push(failure));
    }
    if topics.is_empty() {
        return failed.finish();
    }
    let starts = client.offsets(&topics, OffsetAt::Start, |_, _| true).await?;
    let ends = client.offsets(&topics, OffsetAt::End, |_, _| true).await?;
    let held = |name: &str| -> i64 {
        ends.iter()
            .filter(|((topic, _), _)| topic == name)
            .filter_map(|(key, end)| Some(end.offset? - starts.get(key)?.offset?))
            .sum()
    };
    let mut plan = Document::new(&SHAPE);
    for topic in &topics {
        plan.push(vec![
            json!(topic.name),
            json!(topic.partitions.len()),
            json!(held(&topic.name)),
            json!("would be deleted"),
            Value::Null,
        ]);
    }
    let what = match topics.as_slice() {
        [topic] => format!("delete topic {}", topic.name),
        topics => format!("delete {} topics", topics.len()),
    };
    if !args.confirm.confirm(&what, &plan, &args.output, out)? {
        return failed.finish();
    }
    let names: Vec<TopicName> = topics
        .iter()
        .map(|topic| TopicName(text(topic.name.clone())))
        .collect();
    let timeout_ms = client.timeout_ms();
    let answer = client
        .ask(
            To::Controller,
            |version| {
                let request = DeleteTopicsRequest::default().with_timeout_ms(timeout_ms);
                if version >= 6 {
                    request.with_topics(
                        names
                            .iter()
                            .map(|name| DeleteTopicState::default().with_name(Some(name.clone())))
                            .collect(),
                    )
                } else {
                    request.with_topic_names(names.clone())
                }
            },
            |answer| answer.responses.first().map_or(0, |topic| topic.error_code),
        )
        .await?;
    let mut document = Document::new(&SHAPE);
    for result in answer.responses {
        let name = result.name.map(|name| name.0.to_string()).unwrap_or_default();
        let (status, error) = if result.error_code == 0 {
            ("deleted", Value::Null)
        } else {
            let what = format!("topic {name}");
            failed.push(match result.error_code {
                73 => Failure::failed(format!("{what}: TOPIC_DELETION_DISABLED"))
                    .hint("the brokers run with delete.topic.enable=false"),
                code => kafka_failure(&what, code, result.error_message.as_deref()),
            });
            ("failed", json!(code_name(result.error_code)))
        };
        let partitions = topics.iter().find(|topic| topic.name == name);
        document.push(vec![
            json!(name),
            json!(partitions.map(|topic| topic.partitions.len())),
            json!(held(&name)),
            json!(status),
            error,
        ]);
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}
