//! A running view.
//!
//! Always true: a job that stops leaves everything it made; only [`JobSettings::remove_remains`], which DROP calls for a view that is no more in
//! the catalogue, removes topics and state.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::broker::Broker;
use millpond_streams::runtime::{
    RestoreListener, RuntimeError, Streams, StreamsConfig, StreamsHandle, StreamsState,
};
use millpond_streams::state::StoreHostFactory;

use super::topics::{ensure_topic, remove_topics};
use super::{Failure, ViewPlan, internal_topics, view_topology};
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
    /// Is told how far the restoring of state is.
    pub on_restore: Option<RestoreListener>,
}

impl JobSettings {
    /// Removes what a dropped view left: its topic, its internal topics, its state directory. Safe to repeat.
    pub async fn remove_remains(&self, definition: &MaterializedViewDefinition) -> Result<()> {
        let application = definition.application_id();
        let internal = internal_topics(definition);
        remove_topics(&self.broker, |topic| {
            topic == definition.topic || internal.iter().any(|name| name == topic)
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
    /// Makes the output topic if it is missing.
    pub async fn make_topic(settings: &JobSettings, view: &ViewPlan) -> Result<()> {
        let definition = &view.definition;
        let compacted = !view.plan.is_append_only();
        ensure_topic(
            &settings.broker,
            &definition.topic,
            definition.partitions,
            compacted,
        )
        .await
    }

    /// Starts the job where it stopped. Its state may still be restored when this returns.
    pub async fn start(settings: &JobSettings, view: ViewPlan) -> Result<ViewJob> {
        let definition = &view.definition;
        let mut launcher = Streams::builder(view_topology(&view)?)
            .application_id(definition.application_id())
            .embedded(&settings.broker)
            .state_dir(&settings.state_dir)
            .config(settings.streams.clone())
            .state_hosts(Arc::clone(&settings.state_hosts));
        if let Some(listener) = &settings.on_restore {
            launcher = launcher.on_restore(Arc::clone(listener));
        }
        let handle = launcher
            .run()
            .await
            .map_err(|e| SqlError::runtime("starting its job", e))?;
        Ok(ViewJob { view, handle })
    }

    /// The running application.
    pub fn handle(&self) -> &StreamsHandle {
        &self.handle
    }

    /// Waits until its state is restored and it processes. Errs when it failed or was stopped. Cancel-safe.
    pub async fn wait_until_running(&self) -> Result<()> {
        self.handle
            .wait_until_running()
            .await
            .map_err(|e| self.no_more(e))
    }

    /// Waits until it has processed what is in its topics now. Errs when it failed or was stopped. Cancel-safe.
    pub async fn wait_until_caught_up(&self) -> Result<()> {
        self.handle
            .wait_until_caught_up()
            .await
            .map_err(|e| self.no_more(e))
    }

    /// Why the job failed, if it did.
    pub fn failure(&self) -> Option<Failure> {
        match self.handle.state() {
            StreamsState::Error(error) => Some(Failure::new(error.to_string())),
            _ => None,
        }
    }

    /// Commits and stops. Whoever waits for the job meanwhile is told. A job that had failed before has nothing left to commit.
    pub async fn stop(&self) -> Result<()> {
        let had_failed = self.failure().is_some();
        match self.handle.shutdown(SHUTDOWN).await {
            Err(e) if !had_failed => Err(SqlError::runtime(
                format!("stopping the job of view {}", self.name()),
                e,
            )),
            _ => Ok(()),
        }
    }

    /// Stops the job of a view that is dropped. That it failed is no reason to keep it; that it still runs is.
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

    /// What to say to somebody who waited for the job in vain: it failed, or it was stopped.
    fn no_more(&self, error: RuntimeError) -> SqlError {
        match self.failure() {
            Some(failure) => failure.error(self.name()),
            None => SqlError::runtime(format!("waiting for the job of view \"{}\"", self.name()), error),
        }
    }

    fn name(&self) -> &str {
        &self.view.definition.name
    }
}
