//! The write-back cache of spans (sessions, sliding windows): per key its spans, grouped by the panes of the store.
//!
//! Always true: a slot holds everything the store has of its key in panes from `loaded_from` on, plus what changed since; spans of a pane ascend by their
//! anchor; `dirty` lists exactly the slots with a pane that differs from the store. What receivers were not told yet is in `journal.rs`.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use millpond_log::types::Timestamp;

use super::journal::{Journal, NO_ENTRY};
use crate::dsl::Window;
use crate::dsl::change::Change;
use crate::dsl::operators::pane_cache::{ProbeKey, SlotKey, spread};
use crate::processor::Headers;
use crate::serde::SerdeRef;
use crate::serde::held::HeldBytes;
use crate::state::window_key;

/// The bound of a span that says which pane it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dsl) enum Anchor {
    Start,
    End,
}

impl Anchor {
    pub(super) fn of(self, window: Window) -> Timestamp {
        match self {
            Anchor::Start => window.start_ms,
            Anchor::End => window.end_ms,
        }
    }
}

/// A window of one key with its aggregate.
pub(in crate::dsl) struct Span<A> {
    /// Both bounds are included.
    pub(in crate::dsl) window: Window,
    pub(in crate::dsl) value: A,
    pub(in crate::dsl) timestamp: Timestamp,
    /// What the value holds on the heap.
    pub(super) held: HeldBytes,
}

/// The spans of one key in one pane.
pub(super) struct SpanPane<A> {
    pub(super) start_ms: Timestamp,
    pub(super) spans: Vec<Span<A>>,
    /// The store has a list for this pane and key.
    pub(super) stored: bool,
    pub(super) dirty: bool,
}

pub(super) struct KeySlot<A> {
    pub(super) key: SlotKey,
    /// Ascending by start.
    pub(super) panes: Vec<SpanPane<A>>,
    /// Panes of the store from here on were read.
    pub(super) loaded_from: Timestamp,
    /// First of the key's entries in the journal.
    pub(super) journal: u32,
    dirty: bool,
}

/// See the module's text.
pub(super) struct SpanCache<A> {
    anchor: Anchor,
    width_ms: i64,
    table: HashTable<(u32, u32)>,
    pub(super) slots: Vec<KeySlot<A>>,
    pub(super) dirty: Vec<u32>,
    pub(super) journal: Journal<A>,
    spans: usize,
    /// Of keys and values.
    heap_bytes: usize,
    encoded: Vec<u8>,
}

impl<A> SpanCache<A> {
    pub(super) fn new(anchor: Anchor, width_ms: i64) -> Self {
        SpanCache {
            anchor,
            width_ms,
            table: HashTable::new(),
            slots: Vec::new(),
            dirty: Vec::new(),
            journal: Journal::new(),
            spans: 0,
            heap_bytes: 0,
            encoded: Vec::new(),
        }
    }

    pub(super) fn pane_of(&self, anchor: Timestamp) -> Timestamp {
        window_key::pane_of(anchor, self.width_ms)
    }

    /// The slot of a key, made when it is missing; then nothing of it is loaded.
    pub(super) fn slot(&mut self, hash: u32, key: ProbeKey<'_>) -> u32 {
        let slots = &mut self.slots;
        let same = |entry: &(u32, u32)| entry.0 == hash && slots[entry.1 as usize].key.is(key);
        match self.table.entry(spread(hash), same, |entry| spread(entry.0)) {
            Entry::Occupied(entry) => entry.get().1,
            Entry::Vacant(entry) => {
                let index = slots.len() as u32;
                self.heap_bytes += key.as_bytes().len();
                slots.push(KeySlot {
                    key: key.to_slot_key(),
                    panes: Vec::new(),
                    loaded_from: Timestamp::MAX,
                    journal: NO_ENTRY,
                    dirty: false,
                });
                entry.insert((hash, index));
                index
            }
        }
    }

