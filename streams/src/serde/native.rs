//! Strings, numbers, booleans and bytes, as Kafka's own serializers write them.

use std::sync::Arc;

use bytes::Bytes;
use millpond_log::record::DecodedBatch;

use super::{DefaultSerde, Serde, SerdeError, SerdeRef};

/// Kafka's formats: text as UTF-8, integers and floats big endian, booleans as one byte, `()` as null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Native;

macro_rules! fixed_width {
    ($($type:ty),*) => {$(
        impl Serde<$type> for Native {
            fn serialize(&self, value: &$type, out: &mut Vec<u8>) -> Result<(), SerdeError> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(())
            }

            fn deserialize(&self, bytes: &[u8]) -> Result<$type, SerdeError> {
                let fixed = bytes.try_into().map_err(|_| SerdeError::Width {
                    type_name: stringify!($type),
                    expected: size_of::<$type>(),
                    actual: bytes.len(),
                })?;
                Ok(<$type>::from_be_bytes(fixed))
            }

            fn heap_bytes(&self, _value: &$type) -> Option<usize> {
                Some(0)
            }
        }
    )*};
}

fixed_width!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64);

impl Serde<bool> for Native {
    fn serialize(&self, value: &bool, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(u8::from(*value));
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<bool, SerdeError> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(SerdeError::Format {
                format: "boolean",
                cause: format!("byte {other} is neither 0 nor 1"),
            }),
            _ => Err(SerdeError::Width {
                type_name: "bool",
                expected: 1,
                actual: bytes.len(),
            }),
        }
    }

    fn heap_bytes(&self, _value: &bool) -> Option<usize> {
        Some(0)
    }
}

impl Serde<String> for Native {
    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<String, SerdeError> {
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }

    fn heap_bytes(&self, value: &String) -> Option<usize> {
        Some(value.capacity())
    }
}

/// Shared text: cloning it for a second consumer copies nothing.
impl Serde<Arc<str>> for Native {
    fn serialize(&self, value: &Arc<str>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Arc<str>, SerdeError> {
        Ok(Arc::from(std::str::from_utf8(bytes)?))
    }

    fn heap_bytes(&self, value: &Arc<str>) -> Option<usize> {
        Some(value.len())
    }
}

impl Serde<Vec<u8>> for Native {
    fn serialize(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Vec<u8>, SerdeError> {
        Ok(bytes.to_vec())
    }

    fn heap_bytes(&self, value: &Vec<u8>) -> Option<usize> {
        Some(value.capacity())
    }
}

/// Borrowed from the fetched batch, never copied on the way in; copied by who keeps it.
impl Serde<Bytes> for Native {
    fn serialize(&self, value: &Bytes, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Bytes, SerdeError> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn deserialize_shared(&self, bytes: &[u8], owner: &DecodedBatch) -> Result<Bytes, SerdeError> {
        Ok(owner.slice_of(bytes))
    }

    /// Always a copy: bytes do not tell what they are a slice of, and the last slice of a batch is as dear as the first.
    fn detach(&self, value: &mut Bytes) {
        *value = Bytes::copy_from_slice(value);
    }

    fn heap_bytes(&self, value: &Bytes) -> Option<usize> {
        Some(value.len())
    }
}

/// For keys or values nobody looks at: anything reads as `()`, and `()` is written as null.
impl Serde<()> for Native {
    fn serialize(&self, _value: &(), _out: &mut Vec<u8>) -> Result<(), SerdeError> {
        Ok(())
    }

    fn deserialize(&self, _bytes: &[u8]) -> Result<(), SerdeError> {
        Ok(())
    }

    fn heap_bytes(&self, _value: &()) -> Option<usize> {
        Some(0)
    }

    fn null(&self) -> Result<(), SerdeError> {
        Ok(())
    }

    fn is_null(&self, _value: &()) -> bool {
        true
    }
}

macro_rules! default_native {
    ($($type:ty),*) => {$(
        impl DefaultSerde for $type {
            fn default_serde() -> SerdeRef<$type> {
                Arc::new(Native)
            }
        }
    )*};
}

default_native!(
    i8,
    i16,
    i32,
    i64,
    i128,
    u8,
    u16,
    u32,
    u64,
    u128,
    f32,
    f64,
    bool,
    String,
    Arc<str>,
    Vec<u8>,
    Bytes,
    ()
);
