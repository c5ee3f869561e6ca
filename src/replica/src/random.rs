//! Randomness that depends on the seed alone.

use sha2::{Digest, Sha256};

/// A stream of bytes: SHA-256 over seed and counter.
pub(crate) struct Random {
    seed: u64,
    counter: u64,
}

impl Random {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }

    /// The next 32 bytes.
    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        self.counter += 1;
        derive("random", self.seed, self.counter)
    }
}

/// 32 bytes for a purpose: equal arguments, equal bytes.
pub(crate) fn derive(purpose: &str, seed: u64, number: u64) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(purpose.as_bytes());
    hasher.update(seed.to_le_bytes());
    hasher.update(number.to_le_bytes());
    hasher.finalize().into()
}
