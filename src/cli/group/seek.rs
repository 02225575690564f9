//! `millpond group seek`: where a group goes on reading.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::Args;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, TopicName};
use serde_json::{Value, json};

use super::model::OFFSETS_VERSION_MAX;
use super::selection::Selection;
use super::{committed, listed, missing};
use crate::cli::confirm::ConfirmArgs;
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::failure::Failure;
use crate::cli::offsets::{Ends, Position, parse_position};
use crate::cli::settings::ClusterArgs;
use crate::cli::topic::names;
use crate::cli::wire::{Client, OffsetAt, Spot, To, Topic, code_name, kafka_failure, text};

/// Set the offsets of a group that has no members
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond group seek payments --to start --dry-run      old and new offsets, nothing changed
  millpond group seek payments --to @-1h -y
  millpond group seek payments --to +1 --topics orders:3 -y   skip a record that cannot be processed
  millpond group seek payments --to -100 -y               read the last hundred again
  millpond group seek payments-v2 --to group=payments -y  go on where another group stands
  millpond group seek payments --to offsets.csv -y        lines of topic,partition,offset

Where to: start, end, an offset, @time as for consume -o, a file, group=NAME.
+n and -n count from where the group stands. The result is kept inside the partition.")]
pub(super) struct SeekArgs {
    /// The group; it is created if there is none and --topics says what it reads
    #[arg(value_name = "GROUP", required_unless_present = "kafka_name")]
    name: Option<String>,

    /// Where to: start, end, @time, +n, -n, n, a file, group=NAME
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    to: String,

    /// Only these topics and partitions; without it all that the group has offsets of
    #[arg(long = "topics", alias = "topic", value_name = "a,b:0-3")]
    topics: Vec<String>,

    /// Kafka's way to name the group
    #[arg(
        short = 'g',
        long = "group",
        value_name = "GROUP",
        hide = true,
        conflicts_with = "name"
    )]
    kafka_name: Option<String>,

    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "group_seek",
    tables: &[TableShape {
        name: "partitions",
        columns: &[
            Column("group", Kind::Text, "name"),
            Column("topic", Kind::Text, "what is read"),
            Column("partition", Kind::Count, "number"),
            Column("old_offset", Kind::Count, "next record to read before"),
            Column("new_offset", Kind::Count, "next record to read afterwards"),
            Column("error", Kind::Text, "Kafka's code if it failed"),
        ],
    }],
};

/// Where to, as typed.
enum Target {
    Place(Position),
    /// So many records from where the group stands.
    By(i64),
    /// Exactly these.
    Offsets(BTreeMap<(String, i32), i64>),
}

pub(super) async fn run(args: SeekArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let name = args
        .name
        .as_ref()
        .or(args.kafka_name.as_ref())
        .expect("clap requires one");
    let selection = Selection::parse(&args.topics)?;
    let mut client = Client::connect(&args.cluster).await?;
    let target = target(&mut client, &args.to).await?;
    let all = listed(&mut client).await?;
    match all.iter().find(|group| group.name == *name) {
        Some(group) if !group.is_of_consumers() => {
            return Err(Failure::failed(format!(
                "group {name} is a {} group, whose offsets are not set here",
                group.kind
            ))
            .into());
        }
        Some(group) if !matches!(group.state.as_str(), "Empty" | "Dead" | "") => {
            return Err(Failure::failed(format!(
                "group {name} is {}, so its members would overwrite the offsets",
                group.state
            ))
            .hint("stop its members first: `millpond group describe` names them")
            .into());
        }
        None if selection.is_all() && matches!(target, Target::Place(_) | Target::By(_)) => {
            return Err(missing(name, &all).into());
        }
        _ => {}
    }
    let old: BTreeMap<(String, i32), i64> = committed(&mut client, name)
        .await?
        .map_err(|code| kafka_failure(&format!("group {name}"), code, None))?
        .into_iter()
        .map(|(key, commit)| (key, commit.offset))
        .collect();
    let new = plan(&mut client, &target, &selection, &old).await?;
    let mut shown = Document::new(&SHAPE);
    for (key, offset) in &new {
        shown.push(row(name, key, old.get(key), Some(*offset), Value::Null));
    }
    if new.is_empty() {
        return Err(Failure::failed(format!("group {name} has no offsets to change"))
            .hint("--topics names what it is to read")
            .into());
    }
    let what = format!("set {} offsets of group {name}", new.len());
    if !args.confirm.confirm(&what, &shown, &args.output, out)? {
        return Ok(());
    }
    let mut failed = Failed::default();
    let document = commit(&mut client, name, &old, &new, &mut failed).await?;
    document.write(&args.output, false, out)?;
    failed.finish()
}

