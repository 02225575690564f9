//! Pure coordinator cores.
