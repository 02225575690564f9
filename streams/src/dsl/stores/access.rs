//! How a typed handle reaches its bytes: the context of the running processor, and helpers that every kind of store uses.

use millpond_log::types::Timestamp;

use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::serde::{self, SerdeRef};
use crate::state::{KeyRange, StoreIndex, StoreRef, ValueEnvelope};

/// What a store handle needs of the context it is called with: every context of a processor is one.
pub trait StateContext: sealed::Sealed {
    /// The bytes of a store. Errs for a handle that was not looked up.
    #[doc(hidden)]
    fn store_ref(&mut self, store: StoreIndex) -> Result<StoreRef<'_>, ProcessError>;

    /// Name of the running node.
    #[doc(hidden)]
    fn node_name(&self) -> &str;

    /// Stream time in ms, [`NO_TIME`](crate::processor::NO_TIME) before it is known.
    fn stream_time(&self) -> Timestamp;

    /// Timestamp of the record that is being worked on; in punctuators and timers the time they were called at.
    fn timestamp(&self) -> Timestamp;
}

pub(in crate::dsl) mod sealed {
    pub trait Sealed {}
}

/// Place of the stores of a handle that was not looked up: none.
pub(super) const UNBOUND: StoreIndex = StoreIndex::new(u32::MAX);

/// A handle was used as it was declared.
#[derive(Debug, thiserror::Error)]
#[error("a store was used that was not looked up: assign `context.store(name)?` to it in `init`")]
struct NotLookedUp;

/// Errs for a handle that was not looked up.
pub(in crate::dsl) fn bound(store: StoreIndex, node: &str) -> Result<(), ProcessError> {
    match store {
        UNBOUND => Err(ProcessError::node(node, NotLookedUp)),
        _ => Ok(()),
    }
}

impl sealed::Sealed for ProcessContext<'_> {}

impl StateContext for ProcessContext<'_> {
    fn store_ref(&mut self, store: StoreIndex) -> Result<StoreRef<'_>, ProcessError> {
        bound(store, self.node())?;
        Ok(self.store(store))
    }

    fn node_name(&self) -> &str {
        self.node()
    }

    fn stream_time(&self) -> Timestamp {
        ProcessContext::stream_time(self)
    }

    fn timestamp(&self) -> Timestamp {
        ProcessContext::stream_time(self)
    }
}

/// An error of a serde, or of bytes that are not what was written, as the running node's.
pub(super) fn failed(context: &impl StateContext, cause: impl Into<BoxError>) -> ProcessError {
    ProcessError::node(context.node_name(), cause)
}

/// A key cannot be null.
#[derive(Debug, thiserror::Error)]
#[error("a store has no place for a null key")]
struct NullKey;

/// Appends the bytes of a key.
pub(super) fn append_key<K: 'static>(
    key: &K,
    serde: &SerdeRef<K>,
    out: &mut Vec<u8>,
    context: &impl StateContext,
) -> Result<(), ProcessError> {
    match serde::write(&**serde, key, out) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(failed(context, NullKey)),
        Err(cause) => Err(failed(context, cause)),
    }
}

/// The bytes of a value in its envelope; none when the value is null, which is a deletion.
pub(super) fn envelope_of<V: 'static>(
    value: &V,
    timestamp: Timestamp,
    serde: &SerdeRef<V>,
    context: &impl StateContext,
) -> Result<Option<Vec<u8>>, ProcessError> {
    let mut bytes = ValueEnvelope::plain(timestamp, &[]);
    match serde::write(&**serde, value, &mut bytes) {
        Ok(written) => Ok(written.map(|_| bytes)),
        Err(cause) => Err(failed(context, cause)),
    }
}

/// What a stored value says.
pub(super) fn open_envelope<V: 'static>(
    bytes: &[u8],
    serde: &SerdeRef<V>,
    context: &impl StateContext,
) -> Result<(V, Timestamp), ProcessError> {
    let envelope = ValueEnvelope::parse(bytes).map_err(|cause| failed(context, cause))?;
    let value = serde
        .deserialize(envelope.value)
        .map_err(|cause| failed(context, cause))?;
    Ok((value, envelope.timestamp))
}

/// What `take` makes of the entries in a range, in key order.
pub(super) fn collect_range<T>(
    store: StoreIndex,
    range: &KeyRange,
    context: &mut impl StateContext,
    mut take: impl FnMut(&[u8], &[u8]) -> Option<T>,
) -> Result<Vec<T>, ProcessError> {
    let mut taken = Vec::new();
    let mut store = context.store_ref(store)?;
    let mut scan = store.scan(range)?;
    while let Some((key, value)) = scan.next_entry()? {
        taken.extend(take(key, value));
    }
    Ok(taken)
}

/// Keys in `[from, to]`, both included; none is open.
pub(super) fn closed_range(from: Option<Vec<u8>>, to: Option<Vec<u8>>) -> KeyRange {
    KeyRange {
        from: from.unwrap_or_default(),
        to: to.map(|mut to| {
            // The next key in byte order.
            to.push(0);
            to
        }),
    }
}
