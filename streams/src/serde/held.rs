//! What values in caches hold on the heap: that it is theirs alone, and how much it is.
//!
//! Always true: nothing here is done, or even compiled, for types without a destructor, which hold nothing. A serde that cannot tell the size of a value is
//! asked for its encoding: when the value is new, and when it has changed 2, 4, 8, … times since an encoding was seen, so that a cache costs little more than
//! the encodings it needs anyway. Next: `Serde::detach`, `Serde::heap_bytes`.

use super::Serde;

/// True for types whose values hold nothing but themselves.
pub(crate) const fn is_flat<T>() -> bool {
    !std::mem::needs_drop::<T>()
}

/// Makes a value share nothing with the batch it came in.
#[inline]
pub(crate) fn detach<T: 'static>(serde: &dyn Serde<T>, value: &mut T) {
    if !is_flat::<T>() {
        serde.detach(value);
    }
}

/// Bytes on the heap of a value that takes `encoded` bytes.
pub(crate) fn heap_bytes<T: 'static>(serde: &dyn Serde<T>, value: &T, encoded: usize) -> usize {
    if is_flat::<T>() {
        return 0;
    }
    serde
        .heap_bytes(value)
        .unwrap_or_else(|| encoded.saturating_sub(size_of::<T>()))
}

/// What a value in a cache holds, and how sure that is. Bytes only, so that it fits into the padding of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldBytes {
    bytes: [u8; 4],
    /// Changes since the encoding was seen; 0 = it never was.
    changes: u8,
}

impl HeldBytes {
    /// Changes of a value whose encoding was just seen: the next looks are after two and six more.
    const SEEN: u8 = 2;

    /// Of a value that takes `encoded` bytes.
    pub(crate) fn seen<T: 'static>(serde: &dyn Serde<T>, value: &T, encoded: usize) -> HeldBytes {
        HeldBytes {
            changes: HeldBytes::SEEN,
            ..HeldBytes::default()
        }
        .with_bytes(heap_bytes(serde, value, encoded))
    }

    /// Of a value that holds `bytes`, as was found out otherwise.
    pub(crate) fn of(bytes: usize) -> HeldBytes {
        HeldBytes::default().with_bytes(bytes)
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(self) -> usize {
        u32::from_ne_bytes(self.bytes) as usize
    }

    /// Of a value that is about to be made from this one and another.
    pub(crate) fn and(self, other: HeldBytes) -> HeldBytes {
        HeldBytes {
            changes: self.changes.max(other.changes),
            ..self
        }
        .with_bytes(self.bytes() + other.bytes())
    }

    /// Detaches a value that changed, and looks how much it holds. `encoded` is memory to use.
    pub(crate) fn settle<T: 'static>(
        self,
        serde: &dyn Serde<T>,
        value: &mut T,
        encoded: &mut Vec<u8>,
    ) -> HeldBytes {
        if is_flat::<T>() {
            return self;
        }
        serde.detach(value);
        if let Some(bytes) = serde.heap_bytes(value) {
            return self.with_bytes(bytes);
        }
        // From 128 on every 128th, for ever.
        let changes = self.changes.checked_add(1).unwrap_or(128);
        let held = HeldBytes { changes, ..self };
        if !changes.is_power_of_two() {
            return held;
        }
        encoded.clear();
        match serde.serialize(value, encoded) {
            Ok(()) => held.with_bytes(encoded.len().saturating_sub(size_of::<T>())),
            // Told where it is written, should it still be there then.
            Err(_) => held,
        }
    }

    fn with_bytes(self, bytes: usize) -> HeldBytes {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).to_ne_bytes();
        HeldBytes { bytes, ..self }
    }
}
