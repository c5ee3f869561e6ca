//! Everything comes from a seed.

/// SplitMix64 (Steele, Lea, Flood 2014): a small generator that is the same everywhere.
#[derive(Debug, Clone)]
pub struct SplitMix {
    state: u64,
}

impl SplitMix {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next_number() % limit
    }

    /// Fewer than so many bytes.
    pub fn bytes(&mut self, limit: u64) -> Vec<u8> {
        let length = self.below(limit) as usize;
        let mut bytes: Vec<u8> =
            (0..length.div_ceil(8)).flat_map(|_| self.next_number().to_le_bytes()).collect();
        bytes.truncate(length);
        bytes
    }
}
