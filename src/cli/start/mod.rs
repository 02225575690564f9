//! `millpond start`: a node that serves Kafka clients until it is told to stop.
//!
//! What is always true: people see the start-up block, programs (stdout is no terminal) exactly one line, `ready kafka=HOST:PORT`, once it serves;
//! TERM or Ctrl-C lets requests finish, a second one ends the process at once; what was acknowledged is durable either way.
//! Where to look next: `settings.rs` for where settings come from, `banner.rs` for what is printed, `millpond_log::server` for the server.

mod banner;
mod settings;
mod signals;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use futures::future::{Either, select};
use millpond::log::broker::{Broker, BrokerOptions};
use millpond::log::clock::SystemClock;
use millpond::log::http::HttpServer;
use millpond::log::metrics::NodeMetrics;
use millpond::log::server::{Server, ServerOptions};

use super::failure::Failure;
use super::log::LOG_FOLDER;
use banner::Banner;

/// Start a node: a Kafka broker on a data directory
///
/// No settings are needed. Flags win over MILLPOND_* variables, variables over the file of --config.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond start                                   Kafka on 127.0.0.1:9092, data in ./millpond-data
  millpond start --data /var/lib/millpond --kafka 0.0.0.0:9092 --advertised broker-1:9092
  millpond start --kafka 127.0.0.1:0 | head -1     any free port: prints `ready kafka=127.0.0.1:PORT`
  millpond start --config millpond.toml -X log.retention.ms=86400000

The file holds Kafka's names, as they are or as TOML tables:
  data = \"/var/lib/millpond\"
  kafka = \"0.0.0.0:9092\"
  num.partitions = 8
  log.retention.ms = 86400000")]
pub(crate) struct StartArgs {
    /// Settings file (TOML); an unknown key is an error
    #[arg(long, value_name = "FILE", env = "MILLPOND_CONFIG")]
    config: Option<PathBuf>,
    /// Where the data lives; made if missing [default: ./millpond-data]
    #[arg(long, value_name = "DIR", env = "MILLPOND_DATA")]
    data: Option<PathBuf>,
    /// Where Kafka clients connect; port 0 takes a free one [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT", env = "MILLPOND_KAFKA")]
    kafka: Option<String>,
    /// What clients are told to connect to [default: the address each came in on]
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "MILLPOND_ADVERTISED",
        visible_alias = "advertised-listeners"
    )]
    advertised: Option<String>,
    /// Where /metrics, /healthz and /readyz are served; port 0 takes a free one [default: not at all]
    #[arg(long, value_name = "HOST:PORT", env = "MILLPOND_HTTP")]
    http: Option<String>,
    /// Override a broker setting by its Kafka name, e.g. -X log.segment.bytes=1048576
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Check settings and exit
    #[arg(long)]
    check: bool,
}

/// Runs the node until a signal.
pub(crate) async fn run(args: StartArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let settings = settings::resolve(&args)?;
    if args.check {
        writeln!(out, "settings are valid")?;
        return Ok(());
    }
    let clock = SystemClock::shared();
    let began = clock.monotonic();
    let is_new = !settings.data.join(LOG_FOLDER).exists();
    let signals = signals::Signals::install()?;
    let options = BrokerOptions::at(settings.data.join(LOG_FOLDER)).with_config(settings.broker.clone());
    let broker = Broker::start(options)
        .await
        .with_context(|| format!("cannot open the data directory {}", settings.data.display()))?;
    let server = match Server::start(broker.clone(), settings.server.clone()).await {
        Ok(server) => server,
        Err(refused) => {
            broker.shutdown().await?;
            return Err(address_taken("--kafka", refused.address, &refused.cause));
        }
    };
    let http = match settings.http {
        Some(address) => match HttpServer::start(&broker, metrics_of(&server), address).await {
            Ok(http) => Some(http),
            Err(refused) => {
                server.shutdown().await;
                broker.shutdown().await?;
                return Err(address_taken("--http", refused.address, &refused.cause));
            }
        },
        None => None,
    };
    warn_if_open(server.local_addr());
    Banner {
        data: &settings.data,
        is_new,
        durability: settings.broker.topic_defaults.log.durability,
        node_id: broker.node_id(),
        kafka: server.local_addr(),
        http: http.as_ref().map(HttpServer::local_addr),
        took: clock.monotonic() - began,
    }
    .write(out)?;
    out.flush()?;
    signals.first().await;
    tracing::info!("stopping");
    if let Some(http) = &http {
        http.drain();
    }
    let stopped = stop(&server, &broker, signals).await;
    if let Some(http) = &http {
        http.stop();
    }
    stopped
}

/// What the node tells of itself, and of the streams jobs in this process.
#[cfg_attr(not(feature = "streams"), allow(unused_mut, reason = "nothing is added"))]
fn metrics_of(server: &Server) -> NodeMetrics {
    let mut metrics = server.metrics();
    #[cfg(feature = "streams")]
    metrics.register(Box::new(millpond::streams::metrics::StreamsCollector));
    metrics
}

/// Finishes requests and closes the log; a second signal cuts that short.
async fn stop(server: &Server, broker: &Broker, signals: signals::Signals) -> anyhow::Result<()> {
    let graceful = async {
        server.shutdown().await;
        broker.shutdown().await
    };
    let graceful = std::pin::pin!(graceful);
    let again = std::pin::pin!(signals.first());
    match select(graceful, again).await {
        Either::Left((stopped, _)) => Ok(stopped?),
        Either::Right(_) => Err(Failure::failed("stopped at once by a second signal").into()),
    }
}

fn address_taken(flag: &str, address: SocketAddr, cause: &std::io::Error) -> anyhow::Error {
    let failure = Failure::failed(format!("cannot listen on {address}: {cause}"));
    let hint = match cause.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "another process has port {}; choose another with {flag} {}:PORT (0 takes a free one)",
                address.port(),
                address.ip()
            )
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; 0.0.0.0 stands for all it has".to_owned()
        }
        _ => format!("choose another address with {flag} HOST:PORT"),
    };
    failure.hint(hint).into()
}

/// There is no authentication yet: whoever reaches the port may read, write and delete everything.
fn warn_if_open(address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "the kafka listener is reachable from other machines and has no authentication: whoever connects may read, write and delete everything"
        );
    }
}

/// The options of the server among the settings.
fn server_options(kafka: SocketAddr, advertised: Option<(String, u16)>) -> ServerOptions {
    ServerOptions {
        advertised,
        ..ServerOptions::on(kafka)
    }
}
