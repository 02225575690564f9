//! Newtypes of the log: offsets, epochs, names. No I/O.
