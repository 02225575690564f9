//! `millpond config describe|set|unset`.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CHANGE_TABLES, Change, Resource, change, describe};
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::failure::Failure;
use crate::cli::settings::ClusterArgs;
use crate::cli::topic::names::the_topic;
use crate::cli::verbs::Flags;
use crate::cli::wire::Client;

/// Show and change settings of topics, brokers, groups and client metrics
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond config describe topic orders                  what differs from the default
  millpond config describe broker 1 --all --docs
  millpond config set topic orders retention.ms=86400000
  millpond config set broker '' log.cleaner.threads=2     all brokers
  millpond config set group payments consumer.session.timeout.ms=60000
  millpond config unset topic orders retention.ms")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show values, defaults and where a value comes from
    #[command(after_long_help = "Examples:
  millpond config describe topic orders
  millpond config describe topic orders retention.ms cleanup.policy
  millpond config describe broker 1 --all --docs --format json")]
    Describe(DescribeArgs),
    /// Set values
    #[command(after_long_help = "Examples:
  millpond config set topic orders retention.ms=86400000
  millpond config set topic orders cleanup.policy+=compact
  millpond config set broker '' log.cleaner.threads=2 --dry-run")]
    Set(SetArgs),
    /// Go back to the default
    #[command(after_long_help = "Examples:
  millpond config unset topic orders retention.ms")]
    Unset(UnsetArgs),
}

#[derive(Debug, Args)]
struct DescribeArgs {
    /// What has the settings
    #[arg(value_enum)]
    resource: Resource,
    /// Its name, or the id of a broker
    name: String,
    /// Only these settings
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// Also what has its default
    #[arg(short = 'a', long)]
    all: bool,
    /// Also what each setting means
    #[arg(long)]
    docs: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// What has the settings
    #[arg(value_enum)]
    resource: Resource,
    /// Its name, or the id of a broker; '' is the default of all brokers
    name: String,
    /// What to set; += adds to a list, -= takes away
    #[arg(required = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Only let the broker check whether it could
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct UnsetArgs {
    /// What has the settings
    #[arg(value_enum)]
    resource: Resource,
    /// Its name, or the id of a broker; '' is the default of all brokers
    name: String,
    /// Which settings
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Only let the broker check whether it could
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

static DESCRIBE: Shape = Shape {
    kind: "config_describe",
    tables: &[TableShape {
        name: "configs",
        columns: &[
            Column("config", Kind::Text, "the setting"),
            Column("value", Kind::Text, "what applies"),
            Column("default", Kind::Text, "what would apply without"),
            Column(
                "origin",
                Kind::Text,
                "topic, broker, all brokers, broker file, group, default",
            ),
            Column(
                "read_only",
                Kind::Flag,
                "whether it cannot be changed while the broker runs",
            ),
            Column("about", Kind::Text, "what it means (--docs)"),
        ],
    }],
};
static SET: Shape = Shape {
    kind: "config_set",
    tables: CHANGE_TABLES,
};
static UNSET: Shape = Shape {
    kind: "config_unset",
    tables: CHANGE_TABLES,
};

impl ConfigArgs {
    /// What the verb is told about cluster and output.
    pub(crate) fn flags(&self) -> Flags<'_> {
        match &self.command {
            ConfigCommand::Describe(args) => Flags::new(&args.cluster, &args.output, &DESCRIBE),
            ConfigCommand::Set(args) => Flags::new(&args.cluster, &args.output, &SET),
            ConfigCommand::Unset(args) => Flags::new(&args.cluster, &args.output, &UNSET),
        }
    }
}

/// What the verbs print.
pub(crate) fn shapes() -> Vec<(&'static str, &'static Shape)> {
    vec![("describe", &DESCRIBE), ("set", &SET), ("unset", &UNSET)]
}

/// Runs the command.
pub(crate) async fn run(args: ConfigArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.command {
        ConfigCommand::Describe(args) => show(args, out).await,
        ConfigCommand::Set(args) => {
            let changes = args
                .settings
                .iter()
                .map(|setting| Change::parse(setting))
                .collect::<Result<Vec<_>, Failure>>()?;
            apply(
                args.resource,
                args.name,
                changes,
                args.dry_run,
                &SET,
                &args.cluster,
                &args.output,
                out,
            )
            .await
        }
        ConfigCommand::Unset(args) => {
            let changes = args.keys.iter().map(|key| Change::unset(key)).collect();
            apply(
                args.resource,
                args.name,
                changes,
                args.dry_run,
                &UNSET,
                &args.cluster,
                &args.output,
                out,
            )
            .await
        }
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "the parts of two argument structs that differ in one field"
)]
async fn apply(
    resource: Resource,
    name: String,
    changes: Vec<Change>,
    dry_run: bool,
    shape: &'static Shape,
    cluster: &ClusterArgs,
    output: &OutputArgs,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut client = Client::connect(cluster).await?;
    if resource == Resource::Topic {
        the_topic(&mut client, &name).await?;
    }
    let mut failed = Failed::default();
    let document = change(
        &mut client,
        shape,
        &[(resource, name)],
        &changes,
        dry_run,
        &mut failed,
    )
    .await?;
    document.write(output, false, out)?;
    failed.finish()
}

async fn show(args: DescribeArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    if args.resource == Resource::Topic {
        the_topic(&mut client, &args.name).await?;
    }
    let entries = describe(&mut client, args.resource, &args.name, args.docs).await?;
    let mut failed = Failed::default();
    for key in &args.keys {
        if !entries.iter().any(|entry| entry.name == *key) {
            let near = super::near_miss(key, entries.iter().map(|entry| entry.name.as_str()));
            let failure = Failure::failed(format!("no setting {key}"));
            failed.push(match near {
                Some(near) => failure.hint(format!("did you mean {near}?")),
                None => failure.hint("--all shows what there is"),
            });
        }
    }
    let mut document = Document::new(&DESCRIBE);
    for entry in entries {
        let wanted = if args.keys.is_empty() {
            args.all || entry.origin != "default"
        } else {
            args.keys.contains(&entry.name)
        };
        if !wanted {
            continue;
        }
        let value = if entry.sensitive {
            json!("(hidden)")
        } else {
            json!(entry.value)
        };
        document.push(vec![
            json!(entry.name),
            value,
            json!(entry.default),
            json!(entry.origin),
            json!(entry.read_only),
            entry.about.map_or(Value::Null, Value::from),
        ]);
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}
