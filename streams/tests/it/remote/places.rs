//! Where a job can run: on a log in this process, on a broker served on loopback (by either protocol of transactions), on a cluster from outside.

use std::sync::Arc;

use millpond_log::broker::{Broker, BrokerOptions, FeatureUpdate};
use millpond_log::clock::SystemClock;
use millpond_log::metadata::features::{FeatureUpgrade, TRANSACTION_VERSION};
use millpond_log::server::{Server, ServerOptions};
use millpond_streams::runtime::{EmbeddedLog, LogClient, RemoteLog, RemoteOptions, Streams, StreamsLauncher};
use millpond_streams::topology::Topology;

use crate::support::topic;

/// Names a cluster to test against.
const CLUSTER: &str = "MILLPOND_TEST_KAFKA";

/// A log with a name, and everything that keeps it alive.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) log: Arc<dyn LogClient>,
    /// Before the names of topics, groups and transactional ids, so that runs against a cluster do not meet.
    pub(crate) prefix: String,
    broker: Option<Broker>,
    address: Option<String>,
    _server: Option<Server>,
    dir: tempfile::TempDir,
}

impl Place {
    /// Every place there is.
    pub(crate) async fn all() -> Vec<Place> {
        let mut places = vec![
            Place::embedded().await,
            Place::served().await,
            Place::served_old().await,
        ];
        places.extend(Place::outside());
        places
    }

    /// Those behind a socket.
    pub(crate) async fn remote() -> Vec<Place> {
        let mut places = vec![Place::served().await, Place::served_old().await];
        places.extend(Place::outside());
        places
    }

    pub(crate) async fn embedded() -> Place {
        let (broker, dir) = start_broker().await;
        Place {
            name: "embedded",
            log: Arc::new(EmbeddedLog::new(broker.clone())),
            prefix: String::new(),
            broker: Some(broker),
            address: None,
            _server: None,
            dir,
        }
    }

    pub(crate) async fn served() -> Place {
        let (broker, dir) = start_broker().await;
        Place::serve("served", broker, dir).await
    }

    /// Transactions by the older protocol.
    async fn served_old() -> Place {
        let (broker, dir) = start_broker().await;
        let older = FeatureUpdate {
            name: TRANSACTION_VERSION.to_owned(),
            level: 0,
            upgrade: FeatureUpgrade::UnsafeDowngrade,
        };
        broker
            .update_features(vec![older], false)
            .await
            .expect("the feature can be switched off");
        Place::serve("served, older transactions", broker, dir).await
    }

    async fn serve(name: &'static str, broker: Broker, dir: tempfile::TempDir) -> Place {
        let any = "127.0.0.1:0".parse().expect("an address");
        let server = Server::start(broker.clone(), ServerOptions::on(any))
            .await
            .expect("the server starts");
        let address = server.local_addr().to_string();
        Place {
            name,
            log: connect(&address),
            prefix: String::new(),
            broker: Some(broker),
            address: Some(address),
            _server: Some(server),
            dir,
        }
    }

    fn outside() -> Option<Place> {
        let address = std::env::var(CLUSTER).ok()?;
        Some(Place {
            name: "cluster",
            log: connect(&address),
            prefix: format!("millpond-{}-", SystemClock::shared().now_ms()),
            broker: None,
            address: Some(address),
            _server: None,
            dir: tempfile::tempdir().expect("a temporary directory"),
        })
    }

    /// A topic, a group or an id of this run's own.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// An application of this place, its state below `state` in the place's directory.
    pub(crate) fn launcher(&self, topology: Topology, application: &str) -> StreamsLauncher {
        let launcher = Streams::builder(topology)
            .application_id(self.named(application))
            .state_dir(self.dir.path().join("state"));
        match (&self.address, &self.broker) {
            (Some(address), _) => launcher.connect(address.clone()),
            (None, Some(broker)) => launcher.embedded(broker),
            (None, None) => unreachable!("a place has an address or a broker"),
        }
    }

    /// Another client of the same log, which remembers nothing of the first one.
    pub(crate) fn stranger(&self) -> Arc<dyn LogClient> {
        match &self.address {
            Some(address) => connect(address),
            None => self.log.clone(),
        }
    }

    pub(crate) async fn create(&self, name: &str, partitions: i32) {
        super::log_io::create(&*self.log, topic(&self.named(name)), partitions).await;
    }
}

fn connect(address: &str) -> Arc<dyn LogClient> {
    Arc::new(RemoteLog::new(RemoteOptions::new(address)).expect("a client"))
}

async fn start_broker() -> (Broker, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let broker = Broker::start(BrokerOptions::at(dir.path().join("log")))
        .await
        .expect("the broker starts");
    (broker, dir)
}
