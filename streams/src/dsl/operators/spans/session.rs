//! Sessions: records of a key that are no further apart than the gap, merged as they meet.
//!
//! A record makes a session of its own and takes in every session within the gap of it. What it takes in is removed, and its removal told, before the merged
//! session is set, as Kafka Streams does. A record whose merged session would end before the operator's time less gap and grace is late, and changes nothing.
//! Sessions past their retention are not seen any more, be they deleted yet or not.

use millpond_log::types::Timestamp;

use super::{Anchor, KeySpans, Now, SpanRule};
use crate::dsl::row::Row;
use crate::dsl::{SessionWindows, Window};
use crate::processor::BoxError;
use crate::serde::Data;

pub(in crate::dsl) struct SessionRule<F, M> {
    pub(in crate::dsl) windows: SessionWindows,
    pub(in crate::dsl) retention_ms: i64,
    /// Folds a record into a session that has nothing yet, or what `merge` made of others.
    pub(in crate::dsl) update: F,
    /// Joins what was merged so far with a further session.
    pub(in crate::dsl) merge: M,
    /// `update` may refuse a record: then sessions are copied instead of taken.
    pub(in crate::dsl) fallible: bool,
}

impl<K, V, A, F, M> SpanRule<K, V, A> for SessionRule<F, M>
where
    K: Data,
    V: Data,
    A: Data,
    F: Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    M: Fn(&K, Option<A>, A) -> Option<A> + Send + Sync + 'static,
{
    const ANCHOR: Anchor = Anchor::End;
    const KEEPS_HEADERS: bool = false;
    const SKIPS_NULL_VALUES: bool = false;

    fn pane_ms(&self) -> i64 {
        self.windows.pane_ms()
    }

    fn retention_ms(&self) -> i64 {
        self.retention_ms
    }

    fn grace_ms(&self) -> i64 {
        self.windows.shortest_retention_ms()
    }

    fn reads_from(&self, timestamp: Timestamp, stream_time: Timestamp) -> Timestamp {
        let within_gap = timestamp.saturating_sub(self.windows.gap_ms());
        within_gap
            .max(stream_time.saturating_sub(self.retention_ms))
            .max(0)
    }

    fn closed_before(&self, stream_time: Timestamp) -> Timestamp {
        self.windows.closed_before(stream_time)
    }

    fn closes_at(&self, end_ms: Timestamp) -> Timestamp {
        end_ms
            .saturating_add(self.windows.shortest_retention_ms())
            .saturating_add(1)
    }

    fn lowest_anchor(&self, end_ms: Timestamp) -> Timestamp {
        end_ms
    }

    fn apply(
        &self,
        row: &Row<K, V>,
        now: Now,
        spans: &mut KeySpans<'_, A>,
        late: &mut Vec<Window>,
    ) -> Result<(), BoxError> {
        let earliest_end = self.reads_from(row.timestamp, now.store);
        let latest_start = row.timestamp.saturating_add(self.windows.gap_ms());
        let alone = Window {
            start_ms: row.timestamp,
            end_ms: row.timestamp,
        };
        let (mut merged, mut met) = (alone, 0);
        for session in spans.from(earliest_end) {
            if session.window.start_ms <= latest_start {
                merged.start_ms = merged.start_ms.min(session.window.start_ms);
                merged.end_ms = merged.end_ms.max(session.window.end_ms);
                met += 1;
            }
        }
        if merged.end_ms < self.windows.closed_before(now.input) {
            late.push(merged);
            return Ok(());
        }
        let mut value = None;
        let stays = merged == alone;
        if self.fallible || stays {
            for session in spans.from(earliest_end) {
                if session.window.start_ms <= latest_start {
                    value = (self.merge)(&row.key, value, session.value.clone());
                }
            }
            (self.update)(&row.key, &row.value, &mut value)?;
        }
        if !stays {
            for _ in 0..met {
                let mut sessions = spans.from(earliest_end);
                let next = sessions.find(|session| session.window.start_ms <= latest_start);
                let Some(window) = next.map(|session| session.window) else {
                    break;
                };
                drop(sessions);
                let taken = spans.remove(window, window.end_ms);
                if let (false, Some(taken)) = (self.fallible, taken) {
                    value = (self.merge)(&row.key, value, taken);
                }
            }
            if !self.fallible {
                (self.update)(&row.key, &row.value, &mut value)?;
            }
        }
        spans.put(merged, value, merged.end_ms);
        Ok(())
    }
}
