//! Pairs, triples and quadruples of what has a serde: keys of several parts without a type of their own.
//!
//! ```text
//! for each part:  length i32, big-endian, −1 for null | its bytes
//! ```
//! Always true: bytes that are left over or missing are refused. Sorted as bytes, tuples sort by the lengths of their parts first; a walk over one first part is
//! a walk over a prefix.

use std::sync::Arc;

use super::{DefaultSerde, Serde, SerdeError, SerdeRef};

/// Writes tuples part by part, each with its own serde.
///
/// ```
/// use millpond_streams::serde::{DefaultSerde, Serde};
///
/// let serde = <(String, u16)>::default_serde();
/// let mut bytes = Vec::new();
/// serde.serialize(&("JFK".to_owned(), 7), &mut bytes)?;
/// assert_eq!(bytes, [0, 0, 0, 3, b'J', b'F', b'K', 0, 0, 0, 2, 0, 7]);
/// assert_eq!(serde.deserialize(&bytes)?, ("JFK".to_owned(), 7));
/// # Ok::<(), millpond_streams::serde::SerdeError>(())
/// ```
pub struct TupleSerde<S>(pub S);

/// Stands for null where a length is written.
const NULL: i32 = -1;

fn damaged(cause: &str) -> SerdeError {
    SerdeError::Format {
        format: "tuple",
        cause: cause.to_owned(),
    }
}

fn write_part<T: 'static>(serde: &SerdeRef<T>, part: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    if serde.is_null(part) {
        out.extend_from_slice(&NULL.to_be_bytes());
        return Ok(());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    serde.serialize(part, out)?;
    let length = i32::try_from(out.len() - start - 4).map_err(|_| damaged("a part is above 2 GiB"))?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn read_part<T: 'static>(serde: &SerdeRef<T>, bytes: &mut &[u8]) -> Result<T, SerdeError> {
    let (length, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or_else(|| damaged("it ends before a length"))?;
    let length = i32::from_be_bytes(*length);
    if length == NULL {
        *bytes = rest;
        return serde.null();
    }
    let length = usize::try_from(length).map_err(|_| damaged("a length is negative"))?;
    let (part, rest) = rest
        .split_at_checked(length)
        .ok_or_else(|| damaged("it ends within a part"))?;
    *bytes = rest;
    serde.deserialize(part)
}

macro_rules! tuple_serde {
    ($($part:ident $place:tt),+) => {
        impl<$($part: 'static),+> Serde<($($part,)+)> for TupleSerde<($(SerdeRef<$part>,)+)> {
            fn serialize(&self, value: &($($part,)+), out: &mut Vec<u8>) -> Result<(), SerdeError> {
                $(write_part(&self.0.$place, &value.$place, out)?;)+
                Ok(())
            }

            fn deserialize(&self, mut bytes: &[u8]) -> Result<($($part,)+), SerdeError> {
                let value = ($(read_part(&self.0.$place, &mut bytes)?,)+);
                match bytes {
                    [] => Ok(value),
                    _ => Err(damaged("bytes are left over")),
                }
            }

            fn detach(&self, value: &mut ($($part,)+)) {
                $(self.0.$place.detach(&mut value.$place);)+
            }

            fn heap_bytes(&self, value: &($($part,)+)) -> Option<usize> {
                Some(0 $(+ self.0.$place.heap_bytes(&value.$place)?)+)
            }
        }

        impl<$($part: DefaultSerde),+> DefaultSerde for ($($part,)+) {
            fn default_serde() -> SerdeRef<($($part,)+)> {
                Arc::new(TupleSerde(($($part::default_serde(),)+)))
            }
        }
    };
}

tuple_serde!(A 0, B 1);
tuple_serde!(A 0, B 1, C 2);
tuple_serde!(A 0, B 1, C 2, D 3);
