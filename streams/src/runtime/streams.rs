//! Running an application: [`Streams::builder`] → settings → [`StreamsLauncher::run`].
//!
//! Starting does, in this order: read the partition counts, make the plan, create internal topics, fence every worker's transactional id (also ids of
//! workers an earlier run had more of), then start the workers. All ids are fenced before any task is opened, because a task may have belonged to
//! another worker in the run before.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use millpond_log::broker::Broker;
use millpond_log::clock::{Clock, SystemClock};
use millpond_log::faults::Faults;
use millpond_log::types::TopicName;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::application::{Application, RestoreListener};
use super::assignment::assign;
use super::config::StreamsConfig;
use super::dry_run::{DryRun, Survey};
use super::embedded_log::EmbeddedLog;
use super::error::RuntimeError;
use super::global_updater::GlobalUpdater;
use super::handle::StreamsHandle;
use super::internal_topics;
use super::log_calls::{LogCalls, RetryPolicy};
use super::log_client::LogClient;
use super::remote::{RemoteLog, RemoteOptions};
use super::restore::log_error;
use super::state_directory::{self, StateLayout, application_directory};
use super::thread::WorkerThread;
use super::worker::Worker;
use super::worker_status::{Control, WorkerStatus};
use crate::query::StoreRegistry;
use crate::state::rocksdb::RocksHosts;
use crate::state::{StoreHostFactory, TaskId};
use crate::topology::{Plan, TopicRef, Topology};

/// Entry point: `Streams::builder(topology)`.
#[derive(Debug)]
pub struct Streams;

impl Streams {
    /// Begins to describe how `topology` is run.
    pub fn builder(topology: Topology) -> StreamsLauncher {
        StreamsLauncher {
            topology,
            application_id: None,
            log: None,
            state_dir: None,
            hosts: None,
            clock: None,
            faults: None,
            config: StreamsConfig::default(),
            on_restore: None,
        }
    }
}

/// Everything needed to run a topology. Required: [`application_id`](Self::application_id), a log ([`embedded`](Self::embedded),
/// [`connect`](Self::connect) or [`log_client`](Self::log_client)), and [`state_dir`](Self::state_dir).
#[must_use = "nothing runs before `run`"]
pub struct StreamsLauncher {
    topology: Topology,
    application_id: Option<String>,
    log: Option<LogChoice>,
    state_dir: Option<PathBuf>,
    hosts: Option<Arc<dyn StoreHostFactory>>,
    clock: Option<Arc<dyn Clock>>,
    faults: Option<Faults>,
    config: StreamsConfig,
    on_restore: Option<RestoreListener>,
}

/// Which log an application runs on.
enum LogChoice {
    Client(Arc<dyn LogClient>),
    /// Connected when the application starts. `true`: with the application's own patience.
    Cluster(RemoteOptions, bool),
}

impl LogChoice {
    fn open(self, config: &StreamsConfig) -> Result<Arc<dyn LogClient>, RuntimeError> {
        match self {
            LogChoice::Client(client) => Ok(client),
            LogChoice::Cluster(mut options, patience_of_application) => {
                if patience_of_application {
                    // A little less, so that the reason is told by whoever knows it.
                    options.request_timeout = config.request_timeout * 9 / 10;
                }
                Ok(Arc::new(RemoteLog::new(options)?))
            }
        }
    }
}

