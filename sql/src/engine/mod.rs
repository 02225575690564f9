//! The engine: a catalogue, a planner, and the jobs of all views, behind `execute`.
//!
//! Always true: statements that change the catalogue run one at a time, and write the catalogue's topic before anything else is made or
//! started; all others hold no lock and wait for none of them. One file per family of statements: `create.rs`, `drop.rs` (with `dependants.rs`), `insert.rs`,
//! `query.rs`, `show.rs`, `functions.rs`, `explain.rs`; `open.rs` starts everything, `state.rs` and `view.rs` keep what statements read, `tables.rs` turns
//! it into what a query may name.

mod create;
mod dependants;
mod drop;
mod explain;
mod functions;
mod insert;
mod open;
mod query;
mod show;
mod state;
mod tables;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use millpond_log::broker::Broker;
use tokio::sync::Mutex;

use self::state::Current;
use crate::SqlOptions;
use crate::catalog::{Catalog, CatalogTopic};
use crate::error::{Result, SqlError};
use crate::parser::{self, Statement, StatementKind};
use crate::planner::Planner;
use crate::result::StatementResult;
use crate::runtime::JobSettings;

/// Runs SQL over a broker. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct SqlEngine {
    inner: Arc<Inner>,
}

struct Inner {
    broker: Broker,
    jobs: JobSettings,
    planner: Planner,
    /// Whoever changes the catalogue holds its topic from the first look to the last effect. Nobody else waits for it.
    topic: Mutex<CatalogTopic>,
    state: Current,
}

impl SqlEngine {
    /// Replays the catalogue and starts the jobs of all views where they stopped. Removals that a crash interrupted are finished.
    ///
    /// A view that cannot be started is *failed*: SHOW VIEWS and DESCRIBE tell why, so does a query over it, and DROP removes it. Errs only
    /// when the catalogue itself cannot be read.
    pub fn open(options: SqlOptions) -> BoxFuture<'static, Result<SqlEngine>> {
        async move {
            let inner = open::open(options).await?;
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

    /// Waits until every view reflects all input that is in the topics now. Views dropped meanwhile are not waited for. Cancel-safe.
    ///
    /// Errs with the reason of a view that is failed, when the others have caught up.
    pub fn wait_until_caught_up(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            let state = self.inner.state.get();
            let mut first = None;
            // A view may read another's topic: in the order of creation each finds its input complete.
            for entry in state.catalog.in_order() {
                let name = entry.name();
                let Some(view) = state.views.get(name) else {
                    continue;
                };
                let waited = match (view.job(), view.failure()) {
                    (_, Some(failure)) => Err(failure.error(name)),
                    (Some(job), None) => job.wait_until_caught_up().await,
                    (None, None) => Ok(()),
                };
                let current = self.inner.state.get();
                let is_still_there = current.views.get(name).is_some_and(|now| Arc::ptr_eq(now, view));
                if let (Err(error), true) = (waited, is_still_there) {
                    first.get_or_insert(error);
                }
            }
            first.map_or(Ok(()), Err)
        }
        .boxed()
    }

    /// Counters of every view's job, by view.
    pub fn metrics(&self) -> BoxFuture<'_, BTreeMap<String, millpond_streams::metrics::StreamsMetrics>> {
        async move {
            let state = self.inner.state.get();
            let jobs = state
                .views
                .iter()
                .filter_map(|(name, view)| Some((name, view.job()?)));
            jobs.map(|(name, job)| (name.clone(), job.handle().metrics()))
                .collect()
        }
        .boxed()
    }

    /// Stops all jobs, each after a last commit. The engine answers no more queries over views afterwards. Errs when a job fails
    /// at that; one that had failed before is stopped already.
    pub fn shutdown(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            // A view that is being made would start its job behind our back.
            let _topic = self.inner.topic.lock().await;
            let state = self.inner.state.get();
            let stopped = join_all(state.views.values().filter_map(|view| Some(view.job()?.stop()))).await;
            stopped.into_iter().collect()
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
            StatementKind::ShowFunctions => functions::run(inner),
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
