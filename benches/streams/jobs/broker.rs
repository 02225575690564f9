//! A broker process: what `millpond start` runs, without the rest of that program, so that nothing else has to be built.

use std::path::PathBuf;

use millpond_log::broker::{Broker, BrokerOptions};
use millpond_log::server::{Server, ServerOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Arguments, Outcome};

/// Serves until TERM; prints `ready kafka=HOST:PORT` when it does.
pub(crate) async fn start(arguments: &Arguments) -> Outcome {
    let mut stop = signal(SignalKind::terminate())?;
    let data: PathBuf = arguments.needed("data")?;
    let broker = Broker::start(BrokerOptions::at(data)).await?;
    let server = Server::start(broker.clone(), ServerOptions::on(arguments.needed("kafka")?)).await?;
    println!("ready kafka={}", server.local_addr());
    stop.recv().await;
    server.shutdown().await;
    Ok(broker.shutdown().await?)
}
