//! Reading and writing lists of spans.
//!
//! Always true: `stored` are the panes that may hold lists the cache does not know; a pane that is not among them is never read, so new
//! panes cost no reads. After a start or an abort the panes are found out by skipping from one to the next.

use std::collections::BTreeSet;

use millpond_log::types::Timestamp;

use super::super::early::{Held, UntoldKey};
use super::cache::{Anchor, Span, SpanCache};
use super::close::Closing;
use crate::dsl::Window;
use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::serde::held::{HeldBytes, is_flat};
use crate::serde::{Data, SerdeRef};
use crate::state::{
    KeyBatch, KeyRange, StateError, StoreIndex, StoreRef, ValueEnvelope, span_list, window_key,
};

pub(super) struct SpanStore {
    pub(super) index: StoreIndex,
    stored: Option<BTreeSet<Timestamp>>,
    written: BTreeSet<Timestamp>,
    missing: Vec<(u32, Timestamp)>,
    keys: KeyBatch,
    deleted: KeyBatch,
    values: Vec<u8>,
    value_ends: Vec<usize>,
    encoded: Vec<u8>,
}

impl Default for SpanStore {
    fn default() -> Self {
        SpanStore {
            index: StoreIndex::new(0),
            stored: None,
            written: BTreeSet::new(),
            missing: Vec::new(),
            keys: KeyBatch::new(),
            deleted: KeyBatch::new(),
            values: Vec::new(),
            value_ends: Vec::new(),
            encoded: Vec::new(),
        }
    }
}

impl SpanStore {
    /// Reads what the slots need and do not have, in one call. `needs`: slot and lowest anchor.
    pub(super) fn load<A: Data>(
        &mut self,
        needs: impl Iterator<Item = (u32, Timestamp)>,
        cache: &mut SpanCache<A>,
        serde: &SerdeRef<A>,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        if self.stored.is_none() {
            self.stored = Some(panes(&mut context.store(self.index))?);
        }
        let Some(stored) = &self.stored else { return Ok(()) };
        self.keys.clear();
        self.missing.clear();
        for (number, anchor) in needs {
            let from = cache.pane_of(anchor);
            let slot = &mut cache.slots[number as usize];
            if from >= slot.loaded_from {
                continue;
            }
            for pane_ms in stored.range(from..slot.loaded_from) {
                self.missing.push((number, *pane_ms));
                let key = slot.key.as_bytes();
                self.keys
                    .push_with(|out| window_key::append_to(*pane_ms, key, out));
            }
            slot.loaded_from = from;
        }
        if self.missing.is_empty() {
            return Ok(());
        }
        let missing = &self.missing;
        let mut damaged: Option<BoxError> = None;
        context
            .store(self.index)
            .multi_get_with(&self.keys, |number, list| {
                let Some(list) = list else { return };
                match read_list(list, serde) {
                    Ok(spans) => {
                        let (slot, pane_ms) = missing[number];
                        cache.load(slot, pane_ms, spans);
                    }
                    Err(cause) => damaged = Some(cause),
                }
            })?;
        damaged.map_or(Ok(()), |cause| Err(ProcessError::node(context.node(), cause)))
    }

    /// Writes every changed list; the cache is clean afterwards.
    pub(super) fn write<A: Data>(
        &mut self,
        cache: &mut SpanCache<A>,
        serde: &SerdeRef<A>,
        mut closing: Option<&mut Closing>,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let (mut before, mut after) = (0, 0);
        for chunk in cache.dirty.chunks(super::CHUNK) {
            self.keys.clear();
            self.deleted.clear();
            self.values.clear();
            self.value_ends.clear();
            for number in chunk {
                let slot = &mut cache.slots[*number as usize];
                let key = slot.key.as_bytes();
                for pane in slot.panes.iter_mut().filter(|pane| pane.dirty) {
                    let write_key = |out: &mut Vec<u8>| window_key::append_to(pane.start_ms, key, out);
                    if pane.spans.is_empty() {
                        if pane.stored {
                            self.deleted.push_with(write_key);
                        }
                        continue;
                    }
                    self.keys.push_with(write_key);
                    self.written.insert(pane.start_ms);
                    for span in &mut pane.spans {
                        append(span, serde, &mut self.encoded, &mut self.values)
                            .map_err(|cause| ProcessError::node(context.node(), cause))?;
                        if !is_flat::<A>() {
                            let held = HeldBytes::seen(&**serde, &span.value, self.encoded.len());
                            before += span.held.bytes();
                            after += held.bytes();
                            span.held = held;
                        }
                        if let Some(closing) = &mut closing {
                            closing.note(pane.start_ms, span.window, key);
                        }
                    }
                    self.value_ends.push(self.values.len());
                }
            }
            let (values, ends) = (&self.values, &self.value_ends);
            let value = |number: usize| {
                let start = number.checked_sub(1).map_or(0, |before| ends[before]);
                &values[start..ends[number]]
            };
            let mut store = context.store(self.index);
            store.put_many(&self.keys, value);
            self.deleted.iter().for_each(|key| store.delete(key));
        }
        cache.recount(before, after);
        cache.mark_clean();
        Ok(())
    }

