//! `millpond group delete`: groups, or their offsets of some topics.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::{DeleteGroupsRequest, GroupId, OffsetDeleteRequest, TopicName};
use serde_json::{Value, json};

use super::selection::Selection;
use super::{GroupNames, committed};
use crate::cli::confirm::ConfirmArgs;
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::{Client, To, code_name, kafka_failure, text};

/// Delete groups with their offsets, or only the offsets of some topics
#[derive(Debug, Args)]
#[command(
    visible_alias = "rm",
    after_long_help = "Examples:
  millpond group delete payments                       lists what goes, and asks
  millpond group delete -r 'console-consumer-.*' -y
  millpond group delete payments --topics returns -y   only what it knows of that topic"
)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    names: GroupNames,

    /// Keep the group, delete its offsets of these topics and partitions
    #[arg(long = "topics", alias = "topic", value_name = "a,b:0-3")]
    topics: Vec<String>,

    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "group_delete",
    tables: &[TableShape {
        name: "groups",
        columns: &[
            Column("group", Kind::Text, "name"),
            Column("state", Kind::Text, "state it had"),
            Column("offsets", Kind::Count, "offsets that go"),
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
    let selection = Selection::parse(&args.topics)?;
    let mut client = Client::connect(&args.cluster).await?;
    let (groups, missing) = args.names.find(&mut client).await?;
    let mut failed = Failed::default();
    missing.into_iter().for_each(|failure| failed.push(failure));
    if groups.is_empty() {
        return failed.finish();
    }
    let mut plan = Document::new(&SHAPE);
    let mut going: Vec<Vec<(String, i32)>> = Vec::new();
    for group in &groups {
        let keys: Vec<(String, i32)> = match committed(&mut client, &group.name).await? {
            Ok(offsets) => offsets
                .into_keys()
                .filter(|(topic, partition)| selection.contains(topic, *partition))
                .collect(),
            Err(code) => return Err(kafka_failure(&format!("group {}", group.name), code, None).into()),
        };
        plan.push(row(&group.name, &group.state, keys.len(), "would be deleted", 0));
        going.push(keys);
    }
    let what = match groups.as_slice() {
        [group] => format!("delete group {}", group.name),
        groups => format!("delete {} groups", groups.len()),
    };
    if !args.confirm.confirm(&what, &plan, &args.output, out)? {
        return failed.finish();
    }
    let mut document = Document::new(&SHAPE);
    for (group, keys) in groups.iter().zip(going) {
        let code = if selection.is_all() {
            delete(&mut client, &group.name).await?
        } else {
            delete_offsets(&mut client, &group.name, &keys).await?
        };
        if code != 0 {
            failed.push(kafka_failure(&format!("group {}", group.name), code, None));
        }
        let status = if code == 0 { "deleted" } else { "failed" };
        document.push(row(&group.name, &group.state, keys.len(), status, code));
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}

async fn delete(client: &mut Client, name: &str) -> anyhow::Result<i16> {
    let answer = client
        .ask(
            To::Group(name),
            |_| DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(name))]),
            |answer| answer.results.first().map_or(0, |result| result.error_code),
        )
        .await?;
    Ok(answer.results.first().map_or(0, |result| result.error_code))
}

async fn delete_offsets(client: &mut Client, name: &str, keys: &[(String, i32)]) -> anyhow::Result<i16> {
    let mut by_topic: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for (topic, partition) in keys {
        by_topic
            .entry(topic)
            .or_default()
            .push(OffsetDeleteRequestPartition::default().with_partition_index(*partition));
    }
    let answer = client
        .ask(
            To::Group(name),
            |_| {
                OffsetDeleteRequest::default()
                    .with_group_id(GroupId(text(name)))
                    .with_topics(
                        by_topic
                            .iter()
                            .map(|(topic, partitions)| {
                                OffsetDeleteRequestTopic::default()
                                    .with_name(TopicName(text(*topic)))
                                    .with_partitions(partitions.clone())
                            })
                            .collect(),
                    )
            },
            |answer| answer.error_code,
        )
        .await?;
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let worst = partitions
        .map(|partition| partition.error_code)
        .find(|code| *code != 0);
    Ok(if answer.error_code != 0 {
        answer.error_code
    } else {
        worst.unwrap_or(0)
    })
}

fn row(group: &str, state: &str, offsets: usize, status: &str, code: i16) -> Vec<Value> {
    let error = if code == 0 {
        Value::Null
    } else {
        json!(code_name(code))
    };
    vec![json!(group), json!(state), json!(offsets), json!(status), error]
}
