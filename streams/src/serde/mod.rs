//! Serialisers and deserialisers.
