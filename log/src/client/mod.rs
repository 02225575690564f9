//! Embedded clients: producer, consumer, admin.
