//! JSON through serde.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{DefaultSerde, Serde, SerdeError, SerdeRef};

/// A value that travels as JSON. Dereferences to what it wraps.
///
/// ```
/// use millpond_streams::serde::{DefaultSerde, Json};
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Order { amount: f64 }
///
/// let order = Json::<Order>::default_serde().deserialize(br#"{"amount": 2.5}"#).unwrap();
/// assert_eq!(order.amount, 2.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

/// JSON for any type serde knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonSerde;

impl<T: Serialize + DeserializeOwned + 'static> Serde<T> for JsonSerde {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        serde_json::to_writer(out, value).map_err(|error| SerdeError::Format {
            format: "JSON",
            cause: error.to_string(),
        })
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        serde_json::from_slice(bytes).map_err(|error| SerdeError::Format {
            format: "JSON",
            cause: error.to_string(),
        })
    }
}

impl<T: Serialize + DeserializeOwned + 'static> DefaultSerde for Json<T> {
    fn default_serde() -> SerdeRef<Json<T>> {
        Arc::new(JsonSerde)
    }
}

/// Makes JSON the default serde of types of yours, so that streams are made of them as they are, without [`Json`] around them. They need
/// `Serialize` and `Deserialize`.
///
/// ```
/// use millpond_streams::dsl::StreamsBuilder;
/// use millpond_streams::json_serde;
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Order { amount: f64 }
///
/// json_serde!(Order);
///
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, Order>("orders").filter(|_, order| order.amount > 100.0).to("large-orders");
/// ```
#[macro_export]
macro_rules! json_serde {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::serde::DefaultSerde for $type {
            fn default_serde() -> $crate::serde::SerdeRef<$type> {
                ::std::sync::Arc::new($crate::serde::JsonSerde)
            }
        }
    )+};
}

impl<T> std::ops::Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
