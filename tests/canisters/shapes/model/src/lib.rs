//! The content of the shapes canister: which stable structures are on which memories, what grows in them from
//! a seed, and the digest over all of it. The memory is a parameter, so that a test can run the same natively
//! and compare.

mod random;
mod record;
mod shapes;
mod spec;
mod structure;

pub use random::SplitMix;
pub use shapes::{Shapes, hash_of_page, page_bytes};
pub use spec::{Kind, Size, Spec, SpecError, StructureSpec};
