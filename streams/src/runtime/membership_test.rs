//! A task is never at two workers, whoever comes and goes.

use futures::FutureExt;
use millpond_log::types::PartitionId;

use super::*;

fn tasks(count: i32) -> Vec<TaskId> {
    (0..count)
        .map(|partition| TaskId::new(0, PartitionId::new(partition)))
        .collect()
}

/// What a worker would get now; none when it has to wait.
fn now<'a>(membership: &'a Membership, worker: usize, control: &watch::Sender<Control>) -> Option<Turn<'a>> {
    let mut receiver = control.subscribe();
    membership.turn(worker, &mut receiver, || {}).now_or_never()
}

fn held<'a>(turn: Option<Turn<'a>>) -> Held<'a> {
    match turn {
        Some(Turn::Hold(held)) => held,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_takes_tasks_of_a_new_distribution_while_somebody_has_some_of_the_old_one() {
    let control = watch::Sender::new(Control::Run);
    let membership = Membership::new(tasks(4), &[0, 1]);
    let first = held(now(&membership, 0, &control));
    let second = held(now(&membership, 1, &control));
    assert_eq!((first.tasks.len(), second.tasks.len()), (2, 2));
    membership.redistribute(&[0, 1, 2]);
    assert!(now(&membership, 2, &control).is_none(), "two have theirs open");
    drop(first);
    assert!(now(&membership, 2, &control).is_none(), "one has its open");
    assert!(
        now(&membership, 0, &control).is_none(),
        "not its own of before either"
    );
    drop(second);
    let shares = [0, 1, 2].map(|worker| held(now(&membership, worker, &control)));
    let mut all: Vec<TaskId> = shares.iter().flat_map(|share| share.tasks.clone()).collect();
    all.sort();
    assert_eq!(all, tasks(4));
}

#[test]
fn a_worker_that_is_removed_ends_and_one_without_tasks_waits() {
    let control = watch::Sender::new(Control::Run);
    let membership = Membership::new(tasks(1), &[0, 1]);
    assert!(now(&membership, 1, &control).is_none());
    membership.redistribute(&[0]);
    assert!(matches!(
        now(&membership, 1, &control),
        Some(Turn::End(Control::Drain))
    ));
    control.send_replace(Control::Abort);
    assert!(matches!(
        now(&membership, 0, &control),
        Some(Turn::End(Control::Abort))
    ));
}
