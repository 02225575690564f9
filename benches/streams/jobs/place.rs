//! Where a job runs: on a log in this process, or on a cluster behind an address.

use std::path::PathBuf;
use std::sync::Arc;

use millpond_log::broker::{Broker, BrokerOptions};
use millpond_streams::runtime::{EmbeddedLog, LogClient, RemoteLog, RemoteOptions, Streams, StreamsLauncher};
use millpond_streams::topology::Topology;

use crate::arguments::{Arguments, Outcome};

pub(crate) enum Place {
    Embedded(Broker),
    Cluster(String),
}

impl Place {
    /// `--embedded DIR` or `--connect HOST:PORT`.
    pub(crate) async fn open(arguments: &Arguments) -> Outcome<Place> {
        if let Some(address) = arguments.text("connect") {
            return Ok(Place::Cluster(address.to_owned()));
        }
        let data: PathBuf = arguments.needed("embedded")?;
        Ok(Place::Embedded(Broker::start(BrokerOptions::at(data)).await?))
    }

    pub(crate) fn log(&self) -> Outcome<Arc<dyn LogClient>> {
        Ok(match self {
            Place::Embedded(broker) => Arc::new(EmbeddedLog::new(broker.clone())),
            Place::Cluster(address) => Arc::new(RemoteLog::new(RemoteOptions::new(address))?),
        })
    }

    pub(crate) fn launcher(&self, topology: Topology) -> StreamsLauncher {
        let launcher = Streams::builder(topology);
        match self {
            Place::Embedded(broker) => launcher.embedded(broker),
            Place::Cluster(address) => launcher.connect(address),
        }
    }

    pub(crate) async fn close(self) -> Outcome {
        if let Place::Embedded(broker) = self {
            broker.shutdown().await?;
        }
        Ok(())
    }
}
