//! A checked layout: which virtual memory has which buckets.

use crate::format::{FREE, HEADER_PAGES, Header, HeaderPage, MAX_BUCKETS, PREFIX, VERSION};
use crate::{LayoutError, MAX_MEMORIES, PAGE_BYTES};

/// One virtual memory of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualMemory {
    pub(crate) id: u8,
    pub(crate) size_pages: u64,
    pub(crate) buckets: Vec<u16>,
}

impl VirtualMemory {
    /// Its `MemoryId`, 0 to 254.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// Its size as the structures in it see it.
    pub fn size_pages(&self) -> u64 {
        self.size_pages
    }

    /// Its buckets, in the order of its pages. In images that a manager wrote they ascend.
    pub fn buckets(&self) -> &[u16] {
        &self.buckets
    }
}

/// Where every page of every virtual memory is. Either read from an image ([`Layout::parse`]) or planned
/// ([`Layout::planned`], [`Layout::compact`]); valid in both cases, so that every page it names lies within
/// stable memory and belongs to one memory only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Where the header page is; all pages before it are the prefix.
    pub(crate) manager_page: u32,
    pub(crate) bucket_size_pages: u16,
    pub(crate) allocated_buckets: u16,
    pub(crate) stable_size_pages: u64,
    /// Memories that have pages, ascending by id.
    pub(crate) memories: Vec<VirtualMemory>,
}

impl Layout {
    /// Reads and checks the layout in `header`: page 0, or its first [`HEADER_BYTES`](crate::HEADER_BYTES),
    /// of a stable memory of `stable_size_pages`. The magic is not looked at: that is
    /// [`Image`](crate::Image)'s.
    ///
    /// # Errors
    /// The first [`LayoutError`] found; see there for what is checked.
    pub fn parse(header: &[u8], stable_size_pages: u64) -> Result<Self, LayoutError> {
        Self::parse_at(0, header, stable_size_pages)
    }

    /// Like [`parse`](Layout::parse), for a manager whose header page is `manager_page` of the stable memory, as one
    /// over `RestrictedMemory::new(memory, manager_page..end)` is.
    ///
    /// # Errors
    /// As [`parse`](Layout::parse).
    pub fn parse_at(manager_page: u32, header: &[u8], stable_size_pages: u64) -> Result<Self, LayoutError> {
        let header = Header::over(header)?;
        if header.version() != VERSION {
            return Err(LayoutError::UnsupportedVersion { version: header.version() });
        }
        if let Some(offset_bytes) = header.reserved_in_use() {
            return Err(LayoutError::ReservedBytesInUse { offset_bytes });
        }
        let allocated_buckets = header.allocated_buckets();
        let bucket_size_pages = header.bucket_size_pages();
        if bucket_size_pages == 0 {
            return Err(LayoutError::BucketSizeZero);
        }
        if u64::from(allocated_buckets) > MAX_BUCKETS {
            return Err(LayoutError::TooManyBuckets { allocated_buckets });
        }
        let buckets = buckets_by_owner(header.owners(), allocated_buckets)?;
        let memories = memories(&header, buckets, bucket_size_pages)?;
        let layout = Self { manager_page, bucket_size_pages, allocated_buckets, stable_size_pages, memories };
        // The manager never asks for what no memory has grown into, so the last bucket may be cut short, as in headers
        // that were made by hand. That a whole bucket is missing is another matter.
        let is_cut_off = layout.usage().missing_pages >= bucket_size_pages.into();
        if is_cut_off || layout.used_end_pages() > stable_size_pages {
            let end_pages = layout.buckets_end_pages();
            return Err(LayoutError::OutOfBounds { end_pages, stable_size_pages });
        }
        Ok(layout)
    }

    /// The page after the last one that is in use.
    fn used_end_pages(&self) -> u64 {
        let runs = self.memories.iter().flat_map(|memory| self.runs(memory.id));
        let ends = runs.map(|run| run.physical_page + run.length_pages);
        ends.fold(u64::from(self.manager_page) + HEADER_PAGES, u64::max)
    }

    /// The page after the last bucket, which need not exist to its end.
    pub(crate) fn buckets_end_pages(&self) -> u64 {
        end_pages(self.manager_page, self.allocated_buckets, self.bucket_size_pages)
    }

