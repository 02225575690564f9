//! The memory all long requests may take together.
//!
//! A request above what is taken on trust waits here before its buffer is made; meanwhile its connection is not read, so TCP holds its sender
//! back. Always true: permits never exceed the budget, and a request as large as the budget can still get through.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const UNIT_BYTES: usize = 1024;

/// The budget.
#[derive(Clone, Debug)]
pub(super) struct RequestMemory {
    free: Arc<Semaphore>,
    units: usize,
}

impl RequestMemory {
    pub(super) fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT_BYTES).clamp(1, u32::MAX as usize);
        Self {
            free: Arc::new(Semaphore::new(units)),
            units,
        }
    }

    /// Waits until `bytes` are free; they are given back when the permit is dropped. None once the server is gone.
    pub(super) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = bytes.div_ceil(UNIT_BYTES).min(self.units) as u32;
        self.free.clone().acquire_many_owned(units).await.ok()
    }
}
