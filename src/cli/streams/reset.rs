//! `millpond streams reset`: an application begins again from where its input topics are told to.
//!
//! What is always true: nothing is done while the application runs (its group has members, one of its transactions is open, or its state directory is in use), nor without a
//! confirmation. In this order, each step safe to repeat after a crash: its transactional ids are fenced, so that an instance that was overlooked can commit nothing more; its local state
//! goes; its positions are set, without what it had written beside them; its internal topics go. Output topics and dead letters stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use kafka_protocol::messages::ListTransactionsRequest;
use serde_json::{Value, json};

use super::internal;
use super::place::{Place, PlaceArgs};
use super::requests::{delete_topics, fence, forget_offsets, set_offsets};
use super::state::LocalState;
use super::target::Target;
use crate::cli::confirm::ConfirmArgs;
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failure::Failure;
use crate::cli::group::selection::Selection;
use crate::cli::group::{committed, listed};
use crate::cli::offsets::Ends;
use crate::cli::settings::ClusterArgs;
use crate::cli::topic::names;
use crate::cli::wire::{Client, OffsetAt, Spot, To, Topic, kafka_failure};

/// Make a streams application begin again: positions, internal topics, local state
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond streams reset --application-id words --dry-run       what would go, nothing done
  millpond streams reset --application-id words -y --state-dir /var/lib/words
  millpond streams reset --application-id words --data ./millpond-data -y
  millpond streams reset --application-id words --input-topics lines:0-3 --to-offset 1000
  millpond streams reset --application-id words --by-duration 90m
  millpond streams reset --application-id words --shift-by -100 -y

Every input goes back to its start unless told otherwise. With --input-topics the other inputs stay where they are, but the state is
built anew all the same. Dead letters and output topics are left alone.")]
pub(super) struct ResetArgs {
    /// The application
    #[arg(long, value_name = "ID")]
    application_id: String,

    /// Only these inputs move; without it all
    #[arg(long, value_name = "a,b:0-3")]
    input_topics: Vec<String>,

    /// The internal topics to delete, where their names are not the application's own
    #[arg(long, value_name = "a,b", value_delimiter = ',', hide_short_help = true)]
    internal_topics: Vec<String>,

    #[command(flatten)]
    place: PlaceArgs,

    /// A data directory no node serves now, instead of a cluster
    #[arg(long, value_name = "DIR", conflicts_with_all = ["brokers", "profile"])]
    data: Option<PathBuf>,

    /// Where its state is on this machine; with --data DIR it is DIR/state
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "streams_reset",
    tables: &[
        TableShape {
            name: "inputs",
            columns: &[
                Column("topic", Kind::Text, "what is read"),
                Column("partition", Kind::Count, "number"),
                Column("old_offset", Kind::Count, "next record to read before"),
                Column("new_offset", Kind::Count, "next record to read afterwards"),
            ],
        },
        TableShape {
            name: "deleted",
            columns: &[
                Column("kind", Kind::Text, "topic or directory"),
                Column("name", Kind::Text, "name or path"),
                Column("status", Kind::Text, "deleted, or would be deleted (--dry-run)"),
            ],
        },
    ],
};

/// All that a reset does.
struct Plan {
    application: String,
    /// Old and new positions of inputs.
    inputs: BTreeMap<(String, i32), (Option<i64>, i64)>,
    /// Positions that go with their topics.
    forgotten: Vec<(String, i32)>,
    internal: Vec<String>,
    transactional_ids: Vec<String>,
    state: Option<LocalState>,
}

pub(super) async fn run(args: ResetArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let selection = Selection::parse(&args.input_topics)?;
    let mut target = Target::open(&args.cluster, args.data.as_deref()).await?;
    let done = reset(&args, &selection, &mut target.client, out).await;
    // A data directory is closed in an orderly way whatever came out.
    target.close().await?;
    done
}

async fn reset(
    args: &ResetArgs,
    selection: &Selection,
    client: &mut Client,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let plan = plan(args, selection, client).await?;
    let shown = plan.document("would be deleted");
    let what = format!("reset application {}", plan.application);
    if !args.confirm.confirm(&what, &shown, &args.output, out)? {
        return Ok(());
    }
    let done = plan.document("deleted");
    plan.carry_out(client).await?;
    done.write(&args.output, false, out)
}

async fn plan(args: &ResetArgs, selection: &Selection, client: &mut Client) -> anyhow::Result<Plan> {
    let application = args.application_id.clone();
    let place = args.place.place(client.now_ms())?;
    let groups = listed(client).await?;
    let own = groups.iter().find(|group| group.name == application);
    if let Some(group) = own.filter(|group| !matches!(group.state.as_str(), "Empty" | "Dead" | "")) {
        return Err(running(&application, &format!("its group is {}", group.state)).into());
    }
    let transactional_ids = transactional_ids(client, &application).await?;
    if let Some((id, _)) = transactional_ids.iter().find(|(_, state)| state == "Ongoing") {
        return Err(running(&application, &format!("its transaction {id} is open")).into());
    }
    let default_state = args.data.as_ref().map(|data| data.join("state"));
    let state = match args.state_dir.as_ref().or(default_state.as_ref()) {
        Some(dir) => LocalState::take(dir, &application)?,
        None => None,
    };
    let topics = client.topics(None).await?;
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let ids: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let internal = match args.internal_topics.as_slice() {
        [] => internal::topics(&application, &names, &ids),
        named => {
            for name in named {
                names::the_topic(client, name).await?;
            }
            named.to_vec()
        }
    };
    let old = match own {
        Some(_) => committed(client, &application)
            .await?
            .map_err(|code| kafka_failure(&format!("group {application}"), code, None))?,
        None => BTreeMap::new(),
    };
    if own.is_none() && internal.is_empty() && state.is_none() && transactional_ids.is_empty() {
        return Err(
            Failure::failed(format!("there is nothing of an application {application}"))
                .hint("its id is the name of its group: see `millpond group list`")
                .into(),
        );
    }
    let old: BTreeMap<(String, i32), i64> = old
        .into_iter()
        .map(|(key, commit)| (key, commit.offset))
        .collect();
    let forgotten = old
        .keys()
        .filter(|(topic, _)| internal.contains(topic) || !names.contains(topic));
    let forgotten: Vec<(String, i32)> = forgotten.cloned().collect();
    let inputs = inputs(client, &topics, selection, &place, &old, &forgotten).await?;
    Ok(Plan {
        application,
        inputs,
        forgotten,
        internal,
        transactional_ids: transactional_ids.into_iter().map(|(id, _)| id).collect(),
        state,
    })
}