impl std::fmt::Debug for StreamsLauncher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamsLauncher")
            .field("application_id", &self.application_id)
            .field("state_dir", &self.state_dir)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl StreamsLauncher {
    /// Names the application: prefix of its internal topics and transactional ids, and the group that holds its positions.
    pub fn application_id(mut self, id: impl Into<String>) -> Self {
        self.application_id = Some(id.into());
        self
    }

    /// Runs on a broker in this process, on its clock and with its kill points.
    pub fn embedded(mut self, broker: &Broker) -> Self {
        self.clock.get_or_insert_with(|| broker.clock().clone());
        self.faults.get_or_insert_with(|| broker.faults().clone());
        self.log = Some(LogChoice::Client(Arc::new(EmbeddedLog::new(broker.clone()))));
        self
    }

    /// Runs on a cluster: a millpond broker (`millpond start`) or Apache Kafka from 3.0 on. `bootstrap` names its first brokers, `HOST:PORT` with
    /// commas between them. Nothing is connected before the start; TLS and SASL are not spoken yet.
    ///
    /// The positions are offsets of a group without members, which a cluster forgets `offsets.retention.minutes` after their last commit (7 days by
    /// default). Set it above the longest time without input: an application that finds state and no positions does not start, and says so.
    ///
    /// ```
    /// use millpond_streams::dsl::StreamsBuilder;
    /// use millpond_streams::runtime::Streams;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("lines").filter(|_, line| !line.is_empty()).to("full-lines");
    /// let app = Streams::builder(builder.build()?)
    ///     .application_id("full-lines")
    ///     .connect("localhost:9092")
    ///     .state_dir("state");
    /// // `app.run().await?` starts it.
    /// # drop(app);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(mut self, bootstrap: impl Into<String>) -> Self {
        self.log = Some(LogChoice::Cluster(RemoteOptions::new(bootstrap), true));
        self
    }

    /// The same with settings of the connections of one's own.
    pub fn connect_with(mut self, options: RemoteOptions) -> Self {
        self.log = Some(LogChoice::Cluster(options, false));
        self
    }

    /// Runs on any log.
    pub fn log_client(mut self, log: Arc<dyn LogClient>) -> Self {
        self.log = Some(LogChoice::Client(log));
        self
    }

    /// Directory below which the application keeps its state. It is created when missing, and never cleared.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Keeps state in other hosts than RocksDB (simulations: `MemoryHosts`).
    pub fn state_hosts(mut self, hosts: Arc<dyn StoreHostFactory>) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Kill points and planted bugs; those of the environment when not given.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    /// All settings at once.
    pub fn config(mut self, config: StreamsConfig) -> Self {
        self.config = config;
        self
    }

    /// Number of workers.
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.workers = workers;
        self
    }

    /// Is told how far the restoring of stores is.
    pub fn on_restore(mut self, listener: RestoreListener) -> Self {
        self.on_restore = Some(listener);
        self
    }

    /// Prepares the application and starts its workers, each on a thread of its own. Returns when they are started; stores may still be restored.
    #[inline(never)] // else every crate that calls it compiles the whole future again
    pub fn run(self) -> BoxFuture<'static, Result<StreamsHandle, RuntimeError>> {
        async move {
            let (workers, handle) = self.prepare().await?;
            for mut worker in workers {
                worker.flushes_apart = true;
                let name = format!("{}-{}", handle.application_id(), worker.index);
                let thread = WorkerThread::spawn(name, move || worker.run())?;
                handle.add_thread(thread);
            }
            Ok(handle)
        }
        .boxed()
    }

    /// Says what a start would do to every store and internal topic, and does none of it: reuse, rebuild, incompatible, each with the reason. May be asked while
    /// another version of the application runs.
    ///
    /// Errs when the topology cannot run at all, because a topic is missing for example.
    #[inline(never)] // else every crate that calls it compiles the whole future again
    pub fn dry_run(self) -> BoxFuture<'static, Result<DryRun, RuntimeError>> {
        async move {
            let settled = self.settle()?;
            let (plan, partitions) = plan(&settled.topology, &settled.id, &settled.calls).await?;
            let survey = Survey {
                topology: &settled.topology,
                plan: &plan,
                partitions: &partitions,
                calls: &settled.calls,
                hosts: &settled.hosts,
                dir: settled.state_dir,
            };
            survey.run().await
        }
        .boxed()
    }

    /// Checks the settings and fills in what was not given.
    fn settle(self) -> Result<Settled, RuntimeError> {
        let needed = |setting, message: &str| RuntimeError::Config {
            setting,
            message: message.to_owned(),
        };
        let id = self
            .application_id
            .ok_or_else(|| needed("application_id", "is not set"))?;
        let log = self
            .log
            .ok_or_else(|| needed("log", "is not set; call `embedded`, `connect` or `log_client`"))?;
        let state_dir = self.state_dir.ok_or_else(|| needed("state_dir", "is not set"))?;
        self.config.validate()?;
        let log = log.open(&self.config)?;
        let calls = LogCalls {
            log,
            clock: self.clock.unwrap_or_else(SystemClock::shared),
            retry: RetryPolicy {
                request_timeout: self.config.request_timeout,
                delivery_timeout: self.config.delivery_timeout,
                transaction_timeout: self.config.transaction_timeout,
            },
        };
        Ok(Settled {
            topology: self.topology,
            state_dir: application_directory(&state_dir, &id),
            id,
            calls,
            hosts: self.hosts.unwrap_or_else(|| Arc::new(RocksHosts::process_wide())),
            faults: self.faults.unwrap_or_else(Faults::from_env),
            config: self.config,
            on_restore: self.on_restore,
        })
    }

    /// Prepares the application without starting anything: the caller awaits [`Worker::run`] of each worker, where and how it wants.
    #[inline(never)] // else every crate that calls it compiles the whole future again
    pub fn prepare(self) -> BoxFuture<'static, Result<(Vec<Worker>, StreamsHandle), RuntimeError>> {
        async move {
            let Settled {
                topology,
                id,
                calls,
                state_dir,
                hosts,
                faults,
                config,
                on_restore,
            } = self.settle()?;
            let state_lock = Arc::new(state_directory::lock(&hosts, &state_dir, &calls.clock).await?);
            let layout = StateLayout::find(&topology, &id, &hosts, &state_dir)?;
            let (plan, partitions) = plan(&topology, &id, &calls).await?;
            internal_topics::ensure(&*calls.log, &plan).await?;
            let registry = Arc::new(StoreRegistry::default());
            for sub in topology.sub_topologies() {
                let tasks: Vec<TaskId> = plan
                    .tasks()
                    .filter(|task| task.sub_topology == sub.id())
                    .collect();
                for spec in sub.stores() {
                    registry.announce(spec, tasks.clone());
                }
            }
            for global in topology.globals() {
                registry.announce(&global.store, vec![TaskId::GLOBAL]);
            }
            let (gate, globals) = watch::channel(None);
            let has_globals = !topology.globals().is_empty();
            let (control, receiver) = watch::channel(Control::Run);
            let app = Arc::new(Application {
                state_dir,
                layout,
                id,
                topology,
                plan,
                partitions,
                config,
                calls,
                hosts,
                faults,
                registry,
                on_restore,
                control,
                globals: has_globals.then_some(globals),
                paused: RwLock::default(),
            });
            let mut workers = Vec::new();
            for (index, tasks) in assign(app.plan.tasks().collect(), app.config.workers)
                .into_iter()
                .enumerate()
            {
                if tasks.is_empty() {
                    continue;
                }
                workers.push(Worker {
                    app: app.clone(),
                    index,
                    tasks,
                    status: Arc::new(WorkerStatus::new()),
                    control: receiver.clone(),
                    identity: None,
                    globals: None,
                    flushes_apart: false,
                    _state_lock: state_lock.clone(),
                });
            }
            fence_all(&app, &mut workers).await?;
            let statuses = workers.iter().map(|worker| worker.status.clone()).collect();
            let mut handle = StreamsHandle::new(app.clone(), statuses);
            // The first worker runs it beside its tasks.
            if let Some(first) = workers.first_mut().filter(|_| has_globals) {
                let status = Arc::new(WorkerStatus::new());
                handle.watch_too(status.clone());
                first.globals = Some(GlobalUpdater::new(app, status, receiver, gate));
            }
            Ok((workers, handle))
        }
        .boxed()
    }
}