async fn target(client: &mut Client, to: &str) -> anyhow::Result<Target> {
    if let Some(other) = to.strip_prefix("group=") {
        let all = listed(client).await?;
        if !all.iter().any(|group| group.name == other) {
            return Err(missing(other, &all).into());
        }
        let offsets = committed(client, other)
            .await?
            .map_err(|code| kafka_failure(&format!("group {other}"), code, None))?;
        return Ok(Target::Offsets(
            offsets
                .into_iter()
                .map(|(key, commit)| (key, commit.offset))
                .collect(),
        ));
    }
    let signed = to.strip_prefix('+').or_else(|| to.strip_prefix('-'));
    if let Some(count) = signed.and_then(|digits| digits.parse::<i64>().ok()) {
        return Ok(Target::By(if to.starts_with('-') { -count } else { count }));
    }
    if Path::new(to).is_file() {
        return read_offsets(to).map(Target::Offsets);
    }
    let place = parse_position(to, client.now_ms()).map_err(|failure| {
        failure.hint("start, end, an offset, @time, +n, -n, a file that exists, group=NAME")
    })?;
    Ok(Target::Place(place))
}

/// Lines of topic, partition, offset, with commas or blanks between.
pub(in crate::cli) fn read_offsets(path: &str) -> anyhow::Result<BTreeMap<(String, i32), i64>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut offsets = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line
            .split(|letter: char| letter == ',' || letter.is_whitespace())
            .filter(|field| !field.is_empty())
            .map(|field| field.trim_matches('"'))
            .collect();
        let parsed = match fields.as_slice() {
            [topic, partition, offset] => partition
                .parse()
                .ok()
                .zip(offset.parse().ok())
                .map(|(p, o)| ((*topic).to_owned(), p, o)),
            _ => None,
        };
        let (topic, partition, offset) = parsed
            .ok_or_else(|| Failure::usage(format!("{path}:{}: not topic,partition,offset", number + 1)))?;
        offsets.insert((topic, partition), offset);
    }
    Ok(offsets)
}

