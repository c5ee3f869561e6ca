//! What a sealed source holds.

use crate::{Digest, ManifestError, Shape, digest};
use candid::CandidType;
use serde::{Deserialize, Serialize};

/// What a sealed source holds: its shape, a digest a memory, and the root over all. Consistent by
/// construction, also when decoded: the root is that of the parts.
///
/// At most about 12 KiB as Candid, however large the state: the digests of the chunks travel in
/// [`DigestPage`](crate::DigestPage)s.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
#[serde(try_from = "UncheckedManifest")]
pub struct Manifest {
    shape: Shape,
    digests: Vec<Digest>,
    root: Digest,
}

#[derive(Deserialize)]
struct UncheckedManifest {
    shape: Shape,
    digests: Vec<Digest>,
    root: Digest,
}

impl TryFrom<UncheckedManifest> for Manifest {
    type Error = ManifestError;

    fn try_from(manifest: UncheckedManifest) -> Result<Self, ManifestError> {
        let UncheckedManifest { shape, digests, root: stated } = manifest;
        let (count, memories) = (digests.len(), shape.memories().len());
        if count != memories {
            return Err(ManifestError::DigestCount { digests: count, memories });
        }
        let manifest = Self::of(shape, digests);
        if manifest.root != stated {
            return Err(ManifestError::Root { stated, computed: manifest.root });
        }
        Ok(manifest)
    }
}

impl Manifest {
    /// The manifest of a shape and the digest of each of its memories.
    pub(crate) fn of(shape: Shape, digests: Vec<Digest>) -> Self {
        let root = digest::of_root(shape.kind(), shape.chunk_pages(), shape.memories().iter().zip(&digests));
        Self { shape, digests, root }
    }

    /// The memories, their sizes and the size of a chunk.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The digests of the memories, in the order of the shape's.
    pub fn memory_digests(&self) -> &[Digest] {
        &self.digests
    }

    /// The root: equal roots are the only evidence on which a source is deleted.
    pub fn root(&self) -> &Digest {
        &self.root
    }
}
