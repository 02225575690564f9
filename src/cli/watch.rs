//! `--watch`: the same answer again and again.
//!
//! What is always true: on a terminal each answer replaces the one before; elsewhere they follow each other, JSON one a line. A cluster that cannot be
//! reached for a while does not end it: the next round connects again.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use millpond::log::clock::SystemClock;

use super::document::{Document, DocumentFormat, OutputArgs};
use super::settings::{ClusterArgs, Settings, warn};
use super::wire::Client;

/// Flags of verbs that can watch.
#[derive(Clone, Copy, Debug, Args)]
#[group(skip)]
pub(crate) struct WatchArgs {
    /// Show it again every 2 seconds, or every N
    #[arg(short = 'w', long, value_name = "N", num_args = 0..=1, default_missing_value = "2", require_equals = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) watch: Option<u32>,
}

/// Shows what `look` finds, once or until `enough` says so or Ctrl-C comes.
pub(crate) async fn show<F>(
    cluster: &ClusterArgs,
    watch: WatchArgs,
    output: &OutputArgs,
    out: &mut dyn Write,
    mut look: impl FnMut(Client) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = (Client, anyhow::Result<Look>)>,
{
    let Some(seconds) = watch.watch else {
        let client = Client::connect(cluster).await?;
        let (_, look) = look(client).await;
        let look = look?;
        look.document.write(output, false, out)?;
        return look.outcome;
    };
    let clock = SystemClock::shared();
    let mut connected = None;
    // Wrong settings end it; a cluster that is away for now does not.
    let settings = Settings::resolve(cluster)?;
    loop {
        let found = match connected.take() {
            Some(client) => Ok(client),
            None => Client::with(settings.clone()).await,
        };
        let found = match found {
            Ok(client) => {
                let (client, found) = look(client).await;
                // After a failure the next round begins with new connections: the old ones may all be dead.
                connected = found.is_ok().then_some(client);
                found
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => {
                if output.format == DocumentFormat::Text && std::io::stdout().is_terminal() {
                    out.write_all(b"\x1b[H\x1b[2J")?;
                }
                found.document.write(output, true, out)?;
                if found.enough {
                    return found.outcome;
                }
                if let Err(error) = found.outcome {
                    warn(&error.to_string());
                }
            }
            Err(error) => warn(&error.to_string()),
        }
        clock.sleep(Duration::from_secs(seconds.into())).await;
    }
}

/// What a round found.
pub(crate) struct Look {
    pub(crate) document: Document,
    /// Whether watching ends here.
    pub(crate) enough: bool,
    /// How the command ends if it ends here.
    pub(crate) outcome: anyhow::Result<()>,
}
