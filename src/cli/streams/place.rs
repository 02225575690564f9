//! Where inputs begin after a reset, by Kafka's options.
//!
//! Pure, but for the file of `--from-file`. Always true: what lies outside of a partition is moved to its nearest end.

use std::collections::BTreeMap;

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::group::read_offsets;
use crate::cli::offsets::{Ends, Position};
use crate::cli::time::{self, Point};

/// Where inputs begin; Kafka's names.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct PlaceArgs {
    /// At the first record there is (default)
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record
    #[arg(long)]
    to_latest: bool,
    /// At this offset, or as near as there are records
    #[arg(long, value_name = "N")]
    to_offset: Option<i64>,
    /// So many offsets on from where it stands, e.g. 10 or -10
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift_by: Option<i64>,
    /// At the first record that is not older than this, e.g. 90m or PT1H30M
    #[arg(long, value_name = "TIME")]
    by_duration: Option<String>,
    /// At the first record not before this, e.g. 2022-02-14T10:00:00Z
    #[arg(long, value_name = "TIME")]
    to_datetime: Option<String>,
    /// At the offsets in a file of lines topic,partition,offset
    #[arg(long, value_name = "FILE")]
    from_file: Option<String>,
}

/// Where to, as typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    At(Position),
    /// So many offsets from where the application stands; what it never read stays unread.
    By(i64),
    /// Exactly these; other inputs stay where they are.
    Offsets(BTreeMap<(String, i32), i64>),
}

impl PlaceArgs {
    pub(super) fn place(&self, now_ms: i64) -> anyhow::Result<Place> {
        if let Some(count) = self.shift_by {
            return Ok(Place::By(count));
        }
        if let Some(file) = &self.from_file {
            return read_offsets(file).map(Place::Offsets);
        }
        Ok(Place::At(self.position(now_ms)?))
    }

    fn position(&self, now_ms: i64) -> Result<Position, Failure> {
        if self.to_latest {
            return Ok(Position::End);
        }
        if let Some(offset) = self.to_offset {
            return Ok(Position::At(offset));
        }
        if let Some(duration) = &self.by_duration {
            let ms = time::duration_ms(duration).or_else(|| time::iso_duration_ms(duration));
            let ms = ms.ok_or_else(|| {
                Failure::usage(format!("--by-duration \"{duration}\" is no duration"))
                    .hint("for example 90m, 1h, 2d or PT1H30M")
            })?;
            return Ok(Position::Time(now_ms.saturating_sub(ms)));
        }
        if let Some(at) = &self.to_datetime {
            return match time::point(at) {
                Some(Point::At(ms)) => Ok(Position::Time(ms)),
                _ => Err(Failure::usage(format!("--to-datetime \"{at}\" is no time"))
                    .hint("for example 2022-02-14T10:00:00Z")),
            };
        }
        Ok(Position::Start)
    }
}

impl Place {
    /// Whether the answer needs a look-up by time.
    pub(super) fn time(&self) -> Option<i64> {
        match self {
            Place::At(position) => position.time(),
            Place::By(_) | Place::Offsets(_) => None,
        }
    }

    /// The topics it names itself.
    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        let offsets = match self {
            Place::Offsets(offsets) => Some(offsets),
            Place::At(_) | Place::By(_) => None,
        };
        offsets
            .into_iter()
            .flat_map(|offsets| offsets.keys().map(|key| key.0.as_str()))
    }

    /// Whether a partition that was chosen moves.
    pub(super) fn moves(&self, key: &(String, i32), old: Option<i64>) -> bool {
        match self {
            Place::At(_) => true,
            Place::By(_) => old.is_some(),
            Place::Offsets(offsets) => offsets.contains_key(key),
        }
    }

    /// Where a partition that moves goes on.
    pub(super) fn resolve(
        &self,
        key: &(String, i32),
        ends: Ends,
        old: Option<i64>,
        at_time: Option<i64>,
    ) -> i64 {
        let position = match self {
            Place::At(position) => *position,
            Place::By(count) => Position::At(old.unwrap_or(ends.start).saturating_add(*count)),
            Place::Offsets(offsets) => Position::At(offsets.get(key).copied().unwrap_or(ends.start)),
        };
        position.resolve(ends, at_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: Ends = Ends { start: 10, end: 50 };

    #[test]
    fn a_shift_counts_from_where_the_application_stands_and_stays_inside() {
        let key = ("orders".to_owned(), 0);
        for (count, old, expected) in [(5, 20, 25), (-5, 20, 15), (-50, 20, 10), (500, 20, 50)] {
            let place = Place::By(count);
            assert!(place.moves(&key, Some(old)));
            assert_eq!(
                place.resolve(&key, ENDS, Some(old), None),
                expected,
                "{old} by {count}"
            );
        }
        assert!(!Place::By(1).moves(&key, None), "it stands nowhere");
    }

    #[test]
    fn offsets_of_a_file_move_what_they_name_only() {
        let (named, other) = (("orders".to_owned(), 0), ("orders".to_owned(), 1));
        let place = Place::Offsets(BTreeMap::from([(named.clone(), 30)]));
        assert!(place.moves(&named, None) && !place.moves(&other, Some(3)));
        assert_eq!(place.resolve(&named, ENDS, Some(3), None), 30);
        assert_eq!(place.topics().collect::<Vec<_>>(), ["orders"]);
    }
}
