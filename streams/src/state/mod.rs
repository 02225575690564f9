//! State stores: overlay, committed layer, RocksDB.
