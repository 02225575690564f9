//! Identity and order of an idempotent producer.
//!
//! Always true: (`ProducerId`, `ProducerEpoch`) names one incarnation; within it [`Sequence`] numbers the records of a
//! partition from 0 and wraps from `i32::MAX` to 0, never through the negatives.

use super::integer_newtype;

integer_newtype! {
    /// Identity given to a producer by the broker; unique for ever.
    ProducerId(i64)
}

impl ProducerId {
    /// A batch without a producer identity (not idempotent).
    pub const NONE: ProducerId = ProducerId::new(-1);

    /// True if this is a real identity.
    pub const fn is_some(self) -> bool {
        self.0 >= 0
    }
}

integer_newtype! {
    /// Incarnation of a producer id. A larger one fences a smaller one.
    ProducerEpoch(i16)
}

impl ProducerEpoch {
    /// A batch without a producer identity.
    pub const NONE: ProducerEpoch = ProducerEpoch::new(-1);
    /// The first incarnation.
    pub const ZERO: ProducerEpoch = ProducerEpoch::new(0);

    /// The following epoch, or `None` when the id is exhausted and a new producer id is needed (KIP-890 keeps the very
    /// last value, `i16::MAX`, for fencing).
    pub const fn next(self) -> Option<ProducerEpoch> {
        if self.0 >= i16::MAX - 1 {
            None
        } else {
            Some(ProducerEpoch(self.0 + 1))
        }
    }
}

integer_newtype! {
    /// Number of a record among those one producer incarnation sent to one partition.
    Sequence(i32)
}

impl Sequence {
    /// A batch without a sequence (not idempotent).
    pub const NONE: Sequence = Sequence::new(-1);
    /// The first sequence of an incarnation.
    pub const ZERO: Sequence = Sequence::new(0);

    /// The sequence `n ≥ 0` records later; wraps from `i32::MAX` to 0.
    pub const fn plus(self, n: i32) -> Sequence {
        debug_assert!(n >= 0);
        if self.0 > i32::MAX - n {
            Sequence(n - (i32::MAX - self.0) - 1)
        } else {
            Sequence(self.0 + n)
        }
    }

    /// The next sequence; wraps from `i32::MAX` to 0.
    pub const fn next(self) -> Sequence {
        self.plus(1)
    }

    /// The sequence `n ≥ 0` records earlier; wraps from 0 to `i32::MAX`.
    pub const fn minus(self, n: i32) -> Sequence {
        debug_assert!(n >= 0);
        if self.0 < n {
            Sequence(i32::MAX - (n - self.0) + 1)
        } else {
            Sequence(self.0 - n)
        }
    }
}
