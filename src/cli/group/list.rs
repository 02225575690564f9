//! `millpond group list`.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::{GroupNames, listed};
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::Client;

/// List groups
#[derive(Debug, Args)]
#[command(
    visible_alias = "ls",
    after_long_help = "Examples:
  millpond group list
  millpond group list -r 'pay.*' --state empty
  millpond group list --type consumer --format json"
)]
pub(super) struct ListArgs {
    #[command(flatten)]
    names: GroupNames,

    /// Only groups in these states
    #[arg(long, value_name = "STATE,…", value_delimiter = ',')]
    state: Vec<String>,

    /// Only groups of these types: classic, consumer
    #[arg(long = "type", value_name = "TYPE,…", value_delimiter = ',')]
    kind: Vec<String>,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "group_list",
    tables: &[TableShape {
        name: "groups",
        columns: &[
            Column("group", Kind::Text, "name"),
            Column("type", Kind::Text, "classic or consumer"),
            Column("state", Kind::Text, "Stable, Empty, PreparingRebalance …"),
            Column("protocol_type", Kind::Text, "consumer, connect …"),
            Column("coordinator", Kind::Count, "broker that keeps it"),
        ],
    }],
};

pub(super) async fn run(args: ListArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let regex = args.names.regex()?;
    let mut document = Document::new(&SHAPE);
    for group in listed(&mut client).await? {
        let named = args.names.is_empty()
            || args.names.names.contains(&group.name)
            || regex.as_ref().is_some_and(|regex| regex.is_match(&group.name));
        let fits = |wanted: &[String], value: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        if named && fits(&args.state, &group.state) && fits(&args.kind, &group.kind) {
            document.push(vec![
                json!(group.name),
                json!(group.kind),
                json!(group.state),
                json!(group.protocol_type),
                json!(group.coordinator),
            ]);
        }
    }
    document.write(&args.output, false, out)
}
