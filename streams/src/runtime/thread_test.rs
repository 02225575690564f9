//! When a worker's thread counts as ended.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{WorkerThread, run_apart};

/// A process that returns from `main` after `shutdown` must find nobody in RocksDB.
#[tokio::test]
async fn a_thread_has_ended_when_what_it_ran_apart_has_too() {
    let flushed = Arc::new(AtomicBool::new(false));
    let flag = flushed.clone();
    let mut thread = WorkerThread::spawn("worker".to_owned(), move || async move {
        // Nobody waits for it: the worker failed meanwhile.
        drop(run_apart(move || {
            for step in 0..100_000_000_u64 {
                black_box(step);
            }
            flag.store(true, Ordering::Release);
        }));
    })
    .expect("a thread starts");
    thread.ended().await;
    assert!(flushed.load(Ordering::Acquire), "its flush still runs");
}
