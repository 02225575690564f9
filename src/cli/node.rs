//! The embedded node of a command: a broker on a data directory, with settings from the command line.
//!
//! What is always true: `DIR/log` holds the log and `DIR/state` the state of streams and SQL; one process at a time
//! holds the directory. Where to look next: `millpond_log::config` for the settings `-X` takes.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use millpond::log::broker::{Broker, BrokerOptions};
use millpond::log::config::BrokerConfig;

use super::failure::Failure;
use super::log::LOG_FOLDER;

/// Flags of every command that starts a node.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Override a broker setting by its Kafka name, e.g. -X log.segment.bytes=1048576
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

/// Where the state of a data directory lies.
pub(crate) fn state_dir(data: &Path) -> PathBuf {
    data.join("state")
}

/// Starts the node of a data directory; a crash before is recovered from here.
pub(crate) async fn start(data: &Path, args: &NodeArgs) -> anyhow::Result<Broker> {
    let mut config = BrokerConfig::default();
    for setting in &args.settings {
        let (key, value) = setting.split_once('=').ok_or_else(|| {
            Failure::usage(format!("-X {setting}: not of the form KEY=VALUE"))
                .hint("for example -X log.segment.bytes=1048576")
        })?;
        config
            .set(key.trim(), value.trim())
            .map_err(|error| Failure::usage(format!("-X {setting}: {error}")))?;
    }
    Broker::start(BrokerOptions::at(data.join(LOG_FOLDER)).with_config(config))
        .await
        .with_context(|| format!("cannot open the data directory {}", data.display()))
}
