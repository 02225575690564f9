//! Writing changed aggregates to the store, a chunk at a time: each key and value is encoded once; the same bytes go to the changelog later.

use super::super::pane_cache::Pane;
use super::AggregateSettings;
use super::paning::Paning;
use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::serde::Data;
use crate::serde::held::{HeldBytes, is_flat};
use crate::state::{KeyBatch, StoreIndex, ValueEnvelope};

#[derive(Default)]
pub(super) struct FlushBuffers {
    put_keys: KeyBatch,
    values: Vec<u8>,
    value_ends: Vec<usize>,
    delete_keys: KeyBatch,
    encoded: Vec<u8>,
}

impl FlushBuffers {
    fn clear(&mut self) {
        self.put_keys.clear();
        self.values.clear();
        self.value_ends.clear();
        self.delete_keys.clear();
    }

    fn value(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.value_ends[before]);
        &self.values[start..self.value_ends[number]]
    }
}

pub(super) struct Fill<'a, K, V, A, P> {
    pub(super) settings: &'a AggregateSettings<K, V, A>,
    pub(super) panes: P,
    pub(super) pane: &'a mut Pane<A>,
    /// The store may hold what it did not hold at the last commit.
    pub(super) deletes_all: bool,
}

impl<K: Data, V: Data, A: Data, P: Paning<K>> Fill<'_, K, V, A, P> {
    pub(super) fn write(
        &mut self,
        chunk: &[u32],
        buffers: &mut FlushBuffers,
        store: StoreIndex,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        buffers.clear();
        self.fill(chunk, buffers)
            .map_err(|cause| ProcessError::node(context.node(), cause))?;
        let mut store = context.store(store);
        store.put_many(&buffers.put_keys, |number| buffers.value(number));
        buffers.delete_keys.iter().for_each(|key| store.delete(key));
        Ok(())
    }

    /// Encodes the slots of a chunk: each key and value once; the same bytes go to the changelog later.
    fn fill(&mut self, chunk: &[u32], buffers: &mut FlushBuffers) -> Result<(), BoxError> {
        for index in chunk {
            let slot = &self.pane.slots[*index as usize];
            let write_key = |out: &mut Vec<u8>| {
                self.panes.store_key(self.pane.start_ms, slot.key.as_bytes(), out);
            };
            match &slot.value {
                Some(value) => {
                    buffers.put_keys.push_with(write_key);
                    buffers.encoded.clear();
                    self.settings.aggregate.serialize(value, &mut buffers.encoded)?;
                    ValueEnvelope::append_plain(slot.timestamp, &buffers.encoded, &mut buffers.values);
                    buffers.value_ends.push(buffers.values.len());
                    if !is_flat::<A>() {
                        let held = HeldBytes::seen(&*self.settings.aggregate, value, buffers.encoded.len());
                        self.pane.set_held(*index, held);
                    }
                }
                None if slot.was_there || self.deletes_all => buffers.delete_keys.push_with(write_key),
                None => {}
            }
        }
        Ok(())
    }
}