    /// The stored aggregates of windows, in their order.
    pub(super) fn values_of<A: Data>(
        &self,
        windows: &[UntoldKey],
        anchor: Anchor,
        pane_ms: i64,
        serde: &SerdeRef<A>,
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Held<A>>, ProcessError> {
        let mut keys = KeyBatch::new();
        for (end_ms, start_ms, key) in windows {
            let window = Window {
                start_ms: *start_ms,
                end_ms: *end_ms,
            };
            let pane_ms = window_key::pane_of(anchor.of(window), pane_ms);
            keys.push_with(|out| window_key::append_to(pane_ms, key, out));
        }
        let mut values = Vec::with_capacity(windows.len());
        let mut damaged: Option<BoxError> = None;
        context.store(self.index).multi_get_with(&keys, |number, list| {
            let (end_ms, start_ms, _) = windows[number];
            let window = Window { start_ms, end_ms };
            values.push(
                read_span(list.unwrap_or_default(), window, serde).unwrap_or_else(|cause| {
                    damaged = Some(cause);
                    None
                }),
            );
        })?;
        match damaged {
            None => Ok(values),
            Some(cause) => Err(ProcessError::node(context.node(), cause)),
        }
    }

    /// The cache is about to forget what it wrote.
    pub(super) fn remember_written(&mut self) {
        if let Some(stored) = &mut self.stored {
            stored.append(&mut self.written);
        }
    }

    /// Writes may have been lost.
    pub(super) fn forget(&mut self) {
        self.stored = None;
        self.written.clear();
    }

    /// Deletes all panes that start before `pane_ms`.
    pub(super) fn delete_before(&mut self, pane_ms: Timestamp, context: &mut ProcessContext<'_>) {
        let (from, to) = window_key::panes_before(pane_ms);
        context.store(self.index).delete_range(&from, &to);
        self.written = self.written.split_off(&pane_ms);
        if let Some(stored) = &mut self.stored {
            *stored = stored.split_off(&pane_ms);
        }
    }
}

/// The panes of a store, skipping from one to the next.
fn panes(store: &mut StoreRef<'_>) -> Result<BTreeSet<Timestamp>, StateError> {
    let mut panes = BTreeSet::new();
    let mut range = KeyRange::all();
    loop {
        let found = match store.scan(&range)?.next_entry()? {
            Some((key, _)) => window_key::decode(key).map(|(pane_ms, _)| pane_ms),
            None => None,
        };
        let Some(pane_ms) = found else { return Ok(panes) };
        panes.insert(pane_ms);
        match pane_ms.checked_add(1) {
            Some(next) => range.from = window_key::pane_prefix(next).to_vec(),
            None => return Ok(panes),
        }
    }
}

fn read_list<A: Data>(list: &[u8], serde: &SerdeRef<A>) -> Result<Vec<Span<A>>, BoxError> {
    span_list::iter(list)
        .map(|span| {
            let span = span?;
            let envelope = ValueEnvelope::parse(span.envelope)?;
            let value = serde.deserialize(envelope.value)?;
            Ok(Span {
                window: Window {
                    start_ms: span.start_ms,
                    end_ms: span.end_ms,
                },
                held: HeldBytes::seen(&**serde, &value, envelope.value.len()),
                value,
                timestamp: envelope.timestamp,
            })
        })
        .collect()
}

/// The aggregate of a window in a list, if it is there.
pub(super) fn read_span<A: 'static>(
    list: &[u8],
    window: Window,
    serde: &SerdeRef<A>,
) -> Result<Held<A>, BoxError> {
    for span in span_list::iter(list) {
        let span = span?;
        if (span.start_ms, span.end_ms) == (window.start_ms, window.end_ms) {
            let envelope = ValueEnvelope::parse(span.envelope)?;
            return Ok(Some((serde.deserialize(envelope.value)?, envelope.timestamp)));
        }
    }
    Ok(None)
}

fn append<A: Data>(
    span: &Span<A>,
    serde: &SerdeRef<A>,
    encoded: &mut Vec<u8>,
    list: &mut Vec<u8>,
) -> Result<(), BoxError> {
    encoded.clear();
    serde.serialize(&span.value, encoded)?;
    span_list::append(span.window.start_ms, span.window.end_ms, list, |out| {
        ValueEnvelope::append_plain(span.timestamp, encoded, out);
        Ok(())
    })
}
