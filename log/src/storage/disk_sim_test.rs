//! What only the simulated disk does: crashes, failures, rot.
