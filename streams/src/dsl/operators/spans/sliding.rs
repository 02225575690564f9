//! Sliding windows (KIP-450): the windows of a fixed length, both bounds included, that differ in what they hold.
//!
//! A record at `t` changes every window that covers it, and makes up to three: the one that ends at `t` (its left window), the one that begins just after it
//! (its right window), should there be later records in it, and the right window of the record before. No window begins before time 0: records earlier than
//! the length share the window that begins there. What is made and changed, and in which order it is told, is what Kafka Streams does.

use millpond_log::types::Timestamp;

use super::cache::Span;
use super::{Anchor, KeySpans, Now, SpanRule};
use crate::dsl::row::Row;
use crate::dsl::{SlidingWindows, Window};
use crate::processor::BoxError;
use crate::serde::Data;

pub(in crate::dsl) struct SlidingRule<F> {
    pub(in crate::dsl) windows: SlidingWindows,
    pub(in crate::dsl) retention_ms: i64,
    pub(in crate::dsl) update: F,
}

impl<K, V, A, F> SpanRule<K, V, A> for SlidingRule<F>
where
    K: Data,
    V: Data,
    A: Data,
    F: Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
{
    const ANCHOR: Anchor = Anchor::Start;
    const KEEPS_HEADERS: bool = true;
    const SKIPS_NULL_VALUES: bool = true;

    fn pane_ms(&self) -> i64 {
        self.windows.pane_ms()
    }

    fn retention_ms(&self) -> i64 {
        self.retention_ms
    }

    fn grace_ms(&self) -> i64 {
        self.windows.grace_ms()
    }

    fn reads_from(&self, timestamp: Timestamp, _stream_time: Timestamp) -> Timestamp {
        let two = self.windows.time_difference_ms().saturating_mul(2);
        timestamp.saturating_sub(two).max(0)
    }

    fn closed_before(&self, stream_time: Timestamp) -> Timestamp {
        self.windows.closed_before(stream_time)
    }

    fn closes_at(&self, end_ms: Timestamp) -> Timestamp {
        end_ms.saturating_add(self.windows.grace_ms()).saturating_add(1)
    }

    fn lowest_anchor(&self, end_ms: Timestamp) -> Timestamp {
        end_ms.saturating_sub(self.windows.time_difference_ms())
    }

    fn apply(
        &self,
        row: &Row<K, V>,
        now: Now,
        spans: &mut KeySpans<'_, A>,
        late: &mut Vec<Window>,
    ) -> Result<(), BoxError> {
        let closed_before = self.windows.closed_before(now.input);
        let right = self.from(row.timestamp);
        if right.end_ms < closed_before {
            late.push(right);
            return Ok(());
        }
        let mut step = Step {
            rule: self,
            row,
            spans,
            late,
            closed_before,
            puts: Vec::new(),
        };
        if row.timestamp < self.windows.time_difference_ms() {
            step.early()?;
        } else {
            step.usual()?;
        }
        // Only now, for a record that is refused half-way must have changed nothing.
        for (window, value, timestamp) in std::mem::take(&mut step.puts) {
            step.spans.put(window, value, timestamp);
        }
        Ok(())
    }
}

impl<F> SlidingRule<F> {
    /// The window that begins at `start_ms`.
    fn from(&self, start_ms: Timestamp) -> Window {
        Window {
            start_ms,
            end_ms: start_ms.saturating_add(self.windows.time_difference_ms()),
        }
    }
}

/// One record on its way through the windows of its key.
struct Step<'s, 'c, K, V, A, F> {
    rule: &'s SlidingRule<F>,
    row: &'s Row<K, V>,
    spans: &'s mut KeySpans<'c, A>,
    late: &'s mut Vec<Window>,
    closed_before: Timestamp,
    puts: Vec<(Window, Option<A>, Timestamp)>,
}

/// An aggregate and the largest timestamp in it.
type Held<A> = Option<(A, Timestamp)>;

