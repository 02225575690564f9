//! Which worker has which tasks, and how they change hands while the application runs.
//!
//! Always true: a task is open at one worker at most. A new distribution (a *generation*) is written down first; every worker then commits what it has, closes its tasks and lets
//! go; only when nobody holds tasks of an older generation does anybody take those of the new one. Nothing is lost or doubled by it: it is an orderly stop and start of every task.

use std::collections::BTreeMap;

use tokio::sync::watch;

use super::assignment::assign;
use super::worker_status::Control;
use crate::state::TaskId;

/// The distribution of an application's tasks.
#[derive(Debug)]
pub(crate) struct Membership {
    inner: watch::Sender<Distribution>,
}

#[derive(Debug)]
struct Distribution {
    generation: u64,
    /// By the number of the worker. A worker that is not in it is to end; one without tasks waits for some.
    tasks: BTreeMap<usize, Vec<TaskId>>,
    /// Of which generation the tasks are that a worker may have open.
    holding: BTreeMap<usize, u64>,
}

/// Tasks a worker may open; until this is dropped nobody else does.
#[derive(Debug)]
pub(super) struct Held<'a> {
    membership: &'a Membership,
    worker: usize,
    pub(super) generation: u64,
    pub(super) tasks: Vec<TaskId>,
}

/// What a worker is to do next.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// Open these.
    Hold(Held<'a>),
    /// End: it was removed, or told to.
    End(Control),
}

impl Membership {
    /// The first distribution over workers of these numbers.
    pub(crate) fn new(all: Vec<TaskId>, workers: &[usize]) -> Membership {
        Membership {
            inner: watch::Sender::new(Distribution {
                generation: 0,
                tasks: distribute(all, workers),
                holding: BTreeMap::new(),
            }),
        }
    }

    /// The tasks of a worker.
    pub(super) fn tasks_of(&self, worker: usize) -> Vec<TaskId> {
        let inner = self.inner.borrow();
        inner.tasks.get(&worker).cloned().unwrap_or_default()
    }

    /// Number of the current distribution.
    pub(crate) fn generation(&self) -> u64 {
        self.inner.borrow().generation
    }

    /// Another distribution, over workers of these numbers. The caller wakes the workers.
    pub(super) fn redistribute(&self, workers: &[usize]) {
        self.inner.send_modify(|inner| {
            let all = std::mem::take(&mut inner.tasks).into_values().flatten().collect();
            inner.tasks = distribute(all, workers);
            inner.generation += 1;
        });
    }

    /// Waits until the worker may open its tasks, or is to end. Cancel-safe.
    pub(super) async fn turn(
        &self,
        worker: usize,
        control: &mut watch::Receiver<Control>,
        idle: impl Fn(),
    ) -> Turn<'_> {
        let mut changes = self.inner.subscribe();
        loop {
            let told = *control.borrow_and_update();
            if matches!(told, Control::Drain | Control::Abort) {
                return Turn::End(told);
            }
            let mut removed = false;
            let mut held = None;
            let mut waits_for_tasks = false;
            self.inner.send_if_modified(|inner| {
                let Some(tasks) = inner.tasks.get(&worker) else {
                    removed = true;
                    return false;
                };
                if tasks.is_empty() {
                    waits_for_tasks = true;
                    return false;
                }
                if inner.holding.values().any(|held| *held < inner.generation) {
                    return false;
                }
                held = Some(Held {
                    membership: self,
                    worker,
                    generation: inner.generation,
                    tasks: tasks.clone(),
                });
                inner.holding.insert(worker, inner.generation);
                false
            });
            if removed {
                return Turn::End(Control::Drain);
            }
            if let Some(held) = held {
                return Turn::Hold(held);
            }
            if waits_for_tasks {
                idle();
            }
            tokio::select! {
                biased;
                changed = control.changed() => if changed.is_err() {
                    return Turn::End(Control::Abort);
                },
                // The sender is `self`.
                _ = changes.changed() => {}
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.membership.inner.send_modify(|inner| {
            inner.holding.remove(&self.worker);
        });
    }
}

fn distribute(mut all: Vec<TaskId>, workers: &[usize]) -> BTreeMap<usize, Vec<TaskId>> {
    if workers.is_empty() {
        return BTreeMap::new();
    }
    all.sort_unstable();
    let shares = assign(all, workers.len());
    workers.iter().copied().zip(shares).collect()
}

#[cfg(test)]
#[path = "membership_test.rs"]
mod membership_test;
