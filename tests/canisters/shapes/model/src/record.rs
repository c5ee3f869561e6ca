//! An item of a vector.

use std::borrow::Cow;

use ic_stable_structures::storable::{Bound, Storable};

use crate::SplitMix;

/// Bytes of a record. 65,536 is no multiple of it: records lie across pages.
const BYTES: usize = 40;

/// Forty bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record(pub(crate) [u8; BYTES]);

impl Record {
    pub(crate) fn random(random: &mut SplitMix) -> Self {
        let mut bytes = [0; BYTES];
        for word in bytes.chunks_exact_mut(8) {
            word.copy_from_slice(&random.next_number().to_le_bytes());
        }
        Self(bytes)
    }
}

impl Storable for Record {
    const BOUND: Bound = Bound::Bounded { max_size: BYTES as u32, is_fixed_size: true };

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        let mut record = [0; BYTES];
        record.copy_from_slice(&bytes);
        Self(record)
    }
}
