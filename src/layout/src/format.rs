//! The bytes of the header page. Source of every figure: `memory_manager.rs` of ic-stable-structures 0.7.2.

use crate::LayoutError;

/// Bytes of a wasm page (WebAssembly core specification, "Memory Instances").
pub const PAGE_BYTES: u64 = 65_536;
/// Bytes of the header page that mean something: all a reader needs (`Header` and the bucket table).
pub const HEADER_BYTES: usize = BUCKET_TABLE_OFFSET + MAX_BUCKETS as usize;
/// Virtual memories that a manager can hold; ids are 0 to 254 (`MAX_NUM_MEMORIES`).
pub const MAX_MEMORIES: usize = 255;
/// Buckets that a manager can deal out, whatever their size (`MAX_NUM_BUCKETS`).
pub const MAX_BUCKETS: u64 = 32_768;
/// Largest bucket size in pages: the field has two bytes (`Header::bucket_size_in_pages`).
pub const MAX_BUCKET_SIZE_PAGES: u32 = u16::MAX as u32;

/// The first bytes of a managed image (`MAGIC`).
pub(crate) const MAGIC: [u8; 3] = *b"MGR";
/// The one version there is (`LAYOUT_VERSION`).
pub(crate) const VERSION: u8 = 1;
/// Owner of a bucket that belongs to no memory (`UNALLOCATED_BUCKET_MARKER`).
pub(crate) const FREE: u8 = 255;
/// Stands for the pages before a manager that begins behind page 0, wherever the id of a memory is asked for: no memory
/// can have it.
pub const PREFIX: u8 = FREE;
/// Pages between the beginning of the manager and the first bucket (`BUCKETS_OFFSET_IN_PAGES`).
pub(crate) const HEADER_PAGES: u64 = 1;

const VERSION_OFFSET: usize = 3;
const ALLOCATED_OFFSET: usize = 4;
const BUCKET_SIZE_OFFSET: usize = 6;
const RESERVED_OFFSET: usize = 8;
const SIZES_OFFSET: usize = 40;
const BUCKET_TABLE_OFFSET: usize = SIZES_OFFSET + MAX_MEMORIES * SIZE_BYTES;
const SIZE_BYTES: usize = 8;

/// The fields of a header page, as they are: nothing is checked against anything but the page's own length.
pub(crate) struct Header<'a> {
    bytes: &'a [u8; HEADER_BYTES],
}

impl<'a> Header<'a> {
    /// The fields in `bytes`, which begin with the header page.
    pub(crate) fn over(bytes: &'a [u8]) -> Result<Self, LayoutError> {
        match bytes.first_chunk() {
            Some(bytes) => Ok(Self { bytes }),
            None => Err(LayoutError::HeaderTooShort { length_bytes: bytes.len() }),
        }
    }

    /// The layout's version.
    pub(crate) fn version(&self) -> u8 {
        self.bytes[VERSION_OFFSET]
    }

    /// How many buckets were ever dealt out.
    pub(crate) fn allocated_buckets(&self) -> u16 {
        u16::from_le_bytes([self.bytes[ALLOCATED_OFFSET], self.bytes[ALLOCATED_OFFSET + 1]])
    }

    /// Pages of a bucket.
    pub(crate) fn bucket_size_pages(&self) -> u16 {
        u16::from_le_bytes([self.bytes[BUCKET_SIZE_OFFSET], self.bytes[BUCKET_SIZE_OFFSET + 1]])
    }

    /// Offset of the first reserved byte that is not zero.
    pub(crate) fn reserved_in_use(&self) -> Option<usize> {
        let reserved = &self.bytes[RESERVED_OFFSET..SIZES_OFFSET];
        reserved.iter().position(|&byte| byte != 0).map(|index| RESERVED_OFFSET + index)
    }

    /// Sizes in pages of memory 0 to 254.
    pub(crate) fn sizes_pages(&self) -> impl Iterator<Item = u64> {
        let (sizes, _) = self.bytes[SIZES_OFFSET..BUCKET_TABLE_OFFSET].as_chunks::<SIZE_BYTES>();
        sizes.iter().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// Owners of bucket 0 to 32,767.
    pub(crate) fn owners(&self) -> &[u8] {
        &self.bytes[BUCKET_TABLE_OFFSET..]
    }
}

/// A header page that is being written.
pub(crate) struct HeaderPage {
    bytes: Vec<u8>,
}

impl HeaderPage {
    /// A page without memories, as the manager writes it on empty memory.
    pub(crate) fn new(allocated_buckets: u16, bucket_size_pages: u16) -> Self {
        let mut bytes = vec![0; PAGE_BYTES as usize];
        bytes[..VERSION_OFFSET].copy_from_slice(&MAGIC);
        bytes[VERSION_OFFSET] = VERSION;
        bytes[ALLOCATED_OFFSET..][..2].copy_from_slice(&allocated_buckets.to_le_bytes());
        bytes[BUCKET_SIZE_OFFSET..][..2].copy_from_slice(&bucket_size_pages.to_le_bytes());
        bytes[BUCKET_TABLE_OFFSET..HEADER_BYTES].fill(FREE);
        Self { bytes }
    }

    /// Enters a memory with its buckets.
    pub(crate) fn enter(&mut self, id: u8, size_pages: u64, buckets: &[u16]) {
        let offset = SIZES_OFFSET + usize::from(id) * SIZE_BYTES;
        self.bytes[offset..][..SIZE_BYTES].copy_from_slice(&size_pages.to_le_bytes());
        for &bucket in buckets {
            self.bytes[BUCKET_TABLE_OFFSET + usize::from(bucket)] = id;
        }
    }

    /// All 64 KiB of the page.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
