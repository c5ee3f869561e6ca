//! All structures of a canister together, and pages that belong to none.

use std::collections::BTreeSet;

use blake3::Hasher;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{Memory, StableCell};

use crate::spec::{RESERVED, Saved};
use crate::structure::Structure;
use crate::{Size, Spec, SpecError, SplitMix};

/// Bytes of a page.
const PAGE_BYTES: u64 = 65_536;

/// The content of a canister.
pub struct Shapes<M: Memory> {
    manager: MemoryManager<M>,
    saved: StableCell<Saved, VirtualMemory<M>>,
    spec: Spec,
    structures: Vec<Structure<M>>,
    memories_in_use: BTreeSet<u8>,
    /// Changes so far. On the heap: lost if it is not saved.
    operations: u64,
}

impl<M: Memory> Shapes<M> {
    /// Begins on fresh memory.
    ///
    /// # Errors
    /// What is asked for can't be.
    pub fn create(memory: M, spec: Spec) -> Result<Self, SpecError> {
        spec.memories_in_use()?;
        let manager = MemoryManager::init_with_bucket_size(memory, spec.bucket_pages);
        let saved = Saved { spec: Some(spec), operations: 0 };
        let saved = StableCell::new(manager.get(MemoryId::new(RESERVED)), saved);
        Self::over(manager, saved)
    }

    /// Opens what [`save`](Self::save) left, if there is something.
    ///
    /// # Errors
    /// What was saved can't be.
    pub fn open(memory: M) -> Result<Option<Self>, SpecError> {
        let manager = MemoryManager::init(memory);
        let nothing = Saved { spec: None, operations: 0 };
        let saved = StableCell::init(manager.get(MemoryId::new(RESERVED)), nothing);
        match saved.get().spec {
            Some(_) => Self::over(manager, saved).map(Some),
            None => Ok(None),
        }
    }

    fn over(
        manager: MemoryManager<M>,
        saved: StableCell<Saved, VirtualMemory<M>>,
    ) -> Result<Self, SpecError> {
        let Saved { spec, operations } = saved.get().clone();
        let spec = spec.unwrap_or(Spec { bucket_pages: 1, memories: Vec::new(), timer_at_nanos: None });
        let memories_in_use = spec.memories_in_use()?;
        let structures: Result<_, _> =
            spec.memories.iter().map(|structure| Structure::open(&manager, structure)).collect();
        Ok(Self { structures: structures?, manager, saved, spec, memories_in_use, operations })
    }

    /// Brings to stable memory what is on the heap.
    pub fn save(&mut self) {
        self.saved.set(Saved { spec: Some(self.spec.clone()), operations: self.operations });
    }

    /// What it was asked to be.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// So many random changes of every structure.
    pub fn grow(&mut self, seed: u64, operations: u64) {
        for (place, structure) in (0_u64..).zip(&mut self.structures) {
            let mut random = SplitMix::new(seed ^ (place << 56));
            (0..operations).for_each(|_| structure.change(&mut random));
        }
        self.operations += operations;
    }

    /// BLAKE3 over the content of every structure and the number of changes. Raw pages are not in it: see
    /// [`page_hash`](Self::page_hash).
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Hasher::new_derive_key("decant test shapes 1");
        hasher.update(&self.operations.to_le_bytes());
        self.structures.iter().for_each(|structure| structure.digest(&mut hasher));
        *hasher.finalize().as_bytes()
    }

    /// The memories that have pages, ascending.
    pub fn sizes(&self) -> Vec<Size> {
        let sizes = (0..u8::MAX).map(|id| Size { id, pages: self.manager.get(MemoryId::new(id)).size() });
        sizes.filter(|size| size.pages > 0).collect()
    }

    /// Appends pages to a memory without a structure, each with the bytes of [`page_bytes`]; answers its size.
    ///
    /// # Errors
    /// The memory belongs to a structure, or is full.
    pub fn fill_pages(&mut self, id: u8, pages: u64, seed: u64) -> Result<u64, SpecError> {
        let memory = self.spare(id)?;
        let first = memory.grow(pages);
        let Ok(first) = u64::try_from(first) else { return Err(SpecError::Full(id)) };
        for page in first..first + pages {
            memory.write(page * PAGE_BYTES, &page_bytes(seed, page));
        }
        Ok(memory.size())
    }

    /// BLAKE3 over pages of a memory, and how many there were.
    pub fn page_hash(&self, id: u8, from: u64, count: u64) -> ([u8; 32], u64) {
        let mut hasher = page_hasher();
        if id == u8::MAX {
            return (*hasher.finalize().as_bytes(), 0);
        }
        let memory = self.manager.get(MemoryId::new(id));
        let end = from.saturating_add(count).min(memory.size());
        let mut page_bytes = vec![0; PAGE_BYTES as usize];
        for page in from..end {
            memory.read(page * PAGE_BYTES, &mut page_bytes);
            hasher.update(&page_bytes);
        }
        (*hasher.finalize().as_bytes(), end.saturating_sub(from))
    }

    fn spare(&self, id: u8) -> Result<VirtualMemory<M>, SpecError> {
        match id {
            u8::MAX => Err(SpecError::ReservedMemory(id)),
            _ if self.memories_in_use.contains(&id) => Err(SpecError::MemoryInUse(id)),
            _ => Ok(self.manager.get(MemoryId::new(id))),
        }
    }
}

