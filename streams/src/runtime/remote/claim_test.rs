//! Who owns a transactional id, as told by what the coordinator answered.

use super::*;
use crate::runtime::remote::transactions::identity;

fn found(producer_id: i64, producer_epoch: i16, aborted: bool) -> Found {
    Found {
        producer_id,
        producer_epoch,
        aborted,
    }
}

#[test]
fn a_transaction_the_coordinator_gave_up_is_recognised_by_its_epoch() {
    let own = identity(7, 3);
    assert!(given_up(own, true, found(7, 5, true)));
    assert!(given_up(own, false, found(7, 4, true)));
}

#[test]
fn a_newer_instance_is_not_taken_for_a_timeout() {
    let own = identity(7, 3);
    // It has finished taking over, or has its own transaction.
    assert!(!given_up(own, true, found(7, 6, false)));
    assert!(!given_up(own, true, found(7, 7, true)));
    assert!(!given_up(own, true, found(7, 5, false)));
    assert!(!given_up(own, false, found(7, 5, true)));
    // Another producer id: the epochs ran out meanwhile.
    assert!(!given_up(own, true, found(8, 5, true)));
    assert!(!given_up(
        identity(7, i16::MAX),
        true,
        found(7, i16::MIN + 1, true)
    ));
}
