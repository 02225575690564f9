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
use super::config::StreamsConfig;
use super::dry_run::{DryRun, Survey};
use super::embedded_log::EmbeddedLog;
use super::error::RuntimeError;
use super::global_updater::GlobalUpdater;
use super::handle::StreamsHandle;
use super::internal_topics;
use super::log_calls::{LogCalls, RetryPolicy};
use super::log_client::LogClient;
use super::membership::Membership;
use super::offset_metadata::check_room;
use super::remote::{RemoteLog, RemoteOptions};
use super::restore::log_error;
use super::state_directory::{self, StateLayout, application_directory};
use super::thread::WorkerThread;
use super::worker::Worker;
use super::worker_status::Control;
use super::workers::{StateListener, Workers};
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
            on_state_change: None,
            rocksdb_memory_limit: None,
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
    on_state_change: Option<StateListener>,
    rocksdb_memory_limit: Option<usize>,
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
    /// default). While the application runs, those of tasks without input are committed again every day
    /// ([`repeat_commit_interval`](StreamsConfig::repeat_commit_interval)). Set it above the longest time it is *stopped*: an application that finds state and no positions does not start,
    /// and says so.
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

    /// Is told whenever the state of the application changes (Kafka Streams' `setStateListener`).
    pub fn on_state_change(mut self, listener: StateListener) -> Self {
        self.on_state_change = Some(listener);
        self
    }

    /// Most bytes that all RocksDBs of this *process* take together: cached blocks, index and filter blocks, and write buffers, which get up to a half
    /// ([`RocksBudget`](crate::state::RocksBudget)). 192 MiB when nobody says anything; of several applications the one that started last decides.
    pub fn rocksdb_memory_limit(mut self, bytes: usize) -> Self {
        self.rocksdb_memory_limit = Some(bytes);
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
            let calls = settled.calls.of_start(&settled.config);
            let (plan, partitions) = plan(&settled.topology, &settled.id, &calls).await?;
            let survey = Survey {
                topology: &settled.topology,
                plan: &plan,
                partitions: &partitions,
                calls: &calls,
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
        if let Some(bytes) = self.rocksdb_memory_limit {
            if self.hosts.is_some() {
                let message = "has no effect beside `state_hosts`, which have a budget of their own";
                return Err(needed("rocksdb_memory_limit", message));
            }
            RocksHosts::process_wide().budget().set_limit_bytes(bytes);
        }
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
            on_state_change: self.on_state_change,
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
                on_state_change,
            } = self.settle()?;
            let state_lock = Arc::new(state_directory::lock(&hosts, &state_dir, &calls.clock).await?);
            let layout = StateLayout::find(&topology, &id, &hosts, &state_dir)?;
            let (plan, partitions) = plan(&topology, &id, &calls.of_start(&config)).await?;
            check_positions(&topology, &plan)?;
            internal_topics::ensure(&calls.of_start(&config), &plan).await?;
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
            let tasks: Vec<TaskId> = plan.tasks().collect();
            let numbers: Vec<usize> = (0..config.workers.min(tasks.len())).collect();
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
                workers: Workers::new(receiver.clone(), on_state_change),
                membership: Membership::new(tasks, &numbers),
                state_lock: Arc::downgrade(&state_lock),
                globals: has_globals.then_some(globals),
                paused: RwLock::default(),
            });
            let workers = numbers.into_iter();
            let mut workers: Vec<Worker> = workers
                .map(|index| Worker::new(&app, index, state_lock.clone()))
                .collect();
            fence_all(&app, &mut workers).await?;
            // The first worker runs it beside its tasks.
            if let Some(first) = workers.first_mut().filter(|_| has_globals) {
                let status = app.workers.add(None);
                first.globals = Some(GlobalUpdater::new(app.clone(), status, receiver, gate));
            }
            Ok((workers, StreamsHandle::new(app)))
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
    on_state_change: Option<StateListener>,
}

/// Whether every task's position fits beside its committed offsets.
fn check_positions(topology: &Topology, plan: &Plan) -> Result<(), RuntimeError> {
    for sub in topology.sub_topologies() {
        let Some(task) = plan.tasks().find(|task| task.sub_topology == sub.id()) else {
            continue;
        };
        let logged = sub.stores().iter().filter(|store| store.logged);
        let names: Vec<&str> = logged.map(|store| store.name.as_str()).collect();
        let upstreams = sub.source_topics().map(|topic| match topic {
            TopicRef::Repartition(name) => usize::try_from(plan.upstream_tasks(name)).unwrap_or(0),
            _ => 0,
        });
        check_room(task, &names, upstreams.sum())?;
    }
    Ok(())
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
    let mut partitions = internal_topics::partition_counts(calls, external.clone())
        .await
        .map_err(|error| log_error("describing topics for the start", &error))?;
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
    let calls = app.calls.of_start(&app.config);
    for worker in workers.iter_mut() {
        let id = app.transactional_id(worker.index);
        worker.identity = Some(calls.clone().init_producer_id(Some(id)).await.map_err(fencing)?);
    }
    // An earlier run may have had more workers.
    let mut index = workers.iter().map(|worker| worker.index + 1).max().unwrap_or(0);
    loop {
        let id = app.transactional_id(index);
        if !calls.knows_transactional_id(id.clone()).await.map_err(fencing)? {
            return Ok(());
        }
        calls.clone().init_producer_id(Some(id)).await.map_err(fencing)?;
        index += 1;
    }
}
