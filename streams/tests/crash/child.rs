//! What this program is as a child: a broker (`broker DIR PORT`), a job (`job ADDRESS STATE PLAN`), or both in one process with somebody who feeds them
//! (`embedded DIR PLAN`).
//!
//! Brokers and jobs are told what to do on stdin, a word a line, and end when it ends. Always true: a job that fails says why on stderr and ends with
//! [`FAILED`]. Kill points come with `MILLPOND_KILL_POINT`.

use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::broker::{Broker, BrokerOptions};
use millpond_log::clock::{Clock, SystemClock};
use millpond_log::faults::Faults;
use millpond_log::server::{Server, ServerOptions};
use millpond_streams::runtime::{
    EmbeddedLog, LogClient, Streams, StreamsHandle, StreamsLauncher, StreamsState,
};
use millpond_streams::state::RocksHosts;

use crate::job::feeder::Feeder;
use crate::job::topology::topology;
use crate::job::{Plan, create_topics};
use crate::process::FAILED;
use crate::settings::{
    APPLICATION, PATIENCE, STEADY, TAIL_CACHE_BYTES, block_on, config, replay_limit, rocks_budget,
};

pub(crate) fn run(args: &[String]) -> ExitCode {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["broker", dir, port] => block_on(broker(Path::new(dir), port)),
        ["job", address, state, plan] => block_on(job(address, Path::new(state), &read_plan(plan))),
        ["embedded", dir, plan] => block_on(embedded(Path::new(dir), read_plan(plan))),
        _ => Err(format!("no child is called {args:?}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(FAILED)
        }
    }
}

/// A plan as one argument.
pub(crate) fn show_plan(plan: &Plan) -> String {
    format!(
        "{},{},{},{},{}",
        plan.seed, plan.base_ms, plan.records, plan.grace_ms, plan.job
    )
}

fn read_plan(text: &str) -> Plan {
    let parts: Vec<&str> = text.split(',').collect();
    let numbers: Vec<i64> = parts.iter().filter_map(|number| number.parse().ok()).collect();
    let [seed, base_ms, records, grace_ms] = numbers[..] else {
        panic!("not a plan: {text}")
    };
    Plan {
        seed: seed.unsigned_abs(),
        base_ms,
        records: records.unsigned_abs(),
        grace_ms,
        job: if parts.last() == Some(&STEADY) { STEADY } else { "" },
    }
}

/// What is on stdin, line by line, without holding up the runtime; the channel ends with stdin.
fn orders() -> tokio::sync::mpsc::UnboundedReceiver<String> {
    let (give, take) = tokio::sync::mpsc::unbounded_channel();
    // A thread that nobody waits for: it sits in a read until the process ends.
    let reading = std::thread::Builder::new()
        .name("orders".to_owned())
        .spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if give.send(line).is_err() {
                    return;
                }
            }
        });
    reading.expect("a thread starts");
    take
}

async fn broker(dir: &Path, port: &str) -> Result<(), String> {
    let mut options = BrokerOptions::at(dir);
    options.config.storage.tail_cache_bytes = TAIL_CACHE_BYTES;
    let broker = Broker::start(options)
        .await
        .map_err(|error| format!("the broker does not start: {error}"))?;
    let advertised = port.parse::<u16>().map_err(|error| error.to_string())?;
    let options = ServerOptions {
        advertised: Some(("127.0.0.1".to_owned(), advertised)),
        ..ServerOptions::on("127.0.0.1:0".parse().expect("an address"))
    };
    let server = Server::start(broker.clone(), options)
        .await
        .map_err(|error| format!("nobody can listen: {error}"))?;
    println!("listening {}", server.local_addr());
    let mut orders = orders();
    while orders.recv().await.is_some_and(|order| order != "stop") {}
    server.shutdown().await;
    broker.shutdown().await.map_err(|error| error.to_string())
}

/// The job as every process runs it.
pub(crate) fn launcher(plan: &Plan, state: &Path) -> StreamsLauncher {
    Streams::builder(topology(plan))
        .application_id(plan.output(APPLICATION))
        .state_dir(state)
        .state_hosts(Arc::new(RocksHosts::new(rocks_budget())))
        .config(config())
}

async fn job(address: &str, state: &Path, plan: &Plan) -> Result<(), String> {
    let app = launcher(plan, state)
        .connect(address)
        .run()
        .await
        .map_err(|error| format!("the application does not start: {error}"))?;
    let mut orders = orders();
    let clock = SystemClock::new();
    let mut told = false;
    loop {
        if !told && app.state() == StreamsState::Running {
            told = true;
            tell_replayed(plan, &app);
        }
        if let StreamsState::Error(error) = app.state() {
            // The other workers go on, and must not be in RocksDB while the process takes it down.
            app.shutdown(PATIENCE).await.ok();
            return Err(format!("the application failed: {error}"));
        }
        let order = tokio::select! {
            order = orders.recv() => order,
            () = clock.sleep(Duration::from_millis(10)) => continue,
        };
        match order.as_deref() {
            Some("catch up") => {
                app.wait_until_caught_up()
                    .await
                    .map_err(|error| error.to_string())?;
                println!("caught up");
            }
            Some("stop") => return app.shutdown(PATIENCE).await.map_err(|error| error.to_string()),
            Some(other) => return Err(format!("no order is called {other:?}")),
            // Whoever started it is gone.
            None => return Ok(()),
        }
    }
}

fn tell_replayed(plan: &Plan, app: &StreamsHandle) {
    let limit = replay_limit(&topology(plan));
    println!("replayed {} {limit}", app.metrics().restored_bytes);
}

/// Broker, job and feeder until everything is fed, processed and closed.
async fn embedded(dir: &Path, plan: Plan) -> Result<(), String> {
    let broker = Broker::start(BrokerOptions {
        faults: Faults::from_env(),
        ..BrokerOptions::at(dir.join("log"))
    })
    .await
    .map_err(|error| format!("the broker does not start: {error}"))?;
    let log: Arc<dyn LogClient> = Arc::new(EmbeddedLog::new(broker.clone()));
    create_topics(&*log, &plan).await;
    let app = launcher(&plan, &dir.join("state"))
        .embedded(&broker)
        .run()
        .await
        .map_err(|error| format!("the application does not start: {error}"))?;
    let clock = broker.clock().clone();
    let mut feeder = Feeder::open(log, clock.clone(), plan).await?;
    let mut told = false;
    while feeder.written() < plan.records {
        feeder.feed(feeder.written() + 10).await?;
        if !told && app.state() == StreamsState::Running {
            told = true;
            tell_replayed(&plan, &app);
        }
        if let StreamsState::Error(error) = app.state() {
            return Err(format!("the application failed: {error}"));
        }
        clock.sleep(Duration::from_millis(3)).await;
    }
    feeder.finish().await?;
    app.wait_until_caught_up()
        .await
        .map_err(|error| error.to_string())?;
    if !told {
        tell_replayed(&plan, &app);
    }
    app.shutdown(PATIENCE).await.map_err(|error| error.to_string())?;
    broker.shutdown().await.map_err(|error| error.to_string())
}
