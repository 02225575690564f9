//! Results when a window closes, once and for good: by end, then start, then key bytes, as Kafka Streams emits final results of sessions and sliding windows.
//!
//! Emission happens at commits, for what closed since the last one: that is when results can be seen at all, and the order does not depend on how the input
//! was cut. Nothing about it is stored: what closed before is told by the operator's time the open transaction began with, which a restart restores.
//! Always true: `index` holds every span that is in a pane before `until` and not emitted yet, and maybe some that are gone; those are dropped when
//! they are looked up. So a pane is walked once, when closing reaches it.

use std::collections::BTreeSet;

use millpond_log::types::Timestamp;

use super::store::{SpanStore, read_span};
use super::{CHUNK, SpanRule, SpanSettings};
use crate::dsl::change::Change;
use crate::dsl::row::{NO_OFFSET, Row};
use crate::dsl::{Window, Windowed};
use crate::processor::{BoxError, Headers, NO_TIME, ProcessContext, ProcessError};
use crate::serde::Data;
use crate::state::{KeyBatch, KeyRange, span_list, window_key};

/// A result when its window closed.
type FinalRow<K, A> = Row<Windowed<K>, Change<A>>;

/// A span that may have to be emitted: end, start, key bytes.
type Candidate = (Timestamp, Timestamp, Box<[u8]>);

#[derive(Default)]
pub(super) struct Closing {
    index: BTreeSet<Candidate>,
    /// Panes before this are in the index.
    until: Option<Timestamp>,
}

impl Closing {
    /// A span was written.
    pub(super) fn note(&mut self, pane_ms: Timestamp, window: Window, key: &[u8]) {
        if self.until.is_some_and(|until| pane_ms < until) {
            self.index
                .insert((window.end_ms, window.start_ms, Box::from(key)));
        }
    }

    /// Forwards the results of all spans that closed between two times of the operator: that at the last commit, and now. All changes must be in the store.
    pub(super) fn emit<K, V, A, R>(
        &mut self,
        rule: &R,
        settings: &SpanSettings<K, V, A>,
        store: &mut SpanStore,
        (before, now): (Timestamp, Timestamp),
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError>
    where
        K: Data,
        V: Data,
        A: Data,
        R: SpanRule<K, V, A>,
    {
        if now == NO_TIME {
            return Ok(());
        }
        let (from, to) = (closed_before(rule, before), closed_before(rule, now));
        if from >= to {
            return Ok(());
        }
        self.index_until(rule, from, to, store, context)?;
        while let Some(first) = self.index.first() {
            if first.0 >= to {
                break;
            }
            let mut candidates = Vec::new();
            while candidates.len() < CHUNK
                && let Some(candidate) = self.index.pop_first()
            {
                if candidate.0 >= to {
                    self.index.insert(candidate);
                    break;
                }
                // What closed before this transaction was emitted then.
                if candidate.0 >= from {
                    candidates.push(candidate);
                }
            }
            let rows = look_up(&candidates, rule, settings, store, context)?;
            settings.late.forward_results(rows, context);
        }
        Ok(())
    }

    /// Walks the panes that closing has reached.
    fn index_until<K, V, A, R: SpanRule<K, V, A>>(
        &mut self,
        rule: &R,
        from: Timestamp,
        to: Timestamp,
        store: &mut SpanStore,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let pane_ms = rule.pane_ms();
        let first = window_key::pane_of(rule.lowest_anchor(from), pane_ms);
        let last = window_key::pane_of(rule.lowest_anchor(to), pane_ms);
        let begin = self.until.map_or(first, |until| until.max(first));
        let until = last.saturating_add(pane_ms);
        if begin >= until {
            return Ok(());
        }
        let range = KeyRange::between(window_key::pane_prefix(begin), window_key::pane_prefix(until));
        let mut store = context.store(store.index);
        let mut scan = store.scan(&range)?;
        let mut damaged = false;
        while let Some((key, list)) = scan.next_entry()? {
            let Some((_, key)) = window_key::decode(key) else {
                damaged = true;
                break;
            };
            for span in span_list::iter(list) {
                match span {
                    Ok(span) if span.end_ms >= from => {
                        self.index.insert((span.end_ms, span.start_ms, Box::from(key)));
                    }
                    Ok(_) => {}
                    Err(_) => damaged = true,
                }
            }
        }
        drop(scan);
        drop(store);
        self.until = Some(until);
        if damaged {
            return Err(ProcessError::node(context.node(), "a list of spans is damaged"));
        }
        Ok(())
    }
}

/// As the rule says; nothing is closed before the time is known.
fn closed_before<K, V, A, R: SpanRule<K, V, A>>(rule: &R, stream_time: Timestamp) -> Timestamp {
    if stream_time == NO_TIME {
        NO_TIME
    } else {
        rule.closed_before(stream_time)
    }
}

/// The results of those candidates that are still there, in their order.
fn look_up<K, V, A, R>(
    candidates: &[Candidate],
    rule: &R,
    settings: &SpanSettings<K, V, A>,
    store: &mut SpanStore,
    context: &mut ProcessContext<'_>,
) -> Result<Vec<FinalRow<K, A>>, ProcessError>
where
    K: Data,
    V: Data,
    A: Data,
    R: SpanRule<K, V, A>,
{
    let mut keys = KeyBatch::new();
    for (end_ms, start_ms, key) in candidates {
        let window = Window {
            start_ms: *start_ms,
            end_ms: *end_ms,
        };
        let pane_ms = window_key::pane_of(R::ANCHOR.of(window), rule.pane_ms());
        keys.push_with(|out| window_key::append_to(pane_ms, key, out));
    }
    let mut rows = Vec::with_capacity(candidates.len());
    let mut damaged: Option<BoxError> = None;
    context.store(store.index).multi_get_with(&keys, |number, list| {
        let (end_ms, start_ms, key) = &candidates[number];
        let window = Window {
            start_ms: *start_ms,
            end_ms: *end_ms,
        };
        let read = || -> Result<_, BoxError> {
            let Some(held) = read_span(list.unwrap_or_default(), window, &settings.aggregate)? else {
                return Ok(None);
            };
            let key = settings.key.deserialize(key)?;
            Ok(Some((Windowed { key, window }, held)))
        };
        match read() {
            Ok(None) => {}
            Ok(Some((key, (value, timestamp)))) => rows.push(Row {
                key,
                value: Change::latest(Some(value), None),
                timestamp,
                headers: Headers::NONE,
                // The first stream time at which it is closed, however much further the time of the commit is.
                stream_time: rule.closes_at(*end_ms),
                offset: NO_OFFSET,
            }),
            Err(cause) => damaged = Some(cause),
        }
    })?;
    match damaged {
        None => Ok(rows),
        Some(cause) => Err(ProcessError::node(context.node(), cause)),
    }
}
