//! Where an application is: on a cluster, or in a data directory that no node serves now.
//!
//! What is always true: a data directory is served to this command alone, on a free port of this machine, for as long as it runs; one that another node
//! serves is refused by the lock on it. So every step is the same request to a broker either way.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use millpond::log::broker::{Broker, BrokerOptions};
use millpond::log::server::{Server, ServerOptions};

use crate::cli::failure::Failure;
use crate::cli::log::LOG_FOLDER;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::Client;

/// A client, and the node behind it when that is ours.
pub(super) struct Target {
    pub(super) client: Client,
    node: Option<(Server, Broker)>,
}

impl Target {
    /// Connects to the cluster, or opens the data directory.
    pub(super) async fn open(cluster: &ClusterArgs, data: Option<&Path>) -> anyhow::Result<Target> {
        let Some(data) = data else {
            return Ok(Target {
                client: Client::connect(cluster).await?,
                node: None,
            });
        };
        let log = data.join(LOG_FOLDER);
        if !log.is_dir() {
            let place = data.display();
            return Err(Failure::failed(format!(
                "{place} is no data directory of millpond: it has no {LOG_FOLDER}"
            ))
            .into());
        }
        let broker = Broker::start(BrokerOptions::at(log))
            .await
            .with_context(|| format!("cannot open the data directory {}", data.display()))?;
        let server = Server::start(
            broker.clone(),
            ServerOptions::on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        )
        .await;
        let server = match server {
            Ok(server) => server,
            Err(refused) => {
                broker.shutdown().await?;
                return Err(anyhow::Error::new(refused.cause)
                    .context("cannot serve the data directory to this command"));
            }
        };
        let ours = ClusterArgs {
            brokers: Some(server.local_addr().to_string()),
            profile: None,
            overrides: Vec::new(),
            properties: None,
        };
        let client = Client::connect(&ours).await?;
        Ok(Target {
            client,
            node: Some((server, broker)),
        })
    }

    /// Closes a data directory in an orderly way.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        drop(self.client);
        if let Some((server, broker)) = self.node {
            server.shutdown().await;
            broker.shutdown().await?;
        }
        Ok(())
    }
}
