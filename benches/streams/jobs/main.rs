//! The program `compare.py` runs beside Kafka Streams: five jobs and a restart, on a log in this process or on a cluster.
//!
//! ```text
//! jobs start  --kafka HOST:PORT --data DIR                                     a broker, as `millpond start`
//! jobs fill   JOB PLACE --records N --keys K --base-ms T                       makes the job's topics and fills its input
//! jobs run    JOB PLACE --records N --warm W --state DIR                       runs it; tells on stdout how far it has committed
//! jobs digest JOB PLACE                                                        counts and hashes what it wrote
//! ```
//! PLACE is `--embedded DIR` or `--connect HOST:PORT`. The same bytes come out of `fill` wherever they go, and `digest` reads what any program wrote there:
//! Kafka Streams runs on the input of this program and is judged by it.
//!
//! What is always true: JOB means the same here and in `java/`. Begin with `job.rs`.

mod arguments;
mod broker;
mod digest;
mod fill;
mod inputs;
mod job;
mod place;
mod run;

use std::process::ExitCode;

use arguments::{Arguments, Outcome};

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jobs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Outcome {
    // `cargo bench` adds a word of its own.
    let words = std::env::args().skip(1).filter(|word| word != "--bench");
    let Some(arguments) = Arguments::parse(words)? else {
        println!("nothing is measured by this program alone: `make bench-streams` runs it");
        return Ok(());
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match arguments.command() {
            "start" => broker::start(&arguments).await,
            "fill" => fill::fill(&arguments).await,
            "run" => run::run(&arguments).await,
            "digest" => digest::digest(&arguments).await,
            other => Err(format!("there is no command {other:?}").into()),
        }
    })
}
