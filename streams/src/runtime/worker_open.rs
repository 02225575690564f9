//! How a worker opens its tasks, before a session runs them.

use futures::future::{Either, select};
use millpond_log::broker::ProducerIdentity;

use super::application::Application;
use super::commit::TxnSeq;
use super::error::RuntimeError;
use super::global_updater;
use super::output_rules::OutputRules;
use super::restore::{log_error, open_task};
use super::task::Task;
use super::worker::{End, Worker};
use super::worker_status::Control;

/// What a session begins with.
pub(super) struct Opened {
    pub(super) identity: ProducerIdentity,
    pub(super) tasks: Vec<Task>,
    pub(super) rules: OutputRules,
    pub(super) first_txn: TxnSeq,
}

impl Worker {
    /// Opens the tasks, unless the worker is told to end meanwhile, or the tasks change hands: replaying a long changelog must not hold up a shutdown. Giving up in the
    /// middle is a crash in the middle, after which the next start goes on from what the hosts have.
    pub(super) async fn open(
        &mut self,
        app: &Application,
        generation: u64,
    ) -> Result<Result<Opened, End>, RuntimeError> {
        let mut control = self.control.clone();
        let told = async {
            let ends = |control: &Control| {
                let is_reassigned = generation != app.membership.generation();
                is_reassigned || matches!(control, Control::Drain | Control::Abort)
            };
            match control.wait_for(ends).await.as_deref() {
                Ok(Control::Drain) => End::Drained,
                Ok(Control::Run | Control::Pause) => End::Reassigned,
                Ok(Control::Abort) | Err(_) => End::Aborted,
            }
        };
        match select(std::pin::pin!(self.open_tasks(app)), std::pin::pin!(told)).await {
            Either::Left((opened, _)) => Ok(Ok(opened?)),
            Either::Right((end, _)) => Ok(Err(end)),
        }
    }

    async fn open_tasks(&mut self, app: &Application) -> Result<Opened, RuntimeError> {
        let identity = match self.identity.take() {
            Some(identity) => identity,
            None => {
                let id = app.config.exactly_once.then(|| app.transactional_id(self.index));
                let calls = app.calls.clone();
                calls
                    .init_producer_id(id)
                    .await
                    .map_err(|error| log_error("fencing older producers", &error))?
            }
        };
        let globals = global_updater::pass(app.globals.as_ref()).await?;
        let inputs = self
            .tasks
            .iter()
            .flat_map(|task| app.inputs(*task))
            .map(|(partition, _)| partition);
        let calls = app.calls.clone();
        let committed = calls
            .committed(app.group(), inputs.collect())
            .await
            .map_err(|error| log_error("reading committed positions", &error))?;
        let written = app.partitions.keys().cloned().collect();
        let rules = app.calls.topic_rules(written).await;
        let rules = rules.map_err(|error| log_error("reading the settings of topics", &error))?;
        let rules = OutputRules::new(rules, app.config.compression);
        let mut tasks = Vec::new();
        let mut last_txn = TxnSeq::default();
        for id in &self.tasks {
            app.registry.restoring(*id);
            let (mut task, txn) =
                open_task(app, *id, &committed, globals.as_ref(), &self.status.metrics).await?;
            task.set_rules(rules.rules());
            tasks.push(task);
            last_txn = last_txn.max(txn);
        }
        Ok(Opened {
            identity,
            tasks,
            rules,
            first_txn: last_txn.next(),
        })
    }
}
