//! The demo's course: start the jobs, load, wait until both have seen everything, compare, report.
//!
//! What is always true: the jobs run *while* the flights are loaded, so a crash at any moment meets all of them at work.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use millpond::log::broker::Broker;
use millpond::streams::metrics::StreamsMetrics;
use millpond::streams::runtime::{Streams, StreamsConfig, StreamsHandle};
use millpond::streams::state::StateLimits;

use super::batch::BatchAnswers;
use super::flights::FlightsFile;
use super::job::{self, APPLICATION_ID, FLIGHTS_PARTITIONS};
use super::load::{Loaded, create_topics, load};
use super::report::{Check, Report};
use super::topics::ensure_topic;
use super::views::Views;
use super::{note, results};
use crate::cli::failure::Failure;
use crate::cli::node::state_dir;
use crate::cli::progress::Stopwatch;
use crate::cli::restore_bar;

/// Patience with the orderly end of a job: everything it has to do was done before.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// Stateful tasks of the view: the partitions of its stream.
const VIEW_TASKS: usize = FLIGHTS_PARTITIONS as usize;

/// What the demo works with.
pub(crate) struct Demo<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) file: &'a FlightsFile,
    pub(crate) data: &'a Path,
    pub(crate) state_lag_bytes: Option<usize>,
    pub(crate) commit_bytes: Option<usize>,
}

impl Demo<'_> {
    /// Runs it all and prints the report. Errs when a row differs.
    pub(crate) async fn run(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        create_topics(self.broker).await?;
        let watch = Stopwatch::start();
        let job = self.start_job().await?;
        let views = Views::open(self.broker, &state_dir(self.data), self.config()).await?;
        job.wait_until_running()
            .await
            .context("the DSL job does not start")?;
        self.tell_replayed("the DSL job", &job.metrics(), job::STATEFUL_TASKS);
        let outcome = self.run_on(&job, &views, watch, out).await;
        let stopped = job.shutdown(SHUTDOWN).await.context("cannot stop the DSL job");
        let closed = views.close().await;
        outcome.and(stopped).and(closed)
    }

    async fn run_on(
        &self,
        job: &StreamsHandle,
        views: &Views,
        watch: Stopwatch,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let loaded = load(self.broker, self.file).await?;
        let load_took = loaded.watch.elapsed();
        job.wait_until_caught_up().await.context("the DSL job failed")?;
        views.wait_until_caught_up().await?;
        self.tell_replayed("the view", &views.metrics().await, VIEW_TASKS);
        let all_took = watch.elapsed();
        let report = self.report(job, views, &loaded, load_took, all_took).await?;
        report.write(out)?;
        match report.differences() {
            0 => Ok(()),
            count => Err(Failure::failed(format!("{count} rows differ from the batch query")).into()),
        }
    }

    async fn start_job(&self) -> anyhow::Result<StreamsHandle> {
        for topic in [job::HOURLY_TOPIC, job::ROUTES_TOPIC, job::VERY_LATE_TOPIC] {
            ensure_topic(self.broker, topic, 1, &[]).await?;
        }
        let topology = job::topology().context("the demo's topology is wrong")?;
        Streams::builder(topology)
            .application_id(APPLICATION_ID)
            .embedded(self.broker)
            .state_dir(state_dir(self.data))
            .config(self.config())
            .on_restore(restore_bar::listener())
            .run()
            .await
            .context("cannot start the DSL job")
    }

    fn config(&self) -> StreamsConfig {
        let mut config = StreamsConfig::default();
        if let Some(bytes) = self.commit_bytes {
            // So many commits at least for so much input, however fast the machine is.
            config.run_bytes = bytes;
            config.uncommitted_bytes_max = bytes;
        }
        if let Some(lag) = self.state_lag_bytes {
            config.state = StateLimits {
                apply_bytes: lag,
                flush_bytes: 2 * lag,
                ..config.state
            };
        }
        config
    }

    /// What this start replayed, and the most it may have been: per task twice the configured lag, for a flush begins
    /// at the half of what it may become, and twice again, for a transaction may be larger than that.
    fn tell_replayed(&self, who: &str, metrics: &StreamsMetrics, stateful_tasks: usize) {
        let state = self.config().state;
        let limit = 2 * state.flush_bytes * stateful_tasks;
        note(&format!(
            "state: replayed {} bytes of changelog ({} records) for {who}, limit {limit}",
            metrics.restored_bytes, metrics.restored_records
        ));
    }

    async fn report(
        &self,
        job: &StreamsHandle,
        views: &Views,
        loaded: &Loaded,
        load_took: Duration,
        all_took: Duration,
    ) -> anyhow::Result<Report> {
        let comparing = Stopwatch::start();
        let batch = BatchAnswers::over(self.file).await?;
        let (hourly, hourly_rows) = results::hourly_departures(self.broker).await?;
        let (routes, route_rows) = results::busiest_routes(self.broker).await?;
        let very_late = results::very_late(self.broker).await?;
        let mut checks = vec![
            Check::new(
                "departures per origin and hour",
                "DSL",
                hourly,
                &batch.hourly_departures().await?,
            ),
            Check::new(
                "departures per route and day, every 6 h",
                "DSL",
                routes,
                &batch.busiest_routes().await?,
            ),
            Check::new(
                "flights two hours late, one by one",
                "DSL",
                very_late,
                &batch.very_late().await?,
            ),
        ];
        checks.push(Check::new(
            "departures_hourly",
            "SQL view",
            views.hourly_departures().await?,
            &batch.hourly_departures().await?,
        ));
        checks.push(Check::new(
            "carriers",
            "SQL query",
            views.carriers().await?,
            &batch.carriers().await?,
        ));
        Ok(Report {
            file: self.file.name.clone(),
            flights: self.file.records.len(),
            loaded_before: loaded.before,
            loaded_now: loaded.now,
            load_took,
            all_took,
            compare_took: comparing.elapsed(),
            job: job.metrics(),
            hourly: hourly_rows,
            routes: route_rows,
            shown: views.shown().await?,
            checks,
        })
    }
}
