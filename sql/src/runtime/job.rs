//! A running view.
//!
//! Always true: a job that stops leaves everything it made; only [`JobSettings::remove_remains`], which DROP calls for a view that is no more in
//! the catalogue, removes topics and state.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::broker::Broker;
use millpond_streams::runtime::{RuntimeError, Streams, StreamsConfig, StreamsHandle};
use millpond_streams::state::StoreHostFactory;

use super::topics::{ensure_topic, remove_topics};
use super::{ViewPlan, view_topology};
use crate::catalog::MaterializedViewDefinition;
use crate::error::{Result, SqlError};

/// How long a job may take to commit and close.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// The job of one materialised view.
#[derive(Debug)]
pub struct ViewJob {
    /// What it runs.
    pub view: ViewPlan,
    handle: StreamsHandle,
}

/// Where and how jobs run.
#[derive(Clone)]
pub struct JobSettings {
    /// The log.
    pub broker: Broker,
    /// State lies below this directory.
    pub state_dir: PathBuf,
    /// Settings of the applications.
    pub streams: StreamsConfig,
    /// Where state is kept.
    pub state_hosts: Arc<dyn StoreHostFactory>,
}

impl JobSettings {
    /// Removes what a dropped view left: its topic, its internal topics, its state directory. Safe to repeat.
    pub async fn remove_remains(&self, definition: &MaterializedViewDefinition) -> Result<()> {
        let application = definition.application_id();
        let internal = format!("{application}-");
        remove_topics(&self.broker, |topic| {
            topic == definition.topic || topic.starts_with(&internal)
        })
        .await?;
        match std::fs::remove_dir_all(self.state_dir.join(&application)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(SqlError::runtime(
                format!("removing the state of view {}", definition.name),
                e,
            )),
            _ => Ok(()),
        }
    }
}

impl ViewJob {
    /// Makes the output topic if it is missing, and starts the job where it stopped.
    pub async fn start(settings: &JobSettings, view: ViewPlan) -> Result<ViewJob> {
        let definition = &view.definition;
        let compacted = !view.plan.is_append_only();
        ensure_topic(
            &settings.broker,
            &definition.topic,
            definition.partitions,
            compacted,
        )
        .await?;
        let handle = Streams::builder(view_topology(&view)?)
            .application_id(definition.application_id())
            .embedded(&settings.broker)
            .state_dir(&settings.state_dir)
            .config(settings.streams.clone())
            .state_hosts(Arc::clone(&settings.state_hosts))
            .run()
            .await
            .map_err(|e| SqlError::runtime(format!("starting the job of view {}", definition.name), e))?;
        Ok(ViewJob { view, handle })
    }

    /// The running application.
    pub fn handle(&self) -> &StreamsHandle {
        &self.handle
    }

    /// Waits until its state is restored and it processes. Errs when it failed or was stopped. Cancel-safe.
    pub async fn wait_until_running(&self) -> Result<()> {
        let waited = self.handle.wait_until_running().await;
        waited.map_err(|e| SqlError::runtime(format!("waiting for the job of view {}", self.name()), e))
    }

    /// Waits until it has processed what is in its topics now. Errs when it failed or was stopped. Cancel-safe.
    pub async fn wait_until_caught_up(&self) -> Result<()> {
        let waited = self.handle.wait_until_caught_up().await;
        waited.map_err(|e| SqlError::runtime(format!("waiting for view {}", self.name()), e))
    }

    /// Commits and stops. Whoever waits for the job meanwhile is told.
    pub async fn stop(&self) -> Result<()> {
        let stopped = self.handle.shutdown(SHUTDOWN).await;
        stopped.map_err(|e| SqlError::runtime(format!("stopping the job of view {}", self.name()), e))
    }

    /// Stops the job of a view that is dropped. That it had failed before is no reason to keep it; that it still runs is.
    pub async fn end(&self) -> Result<()> {
        let view = self.name();
        match self.handle.shutdown(SHUTDOWN).await {
            Err(e @ RuntimeError::Timeout { .. }) => {
                Err(SqlError::runtime(format!("stopping the job of view {view}"), e))
            }
            Err(error) => {
                tracing::warn!(view, %error, "the job of a dropped view had failed");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn name(&self) -> &str {
        &self.view.definition.name
    }
}
