//! Deadlines of open transactions, with clocks that step.

use std::time::Duration;

use super::txn_test::state;
use super::{Now, TimeoutQueue, TxnState};
use crate::types::TransactionalId;

fn now(wall_ms: i64, monotonic_ms: u64) -> Now {
    Now {
        wall_ms,
        monotonic: Duration::from_millis(monotonic_ms),
    }
}

#[test]
fn a_deadline_ignores_steps_of_the_wall_clock() {
    let (id, open) = (TransactionalId::new("a"), state(TxnState::Ongoing, 1));
    let mut queue = TimeoutQueue::default();
    queue.on_state(&id, &open, now(100, 0));
    // The wall clock jumps an hour back and forth; another partition is added.
    queue.on_state(&id, &open, now(-3_600_000, 10));
    queue.on_state(&id, &open, now(3_600_000, 20));
    assert_eq!(queue.poll_expired(Duration::from_millis(59_999)), vec![]);
    assert_eq!(
        queue.poll_expired(Duration::from_millis(60_000)),
        vec![(id.clone(), 100)]
    );
    queue.on_state(&id, &state(TxnState::CompleteAbort, 2), now(100, 60_001));
    assert_eq!(queue.poll_expired(Duration::from_secs(1_000_000)), vec![]);
}

#[test]
fn after_a_restart_a_transaction_has_the_rest_of_its_time_and_never_more_than_all_of_it() {
    let open = state(TxnState::Ongoing, 1);
    let mut queue = TimeoutQueue::default();
    queue.on_state(&TransactionalId::new("half"), &open, now(100 + 30_000, 0));
    queue.on_state(&TransactionalId::new("long-gone"), &open, now(100 + 3_600_000, 0));
    queue.on_state(&TransactionalId::new("future"), &open, now(100 - 3_600_000, 0));
    let expired = |at| {
        queue
            .poll_expired(Duration::from_millis(at))
            .into_iter()
            .map(|(id, _)| id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(expired(0), ["long-gone"]);
    assert_eq!(expired(30_000), ["long-gone", "half"]);
    assert_eq!(expired(60_000), ["long-gone", "half", "future"]);
}
