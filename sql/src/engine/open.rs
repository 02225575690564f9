//! Opening: the catalogue is replayed, removals that a crash cut short are finished, and the job of every view is started.
//!
//! Always true: what is wrong with one view is that view's failure. It keeps neither the others from starting nor the engine from opening,
//! and nothing a view has is removed because it cannot be started.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::Mutex;

use super::state::Current;
use super::view::View;
use super::{Inner, drop, tables};
use crate::SqlOptions;
use crate::catalog::{CatalogTopic, Entry, MaterializedViewDefinition};
use crate::error::{Result, SqlError};
use crate::parser;
use crate::planner::Planner;
use crate::runtime::{JobSettings, ViewJob, ViewPlan};

pub(super) async fn open(options: SqlOptions) -> Result<Inner> {
    let SqlOptions {
        broker,
        state_dir,
        streams,
        state_hosts,
        on_restore,
    } = options;
    let (topic, catalog) = CatalogTopic::open(&broker).await?;
    let inner = Inner {
        jobs: JobSettings {
            broker: broker.clone(),
            state_dir,
            streams,
            state_hosts,
            on_restore,
        },
        broker,
        planner: Planner::new(),
        topic: Mutex::new(topic),
        state: Current::default(),
    };
    inner.state.change(|state| state.catalog = catalog);
    finish_drops(&inner).await;
    start_views(&inner).await;
    Ok(inner)
}

async fn finish_drops(inner: &Inner) {
    let topic = inner.topic.lock().await;
    for view in inner.state.get().catalog.dropping() {
        if let Err(error) = drop::remove_remains(inner, &topic, &view).await {
            let view = &view.name;
            tracing::warn!(view, %error, "what a dropped view left is not removed yet; the next start tries again");
        }
    }
}

async fn start_views(inner: &Inner) {
    let mut starts = Vec::new();
    // In the order of creation: the plan of a view needs the plans of those it reads, and its job their topics.
    for entry in inner.state.get().catalog.in_order() {
        if let Entry::MaterializedView(definition) = entry {
            let name = definition.name.clone();
            match prepared(inner, definition).await {
                Ok(plan) => {
                    inner.set_view(&name, View::starting(plan.clone()));
                    starts.push((name, plan));
                }
                Err(view) => inner.set_view(&name, view),
            }
        }
    }
    // At once: each waits for the log a few times, and a log that does not answer is waited for once, not once per view.
    join_all(starts.into_iter().map(|(name, plan)| async move {
        let view = match ViewJob::start(&inner.jobs, plan.clone()).await {
            Ok(job) => View::Started(Arc::new(job)),
            Err(error) => failed(&name, Some(plan), error),
        };
        inner.set_view(&name, view);
    }))
    .await;
}

/// What the job of a view is started from, or the view as failed.
async fn prepared(inner: &Inner, definition: Arc<MaterializedViewDefinition>) -> Result<ViewPlan, View> {
    let name = definition.name.clone();
    let plan = plan(inner, definition).map_err(|error| failed(&name, None, error))?;
    match ViewJob::make_topic(&inner.jobs, &plan).await {
        Ok(()) => Ok(plan),
        Err(error) => Err(failed(&name, Some(plan), error)),
    }
}

fn failed(view: &str, plan: Option<ViewPlan>, error: SqlError) -> View {
    tracing::warn!(view, error = %error.message, "a view cannot be started");
    View::Failed {
        plan,
        failure: error.into(),
    }
}

fn plan(inner: &Inner, definition: Arc<MaterializedViewDefinition>) -> Result<ViewPlan> {
    let query = parser::parse_query(&definition.query)?;
    let tables = tables::tables(&inner.broker, &inner.planner, &inner.state.get());
    let plan = inner.planner.stream_plan(&query, &tables)?;
    ViewPlan::new(definition, Arc::new(plan))
}