async fn plan(
    client: &mut Client,
    target: &Target,
    selection: &Selection,
    old: &BTreeMap<(String, i32), i64>,
) -> anyhow::Result<BTreeMap<(String, i32), i64>> {
    let mut names: BTreeSet<String> = selection.topics().map(str::to_owned).collect();
    match target {
        Target::Offsets(offsets) => {
            names.extend(
                offsets
                    .keys()
                    .filter(|key| selection.contains(&key.0, key.1))
                    .map(|key| key.0.clone()),
            );
        }
        _ if selection.is_all() => names.extend(old.keys().map(|key| key.0.clone())),
        _ => {}
    }
    let mut topics: Vec<Topic> = Vec::new();
    for name in &names {
        // One that is named must exist; one that the group once read may be gone.
        match names::the_topic(client, name).await {
            Ok(topic) => topics.push(topic),
            Err(error) if selection.topics().any(|named| named == name) => return Err(error),
            Err(_) if matches!(target, Target::Offsets(_)) => {
                return Err(Failure::failed(format!(
                    "topic {name} does not exist, but an offset for it is given"
                ))
                .into());
            }
            Err(_) => {
                crate::cli::settings::warn(&format!("topic {name} does not exist any more, left as it is"))
            }
        }
    }
    let wanted = |topic: &str, partition: i32| {
        let key = (topic.to_owned(), partition);
        selection.contains(topic, partition)
            && match target {
                Target::Offsets(offsets) => offsets.contains_key(&key),
                _ => !selection.is_all() || old.contains_key(&key),
            }
    };
    let starts = client.offsets(&topics, OffsetAt::Start, wanted).await?;
    let ends = client.offsets(&topics, OffsetAt::End, wanted).await?;
    let at_time: BTreeMap<(String, i32), Spot> = match target {
        Target::Place(place) => match place.time() {
            Some(time) => client.offsets(&topics, OffsetAt::Time(time), wanted).await?,
            None => BTreeMap::new(),
        },
        _ => BTreeMap::new(),
    };
    let mut new = BTreeMap::new();
    for (key, end) in ends {
        let start = starts.get(&key).and_then(|spot| spot.offset);
        let (Some(start), Some(end)) = (start, end.offset) else {
            return Err(kafka_failure(&format!("{}-{}", key.0, key.1), end.error, None).into());
        };
        let ends = Ends { start, end };
        let place = match target {
            Target::Place(place) => *place,
            Target::By(count) => match old.get(&key) {
                Some(old) => Position::At(old.saturating_add(*count)),
                None => continue,
            },
            Target::Offsets(offsets) => Position::At(offsets[&key]),
        };
        let offset = place.resolve(ends, at_time.get(&key).and_then(|spot| spot.offset));
        new.insert(key, offset);
    }
    if let Target::Offsets(offsets) = target {
        let absent = offsets
            .keys()
            .find(|key| selection.contains(&key.0, key.1) && !new.contains_key(*key));
        if let Some((topic, partition)) = absent {
            return Err(Failure::failed(format!(
                "{topic} has no partition {partition}, but an offset for it is given"
            ))
            .into());
        }
    }
    Ok(new)
}

async fn commit(
    client: &mut Client,
    name: &str,
    old: &BTreeMap<(String, i32), i64>,
    new: &BTreeMap<(String, i32), i64>,
    failed: &mut Failed,
) -> anyhow::Result<Document> {
    let mut by_topic: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition), offset) in new {
        by_topic.entry(topic).or_default().push(
            OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(text(""))),
        );
    }
    let answer = client
        .ask_below(
            To::Group(name),
            OFFSETS_VERSION_MAX,
            |_| {
                OffsetCommitRequest::default()
                    .with_group_id(GroupId(text(name)))
                    .with_generation_id_or_member_epoch(-1)
                    .with_topics(
                        by_topic
                            .iter()
                            .map(|(topic, partitions)| {
                                OffsetCommitRequestTopic::default()
                                    .with_name(TopicName(text(*topic)))
                                    .with_partitions(partitions.clone())
                            })
                            .collect(),
                    )
            },
            |answer| {
                let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                partitions
                    .map(|partition| partition.error_code)
                    .max()
                    .unwrap_or_default()
            },
        )
        .await?;
    let mut document = Document::new(&SHAPE);
    for topic in answer.topics {
        for partition in topic.partitions {
            let key = (topic.name.0.to_string(), partition.partition_index);
            let (offset, error) = if partition.error_code == 0 {
                (new.get(&key), Value::Null)
            } else {
                let what = format!("group {name}, {}-{}", key.0, key.1);
                failed.push(kafka_failure(&what, partition.error_code, None));
                (old.get(&key), json!(code_name(partition.error_code)))
            };
            document.push(row(name, &key, old.get(&key), offset.copied(), error));
        }
    }
    Ok(document)
}

fn row(group: &str, key: &(String, i32), old: Option<&i64>, new: Option<i64>, error: Value) -> Vec<Value> {
    vec![
        json!(group),
        json!(key.0),
        json!(key.1),
        json!(old),
        json!(new),
        error,
    ]
}
