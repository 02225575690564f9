//! Bugs planted on purpose: each must be caught within a bounded number of seeds, or the checks are worth nothing.

use millpond_log::faults::Sabotage;

use super::world::{Job, simulate};

const SEEDS_MAX: u64 = 60;

fn caught(sabotage: Sabotage) {
    caught_in(Job::Counts, sabotage);
}

fn caught_in(job: Job, sabotage: Sabotage) {
    for seed in 0..SEEDS_MAX {
        if let Err(violation) = simulate(job, seed, Some(sabotage)) {
            println!("{}: caught at seed {seed}: {violation}", sabotage.name());
            return;
        }
    }
    panic!("{} was not noticed in {SEEDS_MAX} seeds", sabotage.name());
}

#[test]
fn offsets_outside_the_transaction_are_caught() {
    caught(Sabotage::OffsetsOutsideTransaction);
}

#[test]
fn applying_the_overlay_before_the_commit_is_caught() {
    caught(Sabotage::ApplyOverlayBeforeCommit);
}

#[test]
fn a_changelog_outside_the_transaction_is_caught() {
    caught(Sabotage::ChangelogOutsideTransaction);
}

#[test]
fn restoring_from_a_wrong_offset_is_caught() {
    caught(Sabotage::RestoreFromWrongOffset);
}

#[test]
fn reading_an_unknown_outcome_without_a_fence_is_caught() {
    caught(Sabotage::SkipFencing);
}

#[test]
fn a_skipped_fsync_is_caught() {
    caught(Sabotage::SkipFsync);
}

#[test]
fn caches_that_outlive_a_lost_transaction_are_caught() {
    caught_in(Job::Operators, Sabotage::KeepCachesOnAbort);
}

#[test]
fn timers_that_come_back_with_a_restore_and_fire_twice_are_caught() {
    caught_in(Job::Operators, Sabotage::RestoreWithoutDeletions);
}

#[test]
fn a_restore_beyond_the_last_stable_offset_is_caught() {
    caught(Sabotage::RestoreUncommitted);
}
