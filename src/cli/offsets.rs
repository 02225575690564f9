//! The offset grammar: where to begin in a partition and where to stop, in one word (`-o`, `--to`, `--at`).
//!
//! Pure: "now" is handed in. Parsing gives a [`Span`]; only [`Position::resolve`] and [`Until::resolve`] know a partition, and
//! they clamp into it, so that `-10` of a partition with three records is its start. Ends are exclusive.
//! Where to look next: `help offsets` (the user's text) in `help_topics.rs`.

use super::failure::Failure;
use super::time::{self, Point};

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The first record there is.
    Start,
    /// Behind the last record.
    End,
    /// Exactly this offset.
    At(i64),
    /// So many offsets after the start.
    AfterStart(i64),
    /// So many offsets before the end.
    BeforeEnd(i64),
    /// The first record that is not older than this time, in milliseconds since 1970.
    Time(i64),
}

/// Where to stop; exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Never: wait for more.
    Never,
    /// At the end as it is when the command starts.
    End,
    /// Before this offset.
    At(i64),
    /// Before the first record that is not older than this time.
    Time(i64),
}

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First offset to read.
    pub(crate) from: Position,
    /// First offset not to read.
    pub(crate) until: Until,
}

/// The ends of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// First offset that can be read.
    pub(crate) start: i64,
    /// Offset of the next record.
    pub(crate) end: i64,
}

impl Position {
    /// Whether the answer needs a look-up by time.
    pub(crate) fn time(self) -> Option<i64> {
        match self {
            Position::Time(at) => Some(at),
            _ => None,
        }
    }

    /// The offset in a partition with these ends; `at_time` is the first offset at or after the time, if the position is one
    /// and there is such a record.
    pub(crate) fn resolve(self, ends: Ends, at_time: Option<i64>) -> i64 {
        let offset = match self {
            Position::Start => ends.start,
            Position::End => ends.end,
            Position::At(offset) => offset,
            Position::AfterStart(count) => ends.start.saturating_add(count),
            Position::BeforeEnd(count) => ends.end.saturating_sub(count),
            Position::Time(_) => at_time.unwrap_or(ends.end),
        };
        offset.clamp(ends.start, ends.end.max(ends.start))
    }
}

impl Until {
    /// Whether the answer needs a look-up by time.
    pub(crate) fn time(self) -> Option<i64> {
        match self {
            Until::Time(at) => Some(at),
            _ => None,
        }
    }

    /// The first offset not to read; `None` is never. `at_time` as for [`Position::resolve`].
    pub(crate) fn resolve(self, ends: Ends, at_time: Option<i64>) -> Option<i64> {
        match self {
            Until::Never => None,
            Until::End => Some(ends.end),
            // Not clamped: an offset that does not exist yet may be waited for.
            Until::At(offset) => Some(offset),
            Until::Time(_) => Some(at_time.unwrap_or(ends.end)),
        }
    }
}

impl Span {
    /// Everything from the start on, and then what comes.
    pub(crate) const ALL: Span = Span {
        from: Position::Start,
        until: Until::Never,
    };

    /// Reads the grammar; `now_ms` is what durations count from.
    pub(crate) fn parse(text: &str, now_ms: i64) -> Result<Span, Failure> {
        let parsed = match text.strip_prefix('@') {
            Some(times) => parse_times(times, now_ms)?,
            None => parse_offsets(text),
        };
        let span = parsed.ok_or_else(|| wrong(text))?;
        let backwards = match (span.from, span.until) {
            (Position::At(from), Until::At(until)) => from > until,
            (Position::Time(from), Until::Time(until)) => from > until,
            _ => false,
        };
        if backwards {
            return Err(Failure::usage(format!("offset \"{text}\" ends before it begins")));
        }
        Ok(span)
    }
}

/// Reads a single place, where a range makes no sense.
pub(crate) fn parse_position(text: &str, now_ms: i64) -> Result<Position, Failure> {
    let span = Span::parse(text, now_ms)?;
    if span.until != Until::Never {
        return Err(
            Failure::usage(format!("\"{text}\" is a range, and one place is needed"))
                .hint("leave out the colon and what follows it"),
        );
    }
    Ok(span.from)
}

fn parse_offsets(text: &str) -> Option<Span> {
    let (from, until) = match text.split_once(':') {
        Some((from, until)) => (from, Some(until)),
        None => (text, None),
    };
    let from = match from {
        "" => match until {
            Some(until) if !until.is_empty() => Position::Start,
            _ => return None,
        },
        "start" | "oldest" | "earliest" => Position::Start,
        "end" | "newest" | "latest" => Position::End,
        _ => match from.as_bytes()[0] {
            b'+' => Position::AfterStart(number(&from[1..])?),
            b'-' => Position::BeforeEnd(number(&from[1..])?),
            _ => Position::At(number(from)?),
        },
    };
    let until = match until {
        None | Some("") => Until::Never,
        Some("end" | "newest" | "latest") => Until::End,
        Some(until) => Until::At(number(until)?),
    };
    Some(Span { from, until })
}

/// A colon also stands in RFC 3339: the one at which both sides can be read parts the range.
fn parse_times(text: &str, now_ms: i64) -> Result<Option<Span>, Failure> {
    if let Some(point) = time::point(text) {
        return from_time(text, point, now_ms).map(|from| {
            Some(Span {
                from,
                until: Until::Never,
            })
        });
    }
    for (at, _) in text.match_indices(':') {
        let (left, right) = (&text[..at], &text[at + 1..]);
        let from = match left {
            "" if right.is_empty() => continue,
            "" => Position::Start,
            left => match time::point(left) {
                Some(point) => from_time(left, point, now_ms)?,
                None => continue,
            },
        };
        let until = match right {
            "" => Until::Never,
            "end" => Until::End,
            right => match time::point(right) {
                Some(Point::At(at)) => Until::Time(at),
                Some(Point::FromNow(ms)) => Until::Time(now_ms + ms),
                Some(Point::Length(ms)) => Until::Time(from.time().unwrap_or(now_ms) + ms),
                None => continue,
            },
        };
        return Ok(Some(Span { from, until }));
    }
    Ok(None)
}

fn from_time(text: &str, point: Point, now_ms: i64) -> Result<Position, Failure> {
    match point {
        Point::At(at) => Ok(Position::Time(at)),
        Point::FromNow(ms) => Ok(Position::Time(now_ms + ms)),
        Point::Length(_) => Err(Failure::usage(format!(
            "@{text}: a duration without a sign says how long, not since when"
        ))
        .hint(format!("@-{text} begins {text} ago"))),
    }
}

fn number(text: &str) -> Option<i64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn wrong(text: &str) -> Failure {
    Failure::usage(format!("\"{text}\" is no offset")).hint(
        "start, end, :end, 42, 42:50, +10, -10, @-1h, @2022-02-14, @2022-02-14:1h; `millpond help offsets` tells more",
    )
}

#[cfg(test)]
#[path = "offsets_test.rs"]
mod offsets_test;
