//! State that cannot be opened before the test says so, or that refuses to open: jobs that hang at their start, and jobs that fail there.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use millpond_streams::state::{RocksHosts, StateError, StoreHost, StoreHostFactory, StoreSpec, TaskId};

/// What opening the state of a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    Closed,
    Refusing,
}

/// RocksDB behind a gate. Clones share the gate.
#[derive(Debug, Clone)]
pub(crate) struct GatedHosts {
    hosts: Arc<RocksHosts>,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

impl GatedHosts {
    pub(crate) fn new(gate: Gate) -> GatedHosts {
        GatedHosts {
            hosts: Arc::new(RocksHosts::process_wide()),
            gate: Arc::new((Mutex::new(gate), Condvar::new())),
        }
    }

    pub(crate) fn set(&self, gate: Gate) {
        *self.gate.0.lock().unwrap() = gate;
        self.gate.1.notify_all();
    }
}

impl StoreHostFactory for GatedHosts {
    fn open(&self, dir: &Path, task: TaskId, stores: &[StoreSpec]) -> Result<Arc<dyn StoreHost>, StateError> {
        let gate = self.gate.0.lock().unwrap();
        let gate = self
            .gate
            .1
            .wait_while(gate, |gate| *gate == Gate::Closed)
            .unwrap();
        match *gate {
            Gate::Refusing => Err(StateError::Locked {
                dir: dir.to_owned(),
                pid: None,
            }),
            _ => self.hosts.open(dir, task, stores),
        }
    }
}
