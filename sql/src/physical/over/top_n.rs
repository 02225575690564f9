//! Which rows of a Top-N come and go: a walk over a partition in its order, that counts rows before and after its changes at the same time.
//!
//! Always true: rows whose weight is not above 0 are not there and have no number; equal rows have as many numbers as their weight. The walk is
//! done when all later rows stand behind the last number, before and after.

/// The numbers of the rows that are shown, both inclusive, from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// A row that comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TopNChange {
    /// Its number, 0 where numbers are not shown.
    pub(super) number: u64,
    pub(super) weight: i64,
}

/// How far the walk is.
pub(super) struct Walk {
    bounds: Bounds,
    numbered: bool,
    /// How many rows were passed, before and after the changes.
    passed: [u64; 2],
}

impl Walk {
    pub(super) fn new(bounds: Bounds, numbered: bool) -> Walk {
        Walk {
            bounds,
            numbered,
            passed: [0; 2],
        }
    }

    /// Whether no later row is shown.
    pub(super) fn is_done(&self) -> bool {
        self.passed.iter().all(|passed| *passed >= self.bounds.last)
    }

    /// Passes a row that had `weight`, which changes by `change`.
    pub(super) fn step(&mut self, weight: i64, change: i64, mut send: impl FnMut(TopNChange)) {
        let mut shown = [(0, 0); 2];
        for (index, weight) in [weight, weight.saturating_add(change)].into_iter().enumerate() {
            let copies = u64::try_from(weight).unwrap_or(0);
            let passed = self.passed[index];
            self.passed[index] = passed.saturating_add(copies);
            let from = passed.saturating_add(1).max(self.bounds.first);
            let to = self.passed[index].min(self.bounds.last);
            // Half open.
            shown[index] = (from, to.saturating_add(1).max(from));
        }
        let [old, new] = shown;
        if !self.numbered {
            let weight = (new.1 - new.0) as i64 - (old.1 - old.0) as i64;
            if weight != 0 {
                send(TopNChange { number: 0, weight });
            }
            return;
        }
        let inside = |range: (u64, u64), number| range.0 <= number && number < range.1;
        for number in (old.0..old.1).filter(|number| !inside(new, *number)) {
            send(TopNChange { number, weight: -1 });
        }
        for number in (new.0..new.1).filter(|number| !inside(old, *number)) {
            send(TopNChange { number, weight: 1 });
        }
    }
}

#[cfg(test)]
#[path = "top_n_test.rs"]
mod top_n_test;
