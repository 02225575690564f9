//! What the receivers of a table of spans were not told yet.
//!
//! Always true: one entry per span that differs from what was told last; a span that came and went in between has none. Entries of a key are chained,
//! for a key rarely has more than two. They are told in the order of the last change of each, as Kafka Streams' record cache does.

use millpond_log::types::Timestamp;

use crate::dsl::Window;
use crate::processor::Headers;

/// End of a chain.
pub(super) const NO_ENTRY: u32 = u32::MAX;

/// A span that changed.
pub(super) struct Untold<A> {
    pub(super) slot: u32,
    pub(super) window: Window,
    /// The value that was told last, when somebody wants it.
    pub(super) old: Option<A>,
    /// Of the change, should it prove a removal.
    pub(super) timestamp: Timestamp,
    /// Of the record that made the change.
    pub(super) headers: Headers,
    /// Receivers know a value.
    pub(super) was_told: bool,
    order: u64,
    next: u32,
}

pub(super) struct Journal<A> {
    entries: Vec<Option<Untold<A>>>,
    vacant: Vec<u32>,
    order: u64,
    /// What the values in `old` hold on the heap.
    pub(super) old_bytes: usize,
}

impl<A> Journal<A> {
    pub(super) fn new() -> Self {
        Journal {
            entries: Vec::new(),
            vacant: Vec::new(),
            order: 0,
            old_bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.len() == self.vacant.len()
    }

    /// Notes a change of a span: whether it was there before and is there now. Returns the entry if it is new, so that the value before can be kept.
    pub(super) fn note(
        &mut self,
        head: &mut u32,
        slot: u32,
        window: Window,
        (was_there, is_there): (bool, bool),
        (timestamp, headers): (Timestamp, &Headers),
    ) -> Option<&mut Untold<A>> {
        self.order += 1;
        let mut before = NO_ENTRY;
        let mut at = *head;
        while let Some(entry) = self.entries.get_mut(at as usize).and_then(Option::as_mut) {
            if entry.window == window {
                (entry.order, entry.timestamp) = (self.order, timestamp);
                entry.headers.become_those_of(headers);
                if !is_there && !entry.was_told {
                    let next = entry.next;
                    self.unlink(head, before, at, next);
                }
                return None;
            }
            (before, at) = (at, entry.next);
        }
        if !was_there && !is_there {
            return None;
        }
        let entry = Some(Untold {
            slot,
            window,
            old: None,
            timestamp,
            headers: headers.clone(),
            was_told: was_there,
            order: self.order,
            next: *head,
        });
        let number = match self.vacant.pop() {
            Some(number) => number,
            None => {
                self.entries.push(None);
                (self.entries.len() - 1) as u32
            }
        };
        *head = number;
        self.entries[number as usize] = entry;
        self.entries[number as usize].as_mut()
    }

    /// Takes all entries, in order. The chains' heads must be reset.
    pub(super) fn drain(&mut self) -> Vec<Untold<A>> {
        self.vacant.clear();
        self.old_bytes = 0;
        let mut entries: Vec<_> = self.entries.drain(..).flatten().collect();
        entries.sort_unstable_by_key(|entry| entry.order);
        entries
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Option<Untold<A>>>() + self.old_bytes
    }

    fn unlink(&mut self, head: &mut u32, before: u32, at: u32, next: u32) {
        match self.entries.get_mut(before as usize).and_then(Option::as_mut) {
            Some(entry) => entry.next = next,
            None => *head = next,
        }
        self.entries[at as usize] = None;
        self.vacant.push(at);
    }
}
