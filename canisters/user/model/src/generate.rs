//! Content from a seed: looks like what people write, as far as compression is concerned.

use candid::Principal;

/// Words that texts are made of.
const WORDS: [&str; 64] = [
    "about", "after", "again", "always", "another", "because", "before", "between", "canister", "city",
    "cloud", "coffee", "coming", "could", "every", "family", "finally", "first", "friend", "game", "going",
    "good", "great", "happy", "house", "internet", "just", "know", "last", "life", "little", "long",
    "looking", "love", "made", "make", "maybe", "memory", "morning", "music", "never", "new", "night",
    "nothing", "people", "picture", "place", "really", "right", "small", "someone", "still", "story",
    "summer", "thank", "things", "think", "time", "today", "together", "video", "week", "world", "years",
];

/// SplitMix64 (Steele, Lea, Flood 2014): a small generator that is the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix {
    state: u64,
}

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// So many words.
    pub(crate) fn text(&mut self, words: u64) -> String {
        let mut text = String::with_capacity(words as usize * 7);
        for _ in 0..words {
            let bits = self.next();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(WORDS[(bits % 64) as usize]);
            if (bits >> 32).is_multiple_of(16) {
                // A name, a number, a link: what does not repeat.
                text.push_str(&format!(" {:08x}.", bits >> 32));
            }
        }
        text
    }

    /// An id as canisters have them.
    pub(crate) fn canister(&mut self) -> Principal {
        let mut bytes = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        Principal::from_slice(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut generator = SplitMix::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| generator.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
