//! When a flush cycle syncs segments, and when it goes through the journal.

use super::flush_plan::{DirtySummary, FlushPlan, choose};

fn dirty(files: usize, each: u64) -> DirtySummary {
    DirtySummary {
        files,
        bytes: files as u64 * each,
        directories: 0,
        in_memory: true,
        journal_room: 64 << 20,
    }
}

#[test]
fn few_or_large_writes_sync_the_segments() {
    assert_eq!(choose(&dirty(1, 4 << 10)), FlushPlan::SyncSegments);
    assert_eq!(choose(&dirty(1, 1 << 20)), FlushPlan::SyncSegments);
    assert_eq!(choose(&dirty(4, 256 << 10)), FlushPlan::SyncSegments);
    assert_eq!(choose(&dirty(16, 1 << 20)), FlushPlan::SyncSegments);
}

#[test]
fn many_writes_go_through_the_journal_unless_they_are_large() {
    assert_eq!(choose(&dirty(2, 4 << 10)), FlushPlan::Journal);
    assert_eq!(choose(&dirty(64, 64 << 10)), FlushPlan::Journal);
    assert_eq!(choose(&dirty(64, 512 << 10)), FlushPlan::SyncSegments);
    assert_eq!(choose(&dirty(64, 16 << 10)), FlushPlan::Journal);
    assert_eq!(choose(&dirty(256, 4 << 10)), FlushPlan::Journal);
}

#[test]
fn what_is_not_in_memory_or_does_not_fit_is_synced() {
    assert_eq!(
        choose(&DirtySummary {
            in_memory: false,
            ..dirty(256, 4 << 10)
        }),
        FlushPlan::SyncSegments
    );
    assert_eq!(
        choose(&DirtySummary {
            journal_room: 1 << 10,
            ..dirty(256, 4 << 10)
        }),
        FlushPlan::SyncSegments
    );
    assert_eq!(
        choose(&DirtySummary {
            journal_room: 0,
            ..dirty(256, 4 << 10)
        }),
        FlushPlan::SyncSegments
    );
}
