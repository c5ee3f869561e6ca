//! What the tests of this crate share: a sparse stable memory, random histories of a manager, hex dumps.

pub(crate) mod dump;
pub(crate) mod history;
pub(crate) mod sparse;

pub(crate) use sparse::SparseMemory;
