//! Values to bytes and back: the [`Serde`] trait, defaults by type, JSON and bincode wrappers.
//!
//! Always true: serialising appends to a buffer of the caller and allocates nothing of its own; a serde has no state; null is a matter of the type
//! (`Option<T>` has one, the others refuse it), so that no operator meets a null it did not ask for.
//! Next: `native.rs` (strings, numbers, bytes), `json.rs`, `bincode.rs`, `option.rs`, `tuple.rs`; `dsl/windowed.rs` for keys of windows.

mod bincode;
pub(crate) mod held;
mod json;
mod native;
mod option;
#[cfg(test)]
mod serde_test;
mod tuple;

use std::any::TypeId;
use std::sync::Arc;

use millpond_log::record::DecodedBatch;

pub use self::bincode::{Bincode, BincodeSerde};
pub use self::json::{Json, JsonSerde};
pub use self::native::Native;
pub use self::option::OptionSerde;
pub use self::tuple::TupleSerde;

/// What may flow through a stream: anything owned that can be cloned (for a second consumer of the same stream) and sent to a worker thread.
pub trait Data: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> Data for T {}

/// A serde behind a pointer, as the DSL keeps it.
pub type SerdeRef<T> = Arc<dyn Serde<T>>;

/// Why bytes are not a value, or a value cannot become bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SerdeError {
    /// Null, where the type has no place for it.
    #[error("null, but the type has no null; read it as Option<_> to allow it")]
    Null,
    /// A fixed-width value of another width.
    #[error("{actual} bytes where {type_name} takes {expected}")]
    Width {
        /// The Rust type.
        type_name: &'static str,
        /// Its width.
        expected: usize,
        /// The width found.
        actual: usize,
    },
    /// Text that is not UTF-8.
    #[error("not UTF-8")]
    Utf8(#[from] std::str::Utf8Error),
    /// The format's own complaint.
    #[error("not valid {format}: {cause}")]
    Format {
        /// "JSON", "bincode", …
        format: &'static str,
        /// What is wrong.
        cause: String,
    },
}

/// Turns values of `T` into bytes and back.
///
/// ```
/// use millpond_streams::serde::{DefaultSerde, Serde};
///
/// let serde = i64::default_serde();
/// let mut bytes = Vec::new();
/// serde.serialize(&7, &mut bytes).unwrap();
/// assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 7]); // as Kafka's LongSerializer
/// assert_eq!(serde.deserialize(&bytes).unwrap(), 7);
/// assert!(serde.null().is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot turn `{T}` into bytes and back",
    note = "use a type with a default serde (String, integers, Bytes, Json<T>, Bincode<T>, Option<_>, tuples of these), or implement `Serde<{T}>`"
)]
pub trait Serde<T>: Send + Sync + 'static {
    /// Appends the bytes of `value` to `out`. Not called for values that `is_null`.
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError>;

    /// Reads a value from exactly these bytes.
    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError>;

    /// As `deserialize`, where `bytes` lie in `owner`, so that a value may share them instead of copying.
    fn deserialize_shared(&self, bytes: &[u8], _owner: &DecodedBatch) -> Result<T, SerdeError> {
        self.deserialize(bytes)
    }

    /// Makes `value` own its memory, if [`deserialize_shared`](Serde::deserialize_shared) may have given it a share of a batch: such a share keeps the whole
    /// batch in memory. Called for keys and values that stay in caches when their batch is through. The value stays equal to itself. Whoever overrides
    /// `deserialize_shared` overrides this, too; wrappers pass it on.
    fn detach(&self, _value: &mut T) {}

    /// Bytes that `value` holds on the heap, or none when only its encoding tells; then caches take the length of that, less the size of the type.
    fn heap_bytes(&self, _value: &T) -> Option<usize> {
        None
    }

    /// The value null stands for, if the type has one.
    fn null(&self) -> Result<T, SerdeError> {
        Err(SerdeError::Null)
    }

    /// True when `value` is written as null.
    fn is_null(&self, _value: &T) -> bool {
        false
    }
}

/// Types with a serde of their own, so that a source is one line.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default serde",
    note = "keys and values are owned: what a closure takes out of a borrowed key or value it must clone",
    note = "a type of yours: give it one with `json_serde!({Self})` or `bincode_serde!({Self})`; another's: wrap it as `Json<{Self}>` or `Bincode<{Self}>`; or name a serde with `Consumed::with`, `Produced::with`, `Grouped::with` or `Materialized::with`"
)]
pub trait DefaultSerde: Sized + 'static {
    /// The type's serde.
    fn default_serde() -> SerdeRef<Self>;
}

/// True for `()`, whose one value is null: whoever keeps values or leaves null ones out would do nothing, in silence.
pub(crate) fn is_unit<T: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<()>()
}

/// Key or value of a record from its bytes or null.
pub(crate) fn read<T: 'static>(
    serde: &dyn Serde<T>,
    bytes: Option<&[u8]>,
    owner: &DecodedBatch,
) -> Result<T, SerdeError> {
    match bytes {
        Some(bytes) => serde.deserialize_shared(bytes, owner),
        None => serde.null(),
    }
}

/// Bytes of `value` appended to `out`, or none for null.
pub(crate) fn write<T: 'static>(
    serde: &dyn Serde<T>,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<Option<usize>, SerdeError> {
    if serde.is_null(value) {
        return Ok(None);
    }
    let start = out.len();
    serde.serialize(value, out)?;
    Ok(Some(out.len() - start))
}
