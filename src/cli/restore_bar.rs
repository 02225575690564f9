//! A bar on stderr while stores are restored: the changelog offsets of all of them together.
//!
//! What is always true: a bar is there exactly while a store is being restored, and drawn on a terminal only; what is told of another application is counted in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use millpond::log::types::TopicPartition;
use millpond::streams::runtime::{RestoreListener, RestorePhase, RestoreProgress};

use super::progress::Progress;

/// A listener that draws one.
pub(crate) fn listener() -> RestoreListener {
    let restoring = Mutex::new(Restoring::default());
    Arc::new(move |progress: &RestoreProgress| {
        // Figures for a bar: whoever panicked with them in hand did no harm.
        let restoring = restoring.lock();
        restoring.unwrap_or_else(PoisonError::into_inner).told(progress);
    })
}

#[derive(Debug, Default)]
struct Restoring {
    /// Offsets done and in all, and whether there is more to come, by changelog.
    changelogs: BTreeMap<TopicPartition, Part>,
    bar: Option<Progress>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    done: u64,
    total: u64,
    goes_on: bool,
}

impl Restoring {
    fn told(&mut self, progress: &RestoreProgress) {
        let total = progress.end_offset.get() - progress.start_offset.get();
        self.take(
            &progress.partition,
            Part {
                done: (total - progress.remaining_offsets).max(0).unsigned_abs(),
                total: total.max(0).unsigned_abs(),
                goes_on: matches!(progress.phase, RestorePhase::Started | RestorePhase::Batch),
            },
        );
    }

    fn take(&mut self, changelog: &TopicPartition, part: Part) {
        self.changelogs.insert(changelog.clone(), part);
        if !self.changelogs.values().any(|part| part.goes_on) {
            self.changelogs.clear();
            if let Some(bar) = self.bar.take() {
                bar.finish();
            }
            return;
        }
        let (done, total) = self.sums();
        let bar = self
            .bar
            .get_or_insert_with(|| Progress::start("restoring", done, total));
        bar.set_total(total);
        bar.set(done);
    }

    fn sums(&self) -> (u64, u64) {
        let parts = self.changelogs.values();
        parts.fold((0, 0), |(done, total), part| {
            (done + part.done, total + part.total)
        })
    }
}

#[cfg(test)]
mod tests {
    use millpond::log::types::TopicName;

    use super::*;

    #[test]
    fn all_changelogs_are_one_bar_that_is_gone_with_the_last() {
        let changelog = |partition| {
            let name = TopicName::new("words-counts-changelog").expect("a name");
            TopicPartition::new(name, partition)
        };
        let part = |done, goes_on| Part {
            done,
            total: 100,
            goes_on,
        };
        let mut restoring = Restoring::default();
        restoring.take(&changelog(0), part(0, true));
        restoring.take(&changelog(1), part(0, true));
        restoring.take(&changelog(0), part(60, true));
        assert_eq!(restoring.sums(), (60, 200));
        restoring.take(&changelog(0), part(100, false));
        assert_eq!(
            restoring.sums(),
            (100, 200),
            "what is done counts as long as others go on"
        );
        assert!(restoring.bar.is_some());
        // Given up before its end.
        restoring.take(&changelog(1), part(30, false));
        assert!(restoring.bar.is_none());
        assert_eq!(restoring.sums(), (0, 0));
    }
}
