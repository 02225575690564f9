//! `millpond cluster logdirs`.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, ValueEnum};
use kafka_protocol::messages::DescribeLogDirsRequest;
use serde_json::{Value, json};

use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::{Client, To, kafka_failure};

/// Show how much lies on the disks of brokers, by folder, topic or partition
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond cluster logdirs
  millpond cluster logdirs --by topic
  millpond cluster logdirs --by partition --topics orders --brokers-only 1
  millpond cluster logdirs --by topic --raw --format awk | sort -k4n")]
pub(super) struct LogDirsArgs {
    /// One line a folder, a topic or a partition
    #[arg(long, value_enum, default_value = "folder")]
    by: By,

    /// Only these topics
    #[arg(
        long = "topics",
        alias = "topic-list",
        value_name = "TOPIC,…",
        value_delimiter = ','
    )]
    topics: Vec<String>,

    /// Only these brokers
    #[arg(long, value_name = "ID,…", value_delimiter = ',', allow_hyphen_values = true)]
    brokers_only: Vec<i32>,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Folder,
    Topic,
    Partition,
}

/// What a line is about: topic, partition, and whether it is being moved here.
type Line = (Option<String>, Option<i32>, bool);

pub(super) static SHAPE: Shape = Shape {
    kind: "cluster_logdirs",
    tables: &[TableShape {
        name: "logdirs",
        columns: &[
            Column("broker", Kind::Count, "id"),
            Column("folder", Kind::Text, "on that broker"),
            Column("topic", Kind::Text, "null by folder"),
            Column("partition", Kind::Count, "null by folder and by topic"),
            Column("size_bytes", Kind::Bytes, "of the logs"),
            Column("offset_lag", Kind::Count, "offsets a replica is behind"),
            Column("future", Kind::Flag, "whether it is being moved here"),
            Column("total_bytes", Kind::Bytes, "of the file system; null if not told"),
            Column(
                "usable_bytes",
                Kind::Bytes,
                "left on the file system; null if not told",
            ),
        ],
    }],
};

pub(super) async fn run(args: LogDirsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let mut document = Document::new(&SHAPE);
    let mut failed = Failed::default();
    let nodes: Vec<i32> = client
        .nodes
        .keys()
        .copied()
        .filter(|node| args.brokers_only.is_empty() || args.brokers_only.contains(node))
        .collect();
    for node in nodes {
        let answer = client
            .ask(
                To::Node(node),
                |_| DescribeLogDirsRequest::default().with_topics(None),
                |answer| answer.error_code,
            )
            .await?;
        if answer.error_code != 0 {
            failed.push(kafka_failure(&format!("broker {node}"), answer.error_code, None));
            continue;
        }
        for folder in answer.results {
            let name = folder.log_dir.to_string();
            if folder.error_code != 0 {
                failed.push(kafka_failure(
                    &format!("broker {node}, {name}"),
                    folder.error_code,
                    None,
                ));
                continue;
            }
            // The sums are size and lag.
            let mut lines: BTreeMap<Line, (i64, i64)> = BTreeMap::new();
            if args.by == By::Folder {
                lines.insert((None, None, false), (0, 0));
            }
            for topic in folder.topics {
                let topic_name = topic.name.0.to_string();
                if !args.topics.is_empty() && !args.topics.contains(&topic_name) {
                    continue;
                }
                for partition in topic.partitions {
                    let key = match args.by {
                        By::Folder => (None, None, false),
                        By::Topic => (Some(topic_name.clone()), None, false),
                        By::Partition => (
                            Some(topic_name.clone()),
                            Some(partition.partition_index),
                            partition.is_future_key,
                        ),
                    };
                    let sums = lines.entry(key).or_default();
                    sums.0 += partition.partition_size;
                    sums.1 += partition.offset_lag;
                }
            }
            let known = |bytes: i64| if bytes < 0 { Value::Null } else { json!(bytes) };
            for ((topic, partition, future), (size, lag)) in lines {
                document.push(vec![
                    json!(node),
                    json!(name),
                    json!(topic),
                    json!(partition),
                    json!(size),
                    json!(lag),
                    json!(future),
                    known(folder.total_bytes),
                    known(folder.usable_bytes),
                ]);
            }
        }
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}
