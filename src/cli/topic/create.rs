//! `millpond topic create`.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{CreateTopicsRequest, TopicName};
use serde_json::{Value, json};

use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::failure::Failure;
use crate::cli::settings::{ClusterArgs, warn};
use crate::cli::wire::{Client, To, kafka_failure, text};

const TOPIC_ALREADY_EXISTS: i16 = 36;
/// Longest wait until what was created can be used by the next command.
const VISIBLE_AFTER: Duration = Duration::from_secs(5);

/// Create topics
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond topic create orders
  millpond topic create orders payments -p 6 -r 3
  millpond topic create prices -c cleanup.policy=compact -c compression.type=zstd
  millpond topic create orders --if-not-exists")]
pub(super) struct CreateArgs {
    /// Names of topics
    #[arg(value_name = "TOPIC", required_unless_present = "kafka_names")]
    names: Vec<String>,

    /// Number of partitions; the broker's default without it
    #[arg(short = 'p', long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,

    /// Copies of each partition; the broker's default without it
    #[arg(short = 'r', long, alias = "replication-factor", value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replicas: Option<i16>,

    /// A setting of the topic
    #[arg(
        short = 'c',
        long = "config",
        alias = "topic-config",
        value_name = "KEY=VALUE"
    )]
    configs: Vec<String>,

    /// A topic that exists already is no failure
    #[arg(long)]
    if_not_exists: bool,

    /// Only let the broker check whether it could
    #[arg(long)]
    dry_run: bool,

    /// Kafka's way to name the topic
    #[arg(long = "topic", value_name = "TOPIC", hide = true)]
    kafka_names: Vec<String>,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "topic_create",
    tables: &[TableShape {
        name: "topics",
        columns: &[
            Column("topic", Kind::Text, "name"),
            Column(
                "status",
                Kind::Text,
                "created, exists, valid (--dry-run) or failed",
            ),
            Column("partitions", Kind::Count, "how many it has"),
            Column("replication_factor", Kind::Count, "copies of each"),
            Column("error", Kind::Text, "Kafka's code if it failed"),
        ],
    }],
};

pub(super) async fn run(args: CreateArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let configs = args
        .configs
        .iter()
        .map(|setting| {
            let (name, value) = setting.split_once('=').ok_or_else(|| {
                Failure::usage(format!("-c {setting}: not of the form KEY=VALUE"))
                    .hint("for example -c retention.ms=604800000")
            })?;
            Ok(CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value))))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut client = Client::connect(&args.cluster).await?;
    let timeout_ms = client.timeout_ms();
    let topics: Vec<CreatableTopic> = args
        .names
        .iter()
        .chain(&args.kafka_names)
        .map(|name| {
            CreatableTopic::default()
                .with_name(TopicName(text(name.clone())))
                .with_num_partitions(args.partitions.unwrap_or(-1))
                .with_replication_factor(args.replicas.unwrap_or(-1))
                .with_configs(configs.clone())
        })
        .collect();
    let answer = client
        .ask(
            To::Controller,
            |version| {
                let mut topics = topics.clone();
                if version < 4 {
                    // Brokers before 2.4 have no defaults of their own for a topic that is created.
                    for topic in &mut topics {
                        topic.num_partitions = topic.num_partitions.max(1);
                        topic.replication_factor = topic.replication_factor.max(1);
                    }
                }
                CreateTopicsRequest::default()
                    .with_topics(topics)
                    .with_timeout_ms(timeout_ms)
                    .with_validate_only(args.dry_run)
            },
            |answer| answer.topics.first().map_or(0, |topic| topic.error_code),
        )
        .await?;
    let mut document = Document::new(&SHAPE);
    let mut failed = Failed::default();
    let created = answer
        .topics
        .iter()
        .filter(|topic| topic.error_code == 0 && !args.dry_run);
    let created: Vec<String> = created.map(|topic| topic.name.0.to_string()).collect();
    if !client.wait_for_topics(&created, VISIBLE_AFTER).await? {
        warn("created, but not every broker knows it yet");
    }
    for topic in answer.topics {
        let name = topic.name.0.to_string();
        let exists = topic.error_code == TOPIC_ALREADY_EXISTS && args.if_not_exists;
        let known = |number: i64| Some(number).filter(|number| *number > 0);
        let (status, error) = match topic.error_code {
            0 if args.dry_run => ("valid", None),
            0 => ("created", None),
            _ if exists => ("exists", None),
            code => {
                let what = format!("topic {name}");
                failed.push(kafka_failure(&what, code, topic.error_message.as_deref()));
                ("failed", Some(crate::cli::wire::code_name(code)))
            }
        };
        document.push(vec![
            json!(name),
            json!(status),
            json!(known(i64::from(topic.num_partitions)).filter(|_| topic.error_code == 0)),
            json!(known(i64::from(topic.replication_factor)).filter(|_| topic.error_code == 0)),
            error.map_or(Value::Null, Value::from),
        ]);
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}
