//! A digest over pages that are read one run after the other, by somebody who keeps nothing but the digest.

use crate::Digest;
use crate::digest::of_link;

impl Digest {
    /// The digest of nothing, where a chain begins.
    pub const EMPTY_CHAIN: Self = Self::new([0; Self::BYTES]);

    /// The digest of a chain that goes on with `content`, which stands in a memory from a page on. Equal ends of
    /// two chains mean that the same runs of the same memories held the same bytes, all along.
    pub fn extended(&self, memory: u8, first_page: u64, content: &[u8]) -> Self {
        of_link(self, memory, first_page, content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_depends_on_every_byte_place_and_step() {
        let end = |steps: &[(u8, u64, &[u8])]| {
            steps.iter().fold(Digest::EMPTY_CHAIN, |chain, (memory, page, content)| {
                chain.extended(*memory, *page, content)
            })
        };
        let base = end(&[(0, 0, b"one"), (1, 4, b"two")]);
        assert_eq!(base, end(&[(0, 0, b"one"), (1, 4, b"two")]));
        let others: [&[(u8, u64, &[u8])]; 6] = [
            &[(0, 0, b"one"), (1, 4, b"twp")],
            &[(0, 0, b"one"), (1, 5, b"two")],
            &[(0, 0, b"one"), (2, 4, b"two")],
            &[(1, 4, b"two"), (0, 0, b"one")],
            &[(0, 0, b"one")],
            &[(0, 0, b"onet"), (1, 4, b"wo")],
        ];
        for other in others {
            assert_ne!(end(other), base, "{other:?}");
        }
    }
}