/// What a raw page holds: bytes that can't be compressed and that differ from page to page.
pub fn page_bytes(seed: u64, page: u64) -> Vec<u8> {
    let mut random = SplitMix::new(seed ^ page.rotate_left(32));
    let mut bytes = vec![0; PAGE_BYTES as usize];
    for word in bytes.chunks_exact_mut(8) {
        word.copy_from_slice(&random.next_number().to_le_bytes());
    }
    bytes
}

/// What [`Shapes::page_hash`] answers for a page with these bytes.
pub fn hash_of_page(bytes: &[u8]) -> [u8; 32] {
    *page_hasher().update(bytes).finalize().as_bytes()
}

fn page_hasher() -> Hasher {
    Hasher::new_derive_key("decant test shapes 1 pages")
}

#[cfg(test)]
mod tests {
    use ic_stable_structures::VectorMemory;

    use super::*;
    use crate::{Kind, StructureSpec};

    fn spec(bucket_pages: u16) -> Spec {
        let structure = |id, second, kind| StructureSpec { id, second, kind };
        Spec {
            bucket_pages,
            memories: vec![
                structure(1, None, Kind::BTreeMap),
                structure(254, None, Kind::Vec),
                structure(3, Some(2), Kind::Log),
                structure(100, None, Kind::Heap),
                structure(7, None, Kind::Cell),
            ],
            timer_at_nanos: None,
        }
    }

    #[test]
    fn the_same_seeds_make_the_same_content_whatever_the_buckets() {
        let digests = [1, 16, 128, 1024].map(|bucket_pages| {
            let mut shapes = Shapes::create(VectorMemory::default(), spec(bucket_pages)).expect("it can be");
            shapes.grow(1, 500);
            shapes.grow(2, 500);
            shapes.digest()
        });
        assert!(digests.iter().all(|digest| *digest == digests[0]));
    }

    #[test]
    fn what_was_saved_is_opened_and_what_was_not_is_missed() {
        let memory = VectorMemory::default();
        let mut shapes = Shapes::create(memory.clone(), spec(2)).expect("it can be");
        shapes.grow(1, 300);
        let digest = shapes.digest();
        let reopen = || Shapes::open(memory.clone()).expect("it can be").expect("something was saved");
        assert_ne!(reopen().digest(), digest, "the number of changes is on the heap");
        shapes.save();
        assert_eq!(reopen().digest(), digest);
        assert_eq!(reopen().spec(), &spec(2));
    }

    #[test]
    fn raw_pages_go_to_spare_memories_only() {
        let mut shapes = Shapes::create(VectorMemory::default(), spec(4)).expect("it can be");
        assert_eq!(shapes.fill_pages(9, 3, 5), Ok(3));
        assert_eq!(shapes.fill_pages(9, 2, 6), Ok(5));
        assert_eq!(shapes.fill_pages(254, 1, 5), Err(SpecError::MemoryInUse(254)));
        assert_eq!(shapes.fill_pages(2, 1, 5), Err(SpecError::MemoryInUse(2)));
        assert_eq!(shapes.fill_pages(255, 1, 5), Err(SpecError::ReservedMemory(255)));
        assert_eq!(shapes.page_hash(9, 3, 100).1, 2);
        assert_ne!(shapes.page_hash(9, 0, 1), shapes.page_hash(9, 1, 1));
    }

    #[test]
    fn what_can_not_be_is_refused() {
        let with = |change: fn(&mut Spec)| {
            let mut spec = spec(1);
            change(&mut spec);
            Shapes::create(VectorMemory::default(), spec).err()
        };
        assert_eq!(with(|spec| spec.bucket_pages = 0), Some(SpecError::BucketPages(0)));
        assert_eq!(with(|spec| spec.bucket_pages = 1025), Some(SpecError::BucketPages(1025)));
        assert_eq!(with(|spec| spec.memories[0].id = 0), Some(SpecError::ReservedMemory(0)));
        assert_eq!(with(|spec| spec.memories[0].id = 2), Some(SpecError::MemoryInUse(2)));
        assert_eq!(with(|spec| spec.memories[2].second = None), Some(SpecError::SecondMemory(3)));
        assert_eq!(with(|_| ()), None);
    }
}
