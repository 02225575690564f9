//! The engine: a catalogue, a planner, and the jobs of all views, behind `execute`.
//!
//! Always true: statements that change the catalogue run one at a time, and write the catalogue's topic before anything else is made or
//! started; queries hold no lock while they run. One file per family of statements: `create.rs`, `drop.rs`, `insert.rs`, `query.rs`,
//! `show.rs`, `explain.rs`; `tables.rs` turns the catalogue into what a query may name.

mod create;
mod drop;
mod explain;
mod insert;
mod query;
mod show;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use millpond_log::broker::Broker;
use tokio::sync::Mutex;

use crate::SqlOptions;
use crate::catalog::{Catalog, CatalogRecord, CatalogTopic, Entry};
use crate::error::{Result, SqlError};
use crate::parser::{self, Statement, StatementKind};
use crate::planner::Planner;
use crate::result::StatementResult;
use crate::runtime::{JobSettings, ViewJob, ViewPlan};

/// Runs SQL over a broker. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct SqlEngine {
    inner: Arc<Inner>,
}

struct Inner {
    broker: Broker,
    jobs: JobSettings,
    planner: Planner,
    state: Mutex<State>,
}

/// What statements change.
struct State {
    topic: CatalogTopic,
    catalog: Catalog,
    jobs: BTreeMap<String, ViewJob>,
}

impl SqlEngine {
    /// Replays the catalogue and starts the jobs of all views where they stopped. Removals that a crash interrupted are finished.
    pub fn open(options: SqlOptions) -> BoxFuture<'static, Result<SqlEngine>> {
        async move {
            let SqlOptions {
                broker,
                state_dir,
                streams,
                state_hosts,
            } = options;
            let jobs = JobSettings {
                broker: broker.clone(),
                state_dir,
                streams,
                state_hosts,
            };
            let (topic, mut catalog) = CatalogTopic::open(&broker).await?;
            for view in catalog.dropping() {
                jobs.remove_remains(&view).await?;
                let gone = CatalogRecord::Dropped {
                    next_generation: view.generation + 1,
                    sequence: view.sequence,
                };
                topic.write(&mut catalog, &view.name, Some(gone)).await?;
            }
            let mut state = State {
                topic,
                catalog,
                jobs: BTreeMap::new(),
            };
            let planner = Planner::new();
            for entry in state.catalog.in_order() {
                if let Entry::MaterializedView(definition) = entry {
                    let query = parser::parse_query(&definition.query)?;
                    let tables = tables::tables(&broker, &planner, &state)?;
                    let plan = Arc::new(planner.stream_plan(&query, &tables)?);
                    let name = definition.name.clone();
                    let job = ViewJob::start(&jobs, ViewPlan::new(definition, plan)?).await?;
                    state.jobs.insert(name, job);
                }
            }
            let inner = Inner {
                broker,
                jobs,
                planner,
                state: Mutex::new(state),
            };
            Ok(SqlEngine {
                inner: Arc::new(inner),
            })
        }
        .boxed()
    }

    /// Runs the statements of a script in order; stops at the first that fails. The results of those before it are lost with the
    /// error, their effects are not.
    pub fn execute<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<Vec<StatementResult>>> {
        async move {
            let mut results = Vec::new();
            for statement in parser::parse(sql)? {
                results.push(self.run(&statement).await?);
            }
            Ok(results)
        }
        .boxed()
    }

    /// Waits until every view reflects all input that is in the topics now.
    pub fn wait_until_caught_up(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            // A view may read another's topic: in the order of creation each finds its input complete.
            let order = self.inner.state.lock().await.catalog.in_order();
            for entry in order {
                let Entry::MaterializedView(definition) = entry else {
                    continue;
                };
                let state = self.inner.state.lock().await;
                let Some(job) = state.jobs.get(&definition.name) else {
                    continue;
                };
                job.handle()
                    .wait_until_caught_up()
                    .await
                    .map_err(|e| SqlError::runtime(format!("waiting for view {}", definition.name), e))?;
            }
            Ok(())
        }
        .boxed()
    }

    /// Counters of every view's job, by view.
    pub fn metrics(&self) -> BoxFuture<'_, BTreeMap<String, millpond_streams::metrics::StreamsMetrics>> {
        async move {
            let state = self.inner.state.lock().await;
            state
                .jobs
                .iter()
                .map(|(name, job)| (name.clone(), job.handle().metrics()))
                .collect()
        }
        .boxed()
    }

    /// Stops all jobs, each after a last commit. The engine answers no more queries over views afterwards.
    pub fn shutdown(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            let jobs = std::mem::take(&mut self.inner.state.lock().await.jobs);
            let mut first = None;
            for job in jobs.into_values() {
                if let Err(e) = job.stop().await {
                    first.get_or_insert(e);
                }
            }
            first.map_or(Ok(()), Err)
        }
        .boxed()
    }

    async fn run(&self, statement: &Statement) -> Result<StatementResult> {
        let inner = &*self.inner;
        match &statement.kind {
            StatementKind::CreateStream(create) => create::stream(inner, statement, create).await,
            StatementKind::CreateMaterializedView(create) => {
                create::materialized_view(inner, statement, create).await
            }
            StatementKind::CreateView(create) => create::view(inner, statement, create).await,
            StatementKind::Drop(drop) => drop::run(inner, statement, drop).await,
            StatementKind::Show(kind) => show::run(inner, *kind).await,
            StatementKind::Describe(name) => show::describe(inner, statement, name).await,
            StatementKind::Explain(inner_statement) => explain::run(inner, inner_statement).await,
            StatementKind::Select(select) => query::run(inner, &select.query).await,
            StatementKind::Insert(insert) => insert::run(inner, statement, insert).await,
        }
    }
}

/// The error for a name that is not in the catalogue.
fn unknown(catalog: &Catalog, statement: &Statement, kind: &str, name: &str) -> SqlError {
    let error = SqlError::name(format!("unknown {kind} \"{name}\"")).with_hint(crate::suggest::hint(
        name,
        catalog.names(),
        "streams and views",
    ));
    statement.locate(error, name)
}