    /// Adds what the store has of a slot in a pane.
    pub(super) fn load(&mut self, slot: u32, pane_ms: Timestamp, spans: Vec<Span<A>>) {
        self.spans += spans.len();
        self.heap_bytes += held_bytes(&spans);
        let panes = &mut self.slots[slot as usize].panes;
        let place = panes.partition_point(|pane| pane.start_ms < pane_ms);
        debug_assert!(
            panes.get(place).is_none_or(|pane| pane.start_ms != pane_ms),
            "a pane is read once"
        );
        let pane = SpanPane {
            start_ms: pane_ms,
            spans,
            stored: true,
            dirty: false,
        };
        panes.insert(place, pane);
    }

    /// The spans of a slot, to be read and changed.
    pub(super) fn of_slot<'a>(
        &'a mut self,
        slot: u32,
        serde: &'a SerdeRef<A>,
        emit: SpanEmit<'a, A>,
    ) -> KeySpans<'a, A> {
        KeySpans {
            anchor: self.anchor,
            width_ms: self.width_ms,
            number: slot,
            slot: &mut self.slots[slot as usize],
            dirty: &mut self.dirty,
            journal: &mut self.journal,
            spans: &mut self.spans,
            heap_bytes: &mut self.heap_bytes,
            serde,
            encoded: &mut self.encoded,
            taken: HeldBytes::default(),
            emit,
        }
    }

    /// The span of a slot with these bounds.
    pub(super) fn find(&self, slot: u32, window: Window) -> Option<&Span<A>> {
        let pane_ms = self.pane_of(self.anchor.of(window));
        let panes = &self.slots[slot as usize].panes;
        let pane = panes.iter().rfind(|pane| pane.start_ms == pane_ms)?;
        pane.spans.iter().rfind(|span| span.window == window)
    }

    /// What a span holds was seen when it was written: `before` does not count any more.
    pub(super) fn recount(&mut self, before: usize, after: usize) {
        self.heap_bytes = self.heap_bytes + after - before;
    }

    /// All slots equal the store again.
    pub(super) fn mark_clean(&mut self) {
        for number in std::mem::take(&mut self.dirty) {
            let slot = &mut self.slots[number as usize];
            slot.dirty = false;
            for pane in &mut slot.panes {
                if pane.dirty {
                    (pane.dirty, pane.stored) = (false, !pane.spans.is_empty());
                }
            }
            slot.panes.retain(|pane| pane.stored);
        }
    }

    /// Drops panes that start before `pane_ms` and the slots that have no others. Only when all is clean and told.
    pub(super) fn expire(&mut self, pane_ms: Timestamp) {
        debug_assert!(self.dirty.is_empty() && self.journal.is_empty(), "flushed before");
        let mut kept = SpanCache::new(self.anchor, self.width_ms);
        let mut hashes = vec![0; self.slots.len()];
        self.table
            .iter()
            .for_each(|(hash, slot)| hashes[*slot as usize] = *hash);
        for (mut slot, hash) in std::mem::take(&mut self.slots).into_iter().zip(hashes) {
            slot.panes.retain(|pane| pane.start_ms >= pane_ms);
            if slot.panes.is_empty() {
                continue;
            }
            kept.spans += slot.panes.iter().map(|pane| pane.spans.len()).sum::<usize>();
            kept.heap_bytes += slot.key.as_bytes().len();
            kept.heap_bytes += slot
                .panes
                .iter()
                .map(|pane| held_bytes(&pane.spans))
                .sum::<usize>();
            let index = kept.slots.len() as u32;
            kept.slots.push(slot);
            kept.table
                .insert_unique(spread(hash), (hash, index), |entry| spread(entry.0));
        }
        *self = kept;
    }

    /// Memory used, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * (size_of::<KeySlot<A>>() + size_of::<SpanPane<A>>() + 9)
            + self.spans * size_of::<Span<A>>()
            + self.journal.bytes()
            + self.heap_bytes
    }

    pub(super) fn clear(&mut self) {
        *self = SpanCache::new(self.anchor, self.width_ms);
    }
}

