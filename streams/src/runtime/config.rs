//! Settings of the runtime. Data, not code: every value has its unit in its name or type, and a default that suits one node.

use std::time::Duration;

use millpond_log::record::Compression;

use super::error::RuntimeError;
use super::restart_policy::RestartPolicy;
use crate::config::ProcessingConfig;
use crate::state::StateLimits;

/// Settings of a streams application.
#[derive(Debug, Clone)]
pub struct StreamsConfig {
    /// Number of workers; each has a thread and a transactional producer. More than there are tasks is no use.
    pub workers: usize,
    /// Outputs, state and input positions change together or not at all. Off: at-least-once, the same path without a transaction.
    pub exactly_once: bool,
    /// A transaction is committed this long after its first work.
    pub commit_interval: Duration,
    /// The positions of a task without input are committed again after this long: a cluster forgets positions `offsets.retention.minutes` (7 days by default) after their last
    /// commit, and transactional ids `transactional.id.expiration.ms` (7 days) after their last transaction. After a start it happens for the first time after a twenty-fourth of it.
    pub repeat_commit_interval: Duration,
    /// A transaction is committed early when the input it has taken in, its changes of state and its outputs reach this
    /// many bytes, per worker. Nothing more is taken in while a commit before it is still under way.
    pub uncommitted_bytes_max: usize,
    /// Compression of output, repartition and changelog batches.
    pub compression: Compression,
    /// A batch is sealed before it grows beyond this many bytes. Must stay below the topics' `max.message.bytes`.
    pub batch_bytes: usize,
    /// Input of one partition that is fetched ahead, in bytes.
    pub buffered_bytes_per_partition: usize,
    /// Most bytes of input in one call of the operators.
    pub run_bytes: usize,
    /// How long a fetch parks when there is nothing to read.
    pub fetch_max_wait: Duration,
    /// A request without an answer for this long has an unknown outcome.
    pub request_timeout: Duration,
    /// A step of a commit (batches to be sent, offsets, the end of the transaction) is given up this long after its first attempt, and the
    /// worker finds out what is committed. With exactly-once it must be below `transaction_timeout`: the coordinator would abort the
    /// transaction while the worker still tries to send it.
    pub delivery_timeout: Duration,
    /// Repeating of a request that a start needs stops after this long: whoever starts an application waits for the answer. No longer than
    /// `delivery_timeout`.
    pub start_timeout: Duration,
    /// The coordinator aborts a transaction that stays open longer. The work in it is done again from the last commit.
    pub transaction_timeout: Duration,
    /// A worker stops after this many recoveries of its commits without a commit between them.
    pub recoveries_max: u32,
    /// What happens when a worker fails.
    pub restart: RestartPolicy,
    /// How often consumed records of repartition topics are deleted.
    pub purge_interval: Duration,
    /// Budgets of each task's state.
    pub state: StateLimits,
    /// Settings of the operators.
    pub processing: ProcessingConfig,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        StreamsConfig {
            workers: 1,
            exactly_once: true,
            commit_interval: Duration::from_millis(100),
            repeat_commit_interval: Duration::from_secs(24 * 3600),
            uncommitted_bytes_max: 64 << 20,
            compression: Compression::None,
            batch_bytes: 512 << 10,
            buffered_bytes_per_partition: 4 << 20,
            run_bytes: 1 << 20,
            fetch_max_wait: Duration::from_millis(500),
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(45),
            start_timeout: Duration::from_secs(45),
            transaction_timeout: Duration::from_secs(60),
            recoveries_max: 8,
            restart: RestartPolicy::Stop,
            purge_interval: Duration::from_secs(30),
            state: StateLimits::default(),
            processing: ProcessingConfig::default(),
        }
    }
}

impl StreamsConfig {
    /// Refuses settings that cannot work together, each by its name.
    pub(super) fn validate(&self) -> Result<(), RuntimeError> {
        let unusable = |setting, message: String| Err(RuntimeError::Config { setting, message });
        if self.workers == 0 {
            return unusable("workers", "must be at least 1".to_owned());
        }
        if self.repeat_commit_interval < self.commit_interval {
            let message = format!(
                "{:?} is below commit_interval ({:?}): an idle application would commit all the time",
                self.repeat_commit_interval, self.commit_interval
            );
            return unusable("repeat_commit_interval", message);
        }
        let (delivery, transaction) = (self.delivery_timeout, self.transaction_timeout);
        if self.exactly_once && delivery >= transaction {
            let message = format!(
                "{delivery:?} is not below transaction_timeout ({transaction:?}): the coordinator would abort a transaction that is still being sent"
            );
            return unusable("delivery_timeout", message);
        }
        if self.exactly_once && self.commit_interval >= transaction {
            let message = format!(
                "{:?} is not below transaction_timeout ({transaction:?}): the coordinator would abort every transaction before it is due",
                self.commit_interval
            );
            return unusable("commit_interval", message);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "config_test.rs"]
mod config_test;
