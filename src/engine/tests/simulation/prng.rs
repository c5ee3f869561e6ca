//! splitmix64: small, fast, and the same everywhere; and the seeds of tests.

pub(crate) struct Prng(u64);

impl Prng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True so many times in a thousand.
    pub(crate) fn permille(&mut self, times: u64) -> bool {
        self.next() % 1_000 < times
    }
}

/// Seeds of a test: as many as said here, times what the environment says (`DECANT_SEEDS`).
pub(crate) fn seeds(from: u64, count: u64) -> std::ops::Range<u64> {
    let times = std::env::var("DECANT_SEEDS").ok().and_then(|times| times.parse().ok()).unwrap_or(1_u64);
    from..from + count * times
}
