//! `Option<T>`: `None` is null, on the wire and in stores (where it means "no entry").

use std::sync::Arc;

use millpond_log::record::DecodedBatch;

use super::{DefaultSerde, Serde, SerdeError, SerdeRef};

/// Null or what the inner serde says.
pub struct OptionSerde<T>(pub SerdeRef<T>);

impl<T: 'static> Serde<Option<T>> for OptionSerde<T> {
    fn serialize(&self, value: &Option<T>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        value
            .as_ref()
            .map_or(Ok(()), |value| self.0.serialize(value, out))
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Option<T>, SerdeError> {
        self.0.deserialize(bytes).map(Some)
    }

    fn deserialize_shared(&self, bytes: &[u8], owner: &DecodedBatch) -> Result<Option<T>, SerdeError> {
        self.0.deserialize_shared(bytes, owner).map(Some)
    }

    fn detach(&self, value: &mut Option<T>) {
        if let Some(value) = value {
            self.0.detach(value);
        }
    }

    fn heap_bytes(&self, value: &Option<T>) -> Option<usize> {
        value.as_ref().map_or(Some(0), |value| self.0.heap_bytes(value))
    }

    fn null(&self) -> Result<Option<T>, SerdeError> {
        Ok(None)
    }

    fn is_null(&self, value: &Option<T>) -> bool {
        value.as_ref().is_none_or(|value| self.0.is_null(value))
    }
}

impl<T: DefaultSerde> DefaultSerde for Option<T> {
    fn default_serde() -> SerdeRef<Option<T>> {
        Arc::new(OptionSerde(T::default_serde()))
    }
}
