//! Randomness, handed in: a simulation hands in a seeded source, and the same seed gives the same run.
//!
//! Not for secrets: both sources are fast generators, good for ids, jitter and sampling only.

use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

/// A source of random numbers. Shared as `Arc<dyn Rng>`.
pub trait Rng: Send + Sync + Debug {
    /// 64 random bits.
    fn next_u64(&self) -> u64;

    /// Fills the buffer with random bytes.
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    /// A random (version 4) UUID.
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A number in `0..n`, each as likely as another up to 2⁻⁶⁴; 0 if `n` is 0.
    fn below(&self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }
}

/// Randomness from the process-wide generator, seeded by the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl SystemRng {
    /// The same, ready to be handed around.
    pub fn shared() -> Arc<dyn Rng> {
        Arc::new(SystemRng)
    }
}

impl Rng for SystemRng {
    #[allow(clippy::disallowed_methods, reason = "this module owns randomness")]
    fn next_u64(&self) -> u64 {
        fastrand::u64(..)
    }
}

/// A reproducible sequence: the same seed and the same calls give the same numbers.
#[derive(Debug)]
pub struct SeededRng {
    generator: Mutex<fastrand::Rng>,
}

impl SeededRng {
    /// A source that depends on `seed` alone.
    pub fn new(seed: u64) -> SeededRng {
        SeededRng {
            generator: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }
}

impl Rng for SeededRng {
    fn next_u64(&self) -> u64 {
        self.generator.lock().u64(..)
    }
}

#[cfg(test)]
#[path = "rng_test.rs"]
mod rng_test;
