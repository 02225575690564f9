//! `ListStore`: any number of values per key, each an entry of its own, so that adding one to a long list writes one entry and not the list.
//!
//! ```text
//! length of key u32 | key                → first u64 | end u64    numbers of the elements the list may have; absent = no list
//! length of key u32 | key | number u64   → the element
//! ```
//! All numbers big-endian. Always true: elements have numbers in `[first, end)`, and `first < end`. Numbers are never used twice while the list has an element.

use std::any::Any;

use super::access::{StateContext, UNBOUND, append_key, collect_range, envelope_of, failed};
use super::builder::{StateStore, StoreDefinition};
use crate::processor::ProcessError;
use crate::serde::{Data, DefaultSerde, SerdeRef};
use crate::state::{KeyRange, StoreIndex, ValueEnvelope};

/// Any number of values per key, in the order they were added. Got in `init` from [`ProcessorInit::store`](crate::dsl::ProcessorInit::store).
pub struct ListStore<K, V> {
    name: String,
    key: SerdeRef<K>,
    value: SerdeRef<V>,
    store: StoreIndex,
}

impl<K, V> Clone for ListStore<K, V> {
    fn clone(&self) -> Self {
        ListStore {
            name: self.name.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
            store: self.store,
        }
    }
}

/// Numbers of a list's elements, `first` included, `end` not.
#[derive(Clone, Copy)]
struct Span {
    first: u64,
    end: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Damaged(&'static str);

/// A handle to be assigned in `init`; used before, its calls err.
impl<K: Data + DefaultSerde, V: Data + DefaultSerde> Default for ListStore<K, V> {
    fn default() -> Self {
        ListStore::new("", K::default_serde(), V::default_serde())
    }
}

impl<K: Data, V: Data> ListStore<K, V> {
    pub(super) fn new(name: &str, key: SerdeRef<K>, value: SerdeRef<V>) -> Self {
        ListStore {
            name: name.to_owned(),
            key,
            value,
            store: UNBOUND,
        }
    }

    /// Adds a value at the end of a key's list.
    /// # Errors
    /// When the value is null: a list has no place for it.
    pub fn push(&self, context: &mut impl StateContext, key: &K, value: &V) -> Result<(), ProcessError> {
        let list = self.list_key(key, context)?;
        let Some(value) = envelope_of(value, context.timestamp(), &self.value, context)? else {
            return Err(failed(context, Damaged("a list has no place for a null value")));
        };
        let span = self.span(&list, context)?.unwrap_or(Span { first: 0, end: 0 });
        context
            .store_ref(self.store)?
            .put(&element_key(&list, span.end), value);
        let end = span.end + 1;
        self.set_span(&list, Span { end, ..span }, context)
    }

    /// The values of a key, oldest first; empty when there is none.
    pub fn get(&self, context: &mut impl StateContext, key: &K) -> Result<Vec<V>, ProcessError> {
        let list = self.list_key(key, context)?;
        let Some(span) = self.span(&list, context)? else {
            return Ok(Vec::new());
        };
        let range = KeyRange::between(element_key(&list, span.first), element_key(&list, span.end));
        collect_range(self.store, &range, context, |_, stored| Some(self.read(stored)))?
            .into_iter()
            .collect()
    }

    /// Number of values of a key.
    pub fn len(&self, context: &mut impl StateContext, key: &K) -> Result<u64, ProcessError> {
        let list = self.list_key(key, context)?;
        Ok(self.span(&list, context)?.map_or(0, |span| span.end - span.first))
    }

    /// Whether a key has no value.
    pub fn is_empty(&self, context: &mut impl StateContext, key: &K) -> Result<bool, ProcessError> {
        Ok(self.len(context, key)? == 0)
    }

    /// Takes the oldest value of a key off its list.
    pub fn pop_front(&self, context: &mut impl StateContext, key: &K) -> Result<Option<V>, ProcessError> {
        let list = self.list_key(key, context)?;
        let Some(span) = self.span(&list, context)? else {
            return Ok(None);
        };
        let element = element_key(&list, span.first);
        let Some(stored) = context.store_ref(self.store)?.get(&element)? else {
            return Err(failed(context, Damaged("an element of a list is missing")));
        };
        let value = self.read(&stored)?;
        context.store_ref(self.store)?.delete(&element);
        let first = span.first + 1;
        self.set_span(&list, Span { first, ..span }, context)?;
        Ok(Some(value))
    }

    /// Removes all values of a key; returns them, oldest first.
    pub fn take(&self, context: &mut impl StateContext, key: &K) -> Result<Vec<V>, ProcessError> {
        let values = self.get(context, key)?;
        let list = self.list_key(key, context)?;
        if let Some(span) = self.span(&list, context)? {
            let mut store = context.store_ref(self.store)?;
            for number in span.first..span.end {
                store.delete(&element_key(&list, number));
            }
            store.delete(&list);
        }
        Ok(values)
    }

    /// Every key with its values, keys in no useful order.
    pub fn all(&self, context: &mut impl StateContext) -> Result<Vec<(K, Vec<V>)>, ProcessError> {
        let entries = collect_range(self.store, &KeyRange::all(), context, |key, stored| {
            Some(self.read_any(key, stored))
        })?;
        let mut lists: Vec<(K, Vec<V>)> = Vec::new();
        for entry in entries {
            match (entry?, lists.last_mut()) {
                (Entry::List(key), _) => lists.push((key, Vec::new())),
                (Entry::Element(value), Some((_, values))) => values.push(value),
                (Entry::Element(_), None) => {
                    return Err(failed(context, Damaged("an element belongs to no list")));
                }
            }
        }
        Ok(lists)
    }

    fn read_any(&self, key: &[u8], stored: &[u8]) -> Result<Entry<K, V>, ProcessError> {
        let damaged = || ProcessError::node(&self.name, Damaged("a key of a list is cut short"));
        let (len, rest) = key.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (key, number) = rest
            .split_at_checked(u32::from_be_bytes(*len) as usize)
            .ok_or_else(damaged)?;
        if number.is_empty() {
            let key = self.key.deserialize(key);
            return Ok(Entry::List(
                key.map_err(|cause| ProcessError::node(&self.name, cause))?,
            ));
        }
        Ok(Entry::Element(self.read(stored)?))
    }

    fn read(&self, stored: &[u8]) -> Result<V, ProcessError> {
        let envelope = ValueEnvelope::parse(stored).map_err(|cause| ProcessError::node(&self.name, cause))?;
        let value = self.value.deserialize(envelope.value);
        value.map_err(|cause| ProcessError::node(&self.name, cause))
    }

    /// Length and bytes of a key: the beginning of every entry of its list, and of none of another's.
    fn list_key(&self, key: &K, context: &impl StateContext) -> Result<Vec<u8>, ProcessError> {
        let mut bytes = vec![0; 4];
        append_key(key, &self.key, &mut bytes, context)?;
        let len = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&len.to_be_bytes());
        Ok(bytes)
    }

    fn span(&self, list: &[u8], context: &mut impl StateContext) -> Result<Option<Span>, ProcessError> {
        let found = context.store_ref(self.store)?.get(list)?;
        let Some(found) = found else { return Ok(None) };
        let read = || {
            let numbers: &[u8; 16] = ValueEnvelope::parse(&found).ok()?.value.try_into().ok()?;
            let (first, end) = numbers.split_at(8);
            Some(Span {
                first: u64::from_be_bytes(first.try_into().ok()?),
                end: u64::from_be_bytes(end.try_into().ok()?),
            })
        };
        match read() {
            Some(span) => Ok(Some(span)),
            None => Err(failed(
                context,
                Damaged("the numbers of a list are not two numbers"),
            )),
        }
    }

    fn set_span(&self, list: &[u8], span: Span, context: &mut impl StateContext) -> Result<(), ProcessError> {
        let timestamp = context.timestamp();
        let mut store = context.store_ref(self.store)?;
        if span.first == span.end {
            store.delete(list);
            return Ok(());
        }
        let mut numbers = [0; 16];
        numbers[..8].copy_from_slice(&span.first.to_be_bytes());
        numbers[8..].copy_from_slice(&span.end.to_be_bytes());
        store.put(list, ValueEnvelope::plain(timestamp, &numbers));
        Ok(())
    }
}

enum Entry<K, V> {
    List(K),
    Element(V),
}

fn element_key(list: &[u8], number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(list.len() + 8);
    key.extend_from_slice(list);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

impl<K: Data, V: Data> StateStore for ListStore<K, V> {
    fn bind(
        &self,
        index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    ) -> Result<Self, ProcessError> {
        Ok(ListStore {
            store: index_of(&self.name)?,
            ..self.clone()
        })
    }
}

impl<K: Data, V: Data> StoreDefinition for ListStore<K, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }
}
