//! Positions in a partition and the terms of its leaders.
//!
//! Always true: an [`Offset`] counts records, never bytes; ends of ranges are exclusive (the *log end offset* is the
//! offset the next record will get).

use super::integer_newtype;

integer_newtype! {
    /// Number of a record within its partition, from 0.
    Offset(i64)
}

impl Offset {
    /// The first offset of a partition.
    pub const ZERO: Offset = Offset::new(0);
    /// Above every offset a record can have.
    pub const MAX: Offset = Offset::new(i64::MAX);

    /// The offset right after this one. Stays at [`Offset::MAX`] once there.
    pub const fn next(self) -> Offset {
        Offset(self.0.saturating_add(1))
    }

    /// The offset `n` records further on (or back, if negative). Saturates instead of wrapping, so that hostile bytes
    /// cannot turn a large offset into a small one.
    pub const fn plus(self, n: i64) -> Offset {
        Offset(self.0.saturating_add(n))
    }

    /// How many records lie between `earlier` (inclusive) and this offset (exclusive); negative if it is later.
    pub const fn distance_from(self, earlier: Offset) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

integer_newtype! {
    /// Term of a partition leader. A larger one fences a smaller one.
    LeaderEpoch(i32)
}

impl LeaderEpoch {
    /// "Not known" in requests and in batches that never met a leader.
    pub const NONE: LeaderEpoch = LeaderEpoch::new(-1);
    /// The first term of every partition.
    pub const ZERO: LeaderEpoch = LeaderEpoch::new(0);

    /// The next term.
    pub const fn next(self) -> LeaderEpoch {
        LeaderEpoch(self.0.saturating_add(1))
    }
}
