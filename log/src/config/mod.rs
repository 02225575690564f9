//! Broker and topic settings under Kafka's names.
