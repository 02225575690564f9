//! millpond: a Kafka-compatible log, a streams DSL and streaming SQL.