    /// The header page of this layout: 64 KiB to be written at [`header_offset_bytes`](Layout::header_offset_bytes),
    /// after everything else.
    pub fn header_page(&self) -> Vec<u8> {
        let mut page = HeaderPage::new(self.allocated_buckets, self.bucket_size_pages);
        for memory in &self.memories {
            page.enter(memory.id, memory.size_pages, &memory.buckets);
        }
        page.into_bytes()
    }

    /// Page of the stable memory at which the manager begins: 0, unless others keep something before it.
    pub fn manager_page(&self) -> u32 {
        self.manager_page
    }

    /// Where the header page is.
    pub fn header_offset_bytes(&self) -> u64 {
        u64::from(self.manager_page) * PAGE_BYTES
    }

    /// Pages of a bucket, at least 1.
    pub fn bucket_size_pages(&self) -> u16 {
        self.bucket_size_pages
    }

    /// Buckets that were dealt out, free ones among them included.
    pub fn allocated_buckets(&self) -> u16 {
        self.allocated_buckets
    }

    /// Size of the stable memory that holds the image, header page included. A planned layout takes
    /// exactly manager page + 1 + allocated buckets × bucket size.
    pub fn stable_size_pages(&self) -> u64 {
        self.stable_size_pages
    }

    /// The virtual memories that have pages, ascending by id. A memory that was never grown leaves no trace.
    pub fn memories(&self) -> &[VirtualMemory] {
        &self.memories
    }

    /// The virtual memory of this id, if it has pages.
    pub fn memory(&self, id: u8) -> Option<&VirtualMemory> {
        let index = self.memories.binary_search_by_key(&id, |memory| memory.id).ok()?;
        self.memories.get(index)
    }

    /// The same image without these virtual memories: their buckets belong to nobody, and what is copied from it leaves them
    /// out. Ids that have no pages change nothing.
    pub fn without(&self, memories: &[u8]) -> Self {
        let mut layout = self.clone();
        layout.memories.retain(|memory| !memories.contains(&memory.id));
        layout
    }

    /// Size in pages of the virtual memory of this id; 0 if it was never grown. Of [`PREFIX`](crate::PREFIX): the pages
    /// before the manager.
    pub fn memory_size_pages(&self, id: u8) -> u64 {
        match id {
            PREFIX => u64::from(self.manager_page),
            id => self.memory(id).map_or(0, |memory| memory.size_pages),
        }
    }

    /// Pages that a copy of this image has to move: those before the manager and those of all virtual memories.
    pub fn copied_pages(&self) -> u64 {
        let sizes_pages = self.memories.iter().map(|memory| memory.size_pages);
        u64::from(self.manager_page) + sizes_pages.sum::<u64>()
    }
}

/// The page after the last bucket. At most 2^32 + 65,535², which fits, in bytes too.
pub(crate) fn end_pages(manager_page: u32, allocated_buckets: u16, bucket_size_pages: u16) -> u64 {
    u64::from(manager_page) + HEADER_PAGES + u64::from(allocated_buckets) * u64::from(bucket_size_pages)
}

fn buckets_by_owner(owners: &[u8], allocated_buckets: u16) -> Result<Vec<Vec<u16>>, LayoutError> {
    let mut buckets = vec![Vec::new(); MAX_MEMORIES];
    for (bucket, &owner) in (0_u16..).zip(owners) {
        if owner == FREE {
            continue;
        }
        if bucket >= allocated_buckets {
            return Err(LayoutError::BucketNotAllocated { bucket, owner, allocated_buckets });
        }
        buckets[usize::from(owner)].push(bucket);
    }
    Ok(buckets)
}

fn memories(
    header: &Header<'_>,
    buckets: Vec<Vec<u16>>,
    bucket_size_pages: u16,
) -> Result<Vec<VirtualMemory>, LayoutError> {
    let mut memories = Vec::new();
    for ((id, size_pages), buckets) in (0_u8..FREE).zip(header.sizes_pages()).zip(buckets) {
        let needed_buckets = size_pages.div_ceil(u64::from(bucket_size_pages));
        let owned_buckets = buckets.len() as u64;
        if needed_buckets != owned_buckets {
            return Err(LayoutError::BucketCount { memory: id, size_pages, needed_buckets, owned_buckets });
        }
        if size_pages > 0 {
            memories.push(VirtualMemory { id, size_pages, buckets });
        }
    }
    Ok(memories)
}
