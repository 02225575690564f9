//! Where an application keeps its state: `{state_dir}/{application id}/{number}_{partition}`, as Kafka Streams names it.
//!
//! The number is that of the sub-topology when its state was first written, and stays: a sub-topology finds its directory by the stores that lie in it (one without stores
//! by the topics it read), so that sub-topologies that are added, dropped or reordered in the program do not move anybody's state. Nothing here, or anywhere in the
//! runtime, removes a directory. Each task's store host creates and locks its own; the application's is locked by `lock`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use millpond_log::clock::Clock;

use super::error::RuntimeError;
use super::task::with_causes;
use crate::state::{DirectoryLock, StateError, StoreHostFactory, StoredTask, TaskId};
use crate::topology::Topology;

/// How often, and how long apart, a directory is tried that an earlier instance in this process is still closing.
pub(super) const LOCK_ATTEMPTS: u32 = 250;
pub(super) const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The state directory of `application_id` below `state_dir`; tasks have theirs below it.
pub(crate) fn application_directory(state_dir: &Path, application_id: &str) -> PathBuf {
    state_dir.join(application_id)
}

/// Takes the directory for this instance, waiting a while for an earlier one in this process to let go of it. Before anything is fenced: an instance that was started by mistake must
/// not end the one that runs.
pub(crate) async fn lock(
    hosts: &Arc<dyn StoreHostFactory>,
    dir: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<DirectoryLock, RuntimeError> {
    let mut attempts = 0;
    loop {
        match hosts.lock(dir) {
            Ok(lock) => return Ok(lock),
            Err(StateError::Locked { pid, .. })
                if pid == Some(std::process::id()) && attempts < LOCK_ATTEMPTS =>
            {
                attempts += 1;
                clock.sleep(LOCK_PAUSE).await;
            }
            Err(StateError::Locked { dir, pid }) => {
                return Err(RuntimeError::StateDirectoryLocked { dir, pid });
            }
            Err(error) => return Err(directory_error(&error)),
        }
    }
}

/// The number in the directories' names, by sub-topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateLayout {
    numbers: Vec<u32>,
}

impl StateLayout {
    /// Finds the directories of `topology` below `dir`.
    pub(crate) fn find(
        topology: &Topology,
        application_id: &str,
        hosts: &Arc<dyn StoreHostFactory>,
        dir: &Path,
    ) -> Result<StateLayout, RuntimeError> {
        let tasks = hosts.stored_tasks(dir).map_err(|error| directory_error(&error))?;
        let mut on_disk = BTreeMap::new();
        for task in tasks {
            // All partitions of a sub-topology hold the same stores; the first is asked.
            if let Entry::Vacant(unknown) = on_disk.entry(task.sub_topology) {
                let found = hosts.inspect(dir, task);
                unknown.insert(
                    found
                        .map_err(|error| directory_error(&error))?
                        .unwrap_or_default(),
                );
            }
        }
        Ok(StateLayout::match_up(topology, application_id, &on_disk))
    }

    /// Gives every sub-topology the number under which most of its stores lie, and new ones a number nobody ever had.
    fn match_up(
        topology: &Topology,
        application_id: &str,
        on_disk: &BTreeMap<u32, StoredTask>,
    ) -> StateLayout {
        let subs = topology.sub_topologies();
        let mut pairs = Vec::new();
        for (index, sub) in subs.iter().enumerate() {
            let topics: BTreeSet<_> = sub
                .source_topics()
                .map(|topic| topic.resolve(application_id))
                .collect();
            for (number, stored) in on_disk {
                let stores = sub
                    .stores()
                    .iter()
                    .filter(|store| stored.shapes.contains_key(&store.name));
                let inputs = stored
                    .inputs
                    .iter()
                    .filter(|(input, _)| topics.contains(&input.topic));
                let (stores, inputs) = (stores.count(), inputs.count());
                // Topics say something only of a sub-topology without state: one with stores must not take over what another one's reflects.
                let fits = stores > 0 || (inputs > 0 && sub.stores().is_empty() && stored.shapes.is_empty());
                if fits {
                    let same = u32::try_from(index) == Ok(*number);
                    pairs.push((stores, inputs, same, index, *number));
                }
            }
        }
        // The best first; of equals the one with its own number, then the first in the program.
        pairs.sort_by(|a, b| {
            (b.0, b.1, b.2)
                .cmp(&(a.0, a.1, a.2))
                .then((a.3, a.4).cmp(&(b.3, b.4)))
        });
        let mut numbers: Vec<Option<u32>> = vec![None; subs.len()];
        let mut taken: BTreeSet<u32> = on_disk.keys().copied().collect();
        let mut given = BTreeSet::new();
        for (_, _, _, index, number) in pairs {
            if numbers[index].is_none() && given.insert(number) {
                numbers[index] = Some(number);
            }
        }
        let numbers = numbers.into_iter().enumerate().map(|(index, number)| {
            number.unwrap_or_else(|| {
                let own = u32::try_from(index).unwrap_or(u32::MAX);
                let free = (own..=u32::MAX).find(|number| !taken.contains(number));
                let free = free.unwrap_or(own);
                taken.insert(free);
                free
            })
        });
        StateLayout {
            numbers: numbers.collect(),
        }
    }

    /// The name under which the state of a task lies.
    pub(crate) fn state_of(&self, task: TaskId) -> TaskId {
        TaskId {
            sub_topology: self.numbers[task.sub_topology as usize],
            ..task
        }
    }
}

pub(super) fn directory_error(error: &StateError) -> RuntimeError {
    RuntimeError::StateDirectory {
        message: with_causes(error),
    }
}

#[cfg(test)]
#[path = "state_directory_test.rs"]
mod state_directory_test;