/// What the values of these spans hold.
fn held_bytes<A>(spans: &[Span<A>]) -> usize {
    spans.iter().map(|span| span.held.bytes()).sum()
}

/// A change of a span on its way to the receivers.
pub(in crate::dsl) struct SpanUpdate<A> {
    pub(super) window: Window,
    pub(super) change: Change<A>,
    pub(super) timestamp: Timestamp,
}

/// What becomes of changes.
pub(in crate::dsl) struct SpanEmit<'a, A> {
    /// Every change goes here, in order; none = see `journals`.
    pub(super) updates: Option<&'a mut Vec<SpanUpdate<A>>>,
    /// Changes are noted and told later.
    pub(super) journals: bool,
    /// Changes carry the value before.
    pub(super) old_values: bool,
    /// Those of the record.
    pub(super) headers: &'a Headers,
}

/// The spans of one key while one record is worked on. All that the record may touch is loaded.
pub(in crate::dsl) struct KeySpans<'a, A> {
    anchor: Anchor,
    width_ms: i64,
    number: u32,
    slot: &'a mut KeySlot<A>,
    dirty: &'a mut Vec<u32>,
    journal: &'a mut Journal<A>,
    spans: &'a mut usize,
    heap_bytes: &'a mut usize,
    serde: &'a SerdeRef<A>,
    encoded: &'a mut Vec<u8>,
    /// What this record took out holds; it goes into what it puts.
    taken: HeldBytes,
    emit: SpanEmit<'a, A>,
}

impl<A: Clone + 'static> KeySpans<'_, A> {
    /// Spans whose anchor is at or after `anchor`, ascending.
    pub(super) fn from(&self, anchor: Timestamp) -> impl DoubleEndedIterator<Item = &Span<A>> {
        let pane_ms = window_key::pane_of(anchor, self.width_ms);
        let by = self.anchor;
        let panes = self
            .slot
            .panes
            .iter()
            .filter(move |pane| pane.start_ms >= pane_ms);
        panes
            .flat_map(|pane| &pane.spans)
            .filter(move |span| by.of(span.window) >= anchor)
    }

    /// The span with the anchor of these bounds.
    pub(super) fn get(&self, window: Window) -> Option<&Span<A>> {
        let (pane, span) = self.find(window).ok()?;
        Some(&self.slot.panes[pane].spans[span])
    }

    /// Takes a span out. Its receivers are told with `timestamp`.
    pub(super) fn remove(&mut self, window: Window, timestamp: Timestamp) -> Option<A> {
        let (pane, span) = self.find(window).ok()?;
        let Span { value, held, .. } = self.slot.panes[pane].spans.remove(span);
        *self.spans -= 1;
        *self.heap_bytes -= held.bytes();
        self.taken = self.taken.and(held);
        self.touch(pane);
        self.tell(window, Some((&value, held)), None, timestamp);
        Some(value)
    }

    /// Sets a span; without a value it is removed. Its receivers are told.
    pub(super) fn put(&mut self, window: Window, value: Option<A>, timestamp: Timestamp) {
        let Some(mut value) = value else {
            if self.remove(window, timestamp).is_none() {
                self.tell(window, None, None, timestamp);
            }
            return;
        };
        let found = self.find(window);
        let before = match found {
            Ok((pane, span)) => {
                let held = self.slot.panes[pane].spans[span].held;
                *self.heap_bytes -= held.bytes();
                held
            }
            Err(_) => std::mem::take(&mut self.taken),
        };
        let held = before.settle(&**self.serde, &mut value, self.encoded);
        *self.heap_bytes += held.bytes();
        let told = self.emit.updates.is_some().then(|| value.clone());
        let (pane, old) = match found {
            Ok((pane, span)) => {
                let span = &mut self.slot.panes[pane].spans[span];
                (span.window, span.timestamp, span.held) = (window, timestamp, held);
                (pane, Some(std::mem::replace(&mut span.value, value)))
            }
            Err((pane, place)) => {
                let span = Span {
                    window,
                    value,
                    timestamp,
                    held,
                };
                let pane = self.pane_at(pane, window);
                self.slot.panes[pane].spans.insert(place, span);
                *self.spans += 1;
                (pane, None)
            }
        };
        self.touch(pane);
        self.tell_put(window, old.map(|old| (old, before)), told, timestamp);
    }

