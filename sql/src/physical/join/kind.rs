//! What each kind of join shows of its sides.
//!
//! Always true: a kind shows pairs, or rows of one side by whether they match, or both (outer joins: a row that matches nothing is padded).

use datafusion::common::JoinType;

/// When a row of a side is shown without a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Never: the row is seen in pairs, or only makes rows of the other side match.
    Never,
    /// While it matches nothing: padded with NULLs, or as a row of an anti join.
    Unmatched,
    /// While it matches something: semi joins.
    Matched,
    /// Always, with a column that says which.
    Marked,
}

impl Shown {
    /// What a kind shows of its left and of its right.
    pub(super) fn of(kind: JoinType) -> [Shown; 2] {
        use Shown::{Marked, Matched, Never, Unmatched};
        match kind {
            JoinType::Inner => [Never, Never],
            JoinType::Left | JoinType::LeftAnti => [Unmatched, Never],
            JoinType::Right | JoinType::RightAnti => [Never, Unmatched],
            JoinType::Full => [Unmatched, Unmatched],
            JoinType::LeftSemi => [Matched, Never],
            JoinType::RightSemi => [Never, Matched],
            JoinType::LeftMark => [Marked, Never],
            JoinType::RightMark => [Never, Marked],
        }
    }

    /// Whether a row is shown while it matches, or does not.
    pub(super) fn is_shown(self, matched: bool) -> bool {
        match self {
            Shown::Never => false,
            Shown::Unmatched => !matched,
            Shown::Matched => matched,
            Shown::Marked => true,
        }
    }

    /// Whether the store keeps how often each row of the side is matched.
    pub(super) fn is_counted(self) -> bool {
        self != Shown::Never
    }
}

/// Whether pairs of rows are shown.
pub(super) fn shows_pairs(kind: JoinType) -> bool {
    matches!(
        kind,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
    )
}
