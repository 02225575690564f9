//! `millpond cluster`: who is there, is it well, what lies on its disks.

mod health;
mod info;
mod logdirs;

use std::io::Write;

use clap::{Args, Subcommand};

use super::document::Shape;
use super::verbs::Flags;

/// Show brokers, health and disks of a cluster
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond cluster info
  millpond cluster health                          ends with 1 if something is wrong
  millpond cluster health --watch --until-healthy  in scripts, after a restart
  millpond cluster logdirs --topics orders")]
pub(crate) struct ClusterCommandArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    Info(info::InfoArgs),
    Health(health::HealthArgs),
    #[command(name = "logdirs", alias = "log-dirs")]
    LogDirs(logdirs::LogDirsArgs),
}

impl ClusterCommandArgs {
    /// What the verb is told about cluster and output.
    pub(super) fn flags(&self) -> Flags<'_> {
        match &self.command {
            ClusterCommand::Info(args) => Flags::new(&args.cluster, &args.output, &info::SHAPE),
            ClusterCommand::Health(args) => Flags::new(&args.cluster, &args.output, &health::SHAPE),
            ClusterCommand::LogDirs(args) => Flags::new(&args.cluster, &args.output, &logdirs::SHAPE),
        }
    }
}

/// What the verbs print.
pub(super) fn shapes() -> Vec<(&'static str, &'static Shape)> {
    vec![
        ("info", &info::SHAPE),
        ("health", &health::SHAPE),
        ("logdirs", &logdirs::SHAPE),
    ]
}

/// Runs the command.
pub(crate) async fn run(args: ClusterCommandArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.command {
        ClusterCommand::Info(args) => info::run(args, out).await,
        ClusterCommand::Health(args) => health::run(args, out).await,
        ClusterCommand::LogDirs(args) => logdirs::run(args, out).await,
    }
}
