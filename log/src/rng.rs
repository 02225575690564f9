//! Randomness, handed in.