/// A launcher whose settings are checked and complete.
struct Settled {
    topology: Topology,
    id: String,
    calls: LogCalls,
    /// The application's own directory.
    state_dir: PathBuf,
    hosts: Arc<dyn StoreHostFactory>,
    faults: Faults,
    config: StreamsConfig,
    on_restore: Option<RestoreListener>,
}

/// Reads what there is and works out what must be. The partition counts are those of all topics, internal ones as they will be.
async fn plan(
    topology: &Topology,
    id: &str,
    calls: &LogCalls,
) -> Result<(Plan, BTreeMap<TopicName, i32>), RuntimeError> {
    let mut external: Vec<TopicName> = topology
        .sub_topologies()
        .iter()
        .flat_map(|sub| sub.source_topics().chain(sub.sink_topics()))
        .filter_map(|topic| match topic {
            TopicRef::External(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    external.extend(topology.globals().iter().map(|global| global.topic.clone()));
    external.sort();
    external.dedup();
    let mut partitions = internal_topics::partition_counts(&*calls.log, external.clone())
        .await
        .map_err(|error| log_error("describing topics", &error))?;
    if let Some(missing) = external.iter().find(|topic| !partitions.contains_key(*topic)) {
        let message = format!("topic {missing} does not exist; create it before the application starts");
        return Err(RuntimeError::Topology { message });
    }
    let plan = Plan::new(topology, id, &|topic| partitions.get(topic).copied()).map_err(|error| {
        RuntimeError::Topology {
            message: super::task::with_causes(&error),
        }
    })?;
    partitions.extend(
        plan.internal_topics
            .iter()
            .map(|topic| (topic.name.clone(), topic.partitions)),
    );
    Ok((plan, partitions))
}

/// Takes every worker's transactional id, and those of workers that are no more: what an earlier run left open is aborted or finished.
async fn fence_all(app: &Application, workers: &mut [Worker]) -> Result<(), RuntimeError> {
    let fencing = |error| log_error("fencing older producers", &error);
    if !app.config.exactly_once {
        return Ok(());
    }
    let mut calls = app.calls.clone();
    calls.retry.delivery_timeout = app.config.start_timeout.min(app.config.delivery_timeout);
    for worker in workers.iter_mut() {
        let id = app.transactional_id(worker.index);
        worker.identity = Some(calls.clone().init_producer_id(Some(id)).await.map_err(fencing)?);
    }
    // An earlier run may have had more workers.
    let mut index = workers.iter().map(|worker| worker.index + 1).max().unwrap_or(0);
    loop {
        let id = app.transactional_id(index);
        if !app
            .calls
            .log
            .knows_transactional_id(id.clone())
            .await
            .map_err(fencing)?
        {
            return Ok(());
        }
        calls.clone().init_producer_id(Some(id)).await.map_err(fencing)?;
        index += 1;
    }
}
