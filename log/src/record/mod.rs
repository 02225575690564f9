//! Record batch v2: bytes to values and back. No I/O.
