//! Bincode 2 through serde: compact, for topics and stores only Rust reads.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{DefaultSerde, Serde, SerdeError, SerdeRef};

/// A value that travels as bincode (standard configuration: little endian, variable-length integers). Dereferences to what it wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bincode<T>(pub T);

/// Bincode for any type serde knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BincodeSerde;

impl<T: Serialize + DeserializeOwned + 'static> Serde<T> for BincodeSerde {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        bincode::serde::encode_into_std_write(value, out, bincode::config::standard())
            .map(|_| ())
            .map_err(complaint)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        let (value, read) =
            bincode::serde::decode_from_slice(bytes, bincode::config::standard()).map_err(complaint)?;
        if read != bytes.len() {
            let cause = format!("{} bytes are left over", bytes.len() - read);
            return Err(SerdeError::Format {
                format: "bincode",
                cause,
            });
        }
        Ok(value)
    }
}

fn complaint(error: impl std::fmt::Display) -> SerdeError {
    SerdeError::Format {
        format: "bincode",
        cause: error.to_string(),
    }
}

impl<T: Serialize + DeserializeOwned + 'static> DefaultSerde for Bincode<T> {
    fn default_serde() -> SerdeRef<Bincode<T>> {
        Arc::new(BincodeSerde)
    }
}

/// Makes bincode the default serde of types of yours, so that streams and stores are made of them as they are, without [`Bincode`] around
/// them. They need `Serialize` and `Deserialize`. Bincode writes no names: a type that gets, loses or reorders fields cannot read what it wrote before.
///
/// ```
/// use millpond_streams::bincode_serde;
/// use millpond_streams::dsl::StreamsBuilder;
///
/// #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// struct Mean { sum: f64, count: u64 }
///
/// bincode_serde!(Mean);
///
/// let builder = StreamsBuilder::new();
/// let means = builder.stream::<String, f64>("readings").group_by_key();
/// means.aggregate("means", Mean::default, |_, reading, mean| Mean { sum: mean.sum + reading, count: mean.count + 1 });
/// ```
#[macro_export]
macro_rules! bincode_serde {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::serde::DefaultSerde for $type {
            fn default_serde() -> $crate::serde::SerdeRef<$type> {
                ::std::sync::Arc::new($crate::serde::BincodeSerde)
            }
        }
    )+};
}

impl<T> std::ops::Deref for Bincode<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Bincode<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