impl<K, V, A, F> Step<'_, '_, K, V, A, F>
where
    A: Clone + 'static,
    F: Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError>,
{
    /// A record that has its left window to itself: from the latest window that may concern it backwards.
    fn usual(&mut self) -> Result<(), BoxError> {
        let timestamp = self.row.timestamp;
        let length_ms = self.rule.windows.time_difference_ms();
        let lowest = timestamp.saturating_sub(length_ms.saturating_mul(2)).max(0);
        // Of the window that ends before the record, and of the latest that covers it without beginning at it.
        let (mut before, mut covering): (Held<A>, Held<A>) = (None, None);
        let (mut has_left, mut has_right) = (false, false);
        let mut previous = None;
        let mut covered = Vec::new();
        for span in self.spans.from(lowest).rev() {
            let start_ms = span.window.start_ms;
            let end_ms = start_ms.saturating_add(length_ms);
            if start_ms > timestamp + 1 {
                continue;
            }
            if start_ms == timestamp + 1 {
                has_right = true;
            } else if end_ms > timestamp {
                if covering.is_none() {
                    covering = held(span);
                }
                covered.push((start_ms, held(span)));
            } else if end_ms == timestamp {
                has_left = true;
                covered.push((start_ms, held(span)));
                if span.timestamp < timestamp {
                    previous = Some(span.timestamp);
                }
            } else {
                before = held(span);
                previous = Some(span.timestamp);
            }
            if end_ms <= timestamp {
                break;
            }
        }
        for (start_ms, value) in covered {
            self.update(start_ms, value)?;
        }
        if has_left && previous.is_none() {
            // There was a record at this very time: all windows it asks for are there.
            return Ok(());
        }
        if let Some(previous) = previous {
            let right = self.rule.from(previous + 1);
            if right.end_ms >= timestamp && self.spans.get(right).is_none() {
                self.update(right.start_ms, None)?;
            }
        }
        if !has_left {
            let reaches = previous.is_some_and(|previous| timestamp.saturating_sub(length_ms) <= previous);
            let value = before.filter(|_| reaches).map(|(value, _)| (value, timestamp));
            self.update(timestamp.saturating_sub(length_ms), value)?;
        }
        if !has_right {
            self.make_right(covering);
        }
        Ok(())
    }

    /// A record earlier than the length of a window.
    fn early(&mut self) -> Result<(), BoxError> {
        let timestamp = self.row.timestamp;
        let (mut first, mut covering): (Held<A>, Held<A>) = (None, None);
        let mut has_right = false;
        let mut previous = None;
        let mut covered = Vec::new();
        for span in self.spans.from(0) {
            let start_ms = span.window.start_ms;
            if start_ms == 0 {
                first = held(span);
                if span.timestamp < timestamp {
                    previous = Some(span.timestamp);
                }
            } else if start_ms <= timestamp {
                covering = held(span);
                covered.push((start_ms, held(span)));
            } else {
                has_right = start_ms == timestamp + 1;
                break;
            }
        }
        for (start_ms, value) in covered {
            self.update(start_ms, value)?;
        }
        if covering.is_none()
            && let Some((value, latest)) = &first
            && *latest > timestamp
        {
            // All that the first window holds is later than this record, or there would be a window that covers both.
            covering = Some((value.clone(), *latest));
        }
        if !has_right {
            self.make_right(covering);
        }
        if let Some(previous) = previous {
            let right = self.rule.from(previous + 1);
            if self.spans.get(right).is_none() {
                self.update(right.start_ms, None)?;
            }
        }
        self.update(0, first)
    }

    /// The right window of the record holds what a window that covers it holds of later records.
    fn make_right(&mut self, covering: Held<A>) {
        if let Some((value, latest)) = covering
            && latest > self.row.timestamp
        {
            let right = self.rule.from(self.row.timestamp + 1);
            self.puts.push((right, Some(value), latest));
        }
    }

    /// Adds the record to the window that begins at `start_ms` and holds `value`, unless it is closed.
    fn update(&mut self, start_ms: Timestamp, value: Held<A>) -> Result<(), BoxError> {
        let window = self.rule.from(start_ms);
        if window.end_ms < self.closed_before {
            self.late.push(window);
            return Ok(());
        }
        let timestamp = self.row.timestamp;
        let (value, latest) = match value {
            Some((value, latest)) => (Some(value), latest.max(timestamp)),
            None => (None, timestamp),
        };
        let mut value = value;
        (self.rule.update)(&self.row.key, &self.row.value, &mut value)?;
        self.puts.push((window, value, latest));
        Ok(())
    }
}

fn held<A: Clone>(span: &Span<A>) -> Held<A> {
    Some((span.value.clone(), span.timestamp))
}
