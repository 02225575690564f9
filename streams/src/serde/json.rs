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
