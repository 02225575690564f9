//! Tasks, workers, the commit protocol.