    fn tell_put(
        &mut self,
        window: Window,
        old: Option<(A, HeldBytes)>,
        told: Option<A>,
        timestamp: Timestamp,
    ) {
        match &mut self.emit.updates {
            Some(updates) => {
                let old = old.filter(|_| self.emit.old_values);
                let change = Change::latest(told, old.map(|(old, _)| old));
                updates.push(SpanUpdate {
                    window,
                    change,
                    timestamp,
                });
            }
            None if self.emit.journals => {
                let old_values = self.emit.old_values;
                let existed = old.is_some();
                let change = (existed, true);
                let head = &mut self.slot.journal;
                let at = (timestamp, self.emit.headers);
                let entry = self.journal.note(head, self.number, window, change, at);
                if let (Some(entry), Some((old, held)), true) = (entry, old, old_values) {
                    entry.old = Some(old);
                    self.journal.old_bytes += held.bytes();
                }
            }
            None => {}
        }
    }

    fn tell(&mut self, window: Window, old: Option<(&A, HeldBytes)>, new: Option<A>, timestamp: Timestamp) {
        match &mut self.emit.updates {
            Some(updates) => {
                let old = old.filter(|_| self.emit.old_values);
                let change = Change::latest(new, old.map(|(old, _)| old.clone()));
                updates.push(SpanUpdate {
                    window,
                    change,
                    timestamp,
                });
            }
            None if self.emit.journals => {
                let old_values = self.emit.old_values;
                let existed = old.is_some();
                let change = (existed, false);
                let head = &mut self.slot.journal;
                let at = (timestamp, self.emit.headers);
                let entry = self.journal.note(head, self.number, window, change, at);
                if let (Some(entry), Some((old, held)), true) = (entry, old, old_values) {
                    entry.old = Some(old.clone());
                    self.journal.old_bytes += held.bytes();
                }
            }
            None => {}
        }
    }

    /// Place of a span with the anchor of `window`, or where it would be: pane and place in it.
    fn find(&self, window: Window) -> Result<(usize, usize), (usize, usize)> {
        let anchor = self.anchor.of(window);
        let pane_ms = window_key::pane_of(anchor, self.width_ms);
        let panes = &self.slot.panes;
        let pane = panes.partition_point(|pane| pane.start_ms < pane_ms);
        match panes.get(pane).filter(|pane| pane.start_ms == pane_ms) {
            None => Err((pane, 0)),
            Some(found) => match found
                .spans
                .binary_search_by_key(&anchor, |span| self.anchor.of(span.window))
            {
                Ok(place) => Ok((pane, place)),
                Err(place) => Err((pane, place)),
            },
        }
    }

    /// The pane of `window`, which is or belongs at `place`.
    fn pane_at(&mut self, place: usize, window: Window) -> usize {
        let pane_ms = window_key::pane_of(self.anchor.of(window), self.width_ms);
        let panes = &mut self.slot.panes;
        if panes.get(place).is_none_or(|pane| pane.start_ms != pane_ms) {
            let pane = SpanPane {
                start_ms: pane_ms,
                spans: Vec::new(),
                stored: false,
                dirty: false,
            };
            panes.insert(place, pane);
        }
        place
    }

    fn touch(&mut self, pane: usize) {
        self.slot.panes[pane].dirty = true;
        if !self.slot.dirty {
            self.slot.dirty = true;
            self.dirty.push(self.number);
        }
    }
}