fn running(application: &str, how: &str) -> Failure {
    Failure::failed(format!("application {application} is running: {how}"))
        .hint("stop it first; what it did since would be mixed with what it does anew")
}

/// The transactional ids of the application and their states.
async fn transactional_ids(client: &mut Client, application: &str) -> anyhow::Result<Vec<(String, String)>> {
    let nodes: Vec<i32> = client.nodes.keys().copied().collect();
    let mut ids = Vec::new();
    for node in nodes {
        let answer = client
            .ask(
                To::Node(node),
                |_| ListTransactionsRequest::default().with_duration_filter(-1),
                |answer| answer.error_code,
            )
            .await?;
        if answer.error_code != 0 {
            return Err(
                kafka_failure(&format!("transactions of broker {node}"), answer.error_code, None).into(),
            );
        }
        let states = answer.transaction_states.into_iter();
        let states = states.map(|state| {
            (
                state.transactional_id.0.to_string(),
                state.transaction_state.to_string(),
            )
        });
        ids.extend(states.filter(|(id, _)| internal::is_transactional_id(application, id)));
    }
    ids.sort();
    Ok(ids)
}

/// Where every input goes on: those that are chosen at `place`, the others where they are.
async fn inputs(
    client: &mut Client,
    topics: &[Topic],
    selection: &Selection,
    place: &Place,
    old: &BTreeMap<(String, i32), i64>,
    forgotten: &[(String, i32)],
) -> anyhow::Result<BTreeMap<(String, i32), (Option<i64>, i64)>> {
    let known: BTreeSet<(String, i32)> = old
        .keys()
        .filter(|key| !forgotten.contains(key))
        .cloned()
        .collect();
    for name in selection.topics().chain(place.topics()) {
        if !topics.iter().any(|topic| topic.name == name) {
            return Err(names::missing(client, name, 3).await?.into());
        }
    }
    let moves = |topic: &str, partition: i32| {
        let key = (topic.to_owned(), partition);
        let is_chosen = match selection.is_all() {
            // A file names what it means itself.
            true => known.contains(&key) || place.topics().any(|named| named == topic),
            false => selection.contains(topic, partition),
        };
        is_chosen && place.moves(&key, old.get(&key).copied())
    };
    let starts = client.offsets(topics, OffsetAt::Start, moves).await?;
    let ends = client.offsets(topics, OffsetAt::End, moves).await?;
    let at_time: BTreeMap<(String, i32), Spot> = match place.time() {
        Some(time) => client.offsets(topics, OffsetAt::Time(time), moves).await?,
        None => BTreeMap::new(),
    };
    let mut inputs = BTreeMap::new();
    for (key, end) in ends {
        let start = starts.get(&key).and_then(|spot| spot.offset);
        let (Some(start), Some(end)) = (start, end.offset) else {
            return Err(kafka_failure(&format!("{}-{}", key.0, key.1), end.error, None).into());
        };
        let before = old.get(&key).copied();
        let at_time = at_time.get(&key).and_then(|spot| spot.offset);
        let new = place.resolve(&key, Ends { start, end }, before, at_time);
        inputs.insert(key, (before, new));
    }
    for key in known {
        let offset = old[&key];
        inputs.entry(key).or_insert((Some(offset), offset));
    }
    Ok(inputs)
}

impl Plan {
    fn document(&self, status: &str) -> Document {
        let mut document = Document::new(&SHAPE);
        for ((topic, partition), (old, new)) in &self.inputs {
            document.push(vec![json!(topic), json!(partition), json!(old), json!(new)]);
        }
        let mut gone = |kind: &str, name: Value| document.push_to(1, vec![json!(kind), name, json!(status)]);
        for topic in &self.internal {
            gone("topic", json!(topic));
        }
        if let Some(state) = &self.state {
            gone("directory", json!(state.path().display().to_string()));
        }
        document
    }

    async fn carry_out(self, client: &mut Client) -> anyhow::Result<()> {
        for id in &self.transactional_ids {
            fence(client, id).await?;
        }
        if let Some(state) = self.state {
            state.delete()?;
        }
        if !self.inputs.is_empty() {
            set_offsets(client, &self.application, &self.inputs).await?;
        }
        if !self.forgotten.is_empty() {
            forget_offsets(client, &self.application, &self.forgotten).await?;
        }
        if !self.internal.is_empty() {
            delete_topics(client, &self.internal).await?;
        }
        Ok(())
    }
}
