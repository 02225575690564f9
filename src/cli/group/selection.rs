//! `--topics a,b:0-3`: partitions of topics in one word.
//!
//! Pure. `a` is all partitions of a, `b:0-3` four of b, `c:5` one; `b:0-3+7` adds one more.

use std::ops::RangeInclusive;

use crate::cli::failure::Failure;

/// The partitions that were chosen; nothing chosen is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    topics: Vec<(String, Vec<RangeInclusive<i32>>)>,
}

impl Selection {
    /// Reads the words.
    pub(crate) fn parse(words: &[String]) -> Result<Selection, Failure> {
        let topics = words
            .iter()
            .flat_map(|words| words.split(','))
            .filter(|word| !word.is_empty())
            .map(|word| {
                let (topic, partitions) = word.split_once(':').unwrap_or((word, ""));
                let ranges = partitions
                    .split('+')
                    .filter(|range| !range.is_empty())
                    .map(|range| {
                        let (from, to) = range.split_once('-').unwrap_or((range, range));
                        Ok(from.parse()?..=to.parse()?)
                    })
                    .collect::<Result<Vec<_>, std::num::ParseIntError>>()
                    .map_err(|_| {
                        Failure::usage(format!("\"{word}\" names no partitions"))
                            .hint("orders, orders:3, orders:0-3, orders:0-3+7; several with commas between")
                    })?;
                Ok((topic.to_owned(), ranges))
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        Ok(Selection { topics })
    }

    /// Whether nothing was chosen.
    pub(crate) fn is_all(&self) -> bool {
        self.topics.is_empty()
    }

    /// Names of the topics.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(|(topic, _)| topic.as_str())
    }

    /// Whether a partition was chosen.
    pub(crate) fn contains(&self, topic: &str, partition: i32) -> bool {
        self.is_all()
            || self.topics.iter().any(|(name, ranges)| {
                name == topic && (ranges.is_empty() || ranges.iter().any(|range| range.contains(&partition)))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_ranges_of_partitions_are_chosen() {
        let chosen = Selection::parse(&["a,b:0-3+7".to_owned(), "c:5".to_owned()]).expect("valid");
        for (topic, partition, wanted) in [
            ("a", 99, true),
            ("b", 0, true),
            ("b", 3, true),
            ("b", 4, false),
            ("b", 7, true),
            ("c", 5, true),
            ("c", 0, false),
            ("d", 0, false),
        ] {
            assert_eq!(chosen.contains(topic, partition), wanted, "{topic}-{partition}");
        }
        assert!(Selection::default().contains("any", 1));
        assert!(Selection::parse(&["a:x".to_owned()]).is_err());
    }
}
