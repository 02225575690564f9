//! The `Broker` handle: one typed async method per Kafka API.
