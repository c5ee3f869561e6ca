//! What can be wrong with an image, a plan or an access: what, where, and what to do about it.

/// What bytes are that begin as a header page does and can't be one. A canister that serves well must not be "restored"
/// on such advice.
const NO_HEADER: &str = "the header page is damaged, or these are other data that happen to begin with \"MGR\"; if the \
                         canister serves well, leave it as it is";

/// Why a header page is not a layout that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The bytes end before the bucket table does.
    #[error(
        "the header has {length_bytes} bytes, {} are needed: read the whole first page",
        crate::HEADER_BYTES
    )]
    HeaderTooShort {
        /// Bytes there are.
        length_bytes: usize,
    },
    /// A layout that did not exist when this was written.
    #[error(
        "layout version {version} is not known, only 1 is: another MemoryManager wrote it, or these are other data that \
         happen to begin with \"MGR\""
    )]
    UnsupportedVersion {
        /// The version byte at offset 3.
        version: u8,
    },
    /// Bytes that version 1 leaves zero are not: a later extension, or damage.
    #[error(
        "the reserved byte at offset {offset_bytes} is not zero: another MemoryManager wrote it, or these are other data \
         that happen to begin with \"MGR\""
    )]
    ReservedBytesInUse {
        /// Offset in page 0.
        offset_bytes: usize,
    },
    /// The manager would divide by zero.
    #[error("the bucket size is 0 pages: {NO_HEADER}")]
    BucketSizeZero,
    /// More buckets than the table has entries.
    #[error(
        "{allocated_buckets} buckets are said to be allocated, {} exist: {NO_HEADER}",
        crate::MAX_BUCKETS
    )]
    TooManyBuckets {
        /// The count at offset 4.
        allocated_buckets: u16,
    },
    /// A bucket has an owner though it was never dealt out; the manager would deal it out again.
    #[error(
        "bucket {bucket} belongs to memory {owner}, but only {allocated_buckets} buckets are allocated: \
         {NO_HEADER}"
    )]
    BucketNotAllocated {
        /// Index of the bucket.
        bucket: u16,
        /// The memory that the table names.
        owner: u8,
        /// The count at offset 4.
        allocated_buckets: u16,
    },
    /// A memory's size and its buckets disagree.
    #[error(
        "memory {memory} has {size_pages} pages, which take {needed_buckets} buckets, but owns \
         {owned_buckets}: {NO_HEADER}"
    )]
    BucketCount {
        /// Id of the memory.
        memory: u8,
        /// Its size by the header.
        size_pages: u64,
        /// Buckets that this size takes.
        needed_buckets: u64,
        /// Buckets that the table gives it.
        owned_buckets: u64,
    },
    /// More than the unused end of the last bucket lies past the end of stable memory.
    #[error(
        "the allocated buckets end at page {end_pages}, stable memory at page {stable_size_pages}, and more than the unused \
         end of the last bucket is missing: what was read is not the whole image, or {NO_HEADER}"
    )]
    OutOfBounds {
        /// Page after the last allocated bucket.
        end_pages: u64,
        /// Size of stable memory.
        stable_size_pages: u64,
    },
}

/// Why an image could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError<E> {
    /// Reading the bytes failed.
    #[error("reading the header page failed: {0}")]
    Read(E),
    /// The bytes say that they are managed, and are wrong.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Why virtual memories do not fit a compact image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The header can't hold this bucket size.
    #[error(
        "a bucket of {bucket_size_pages} pages is not possible: choose 1 to {}",
        crate::MAX_BUCKET_SIZE_PAGES
    )]
    BucketSize {
        /// The size asked for.
        bucket_size_pages: u32,
    },
    /// The memories take more buckets than there are.
    #[error(transparent)]
    TooManyBuckets(#[from] BucketSizeError),
    /// Id 255 marks free buckets.
    #[error("memory id 255 is reserved for free buckets: ids are 0 to 254")]
    ReservedMemoryId,
    /// Two sizes for one memory.
    #[error("memory {memory} is listed twice: list each memory once")]
    DuplicateMemory {
        /// Id of the memory.
        memory: u8,
    },
}

/// Why a bucket size does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketSizeError {
    /// A larger bucket is needed.
    #[error(
        "{needed_buckets} buckets of {bucket_size_pages} pages are needed, {} exist: use buckets of at least \
         {smallest_bucket_size_pages} pages",
        crate::MAX_BUCKETS
    )]
    TooSmall {
        /// The size asked for.
        bucket_size_pages: u16,
        /// Buckets that would be needed.
        needed_buckets: u64,
        /// The smallest power of two that holds it.
        smallest_bucket_size_pages: u16,
    },
    /// No bucket is large enough.
    #[error(
        "{needed_buckets} buckets of 32768 pages are needed, {} exist: no bucket size holds this",
        crate::MAX_BUCKETS
    )]
    None {
        /// Buckets of the largest power of two that would be needed.
        needed_buckets: u64,
    },
}

/// Why a layout could not be extended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtendError {
    /// Memories of a manager only grow: this is another one's.
    #[error("memory {memory} has {size_pages} pages and had {had_pages}: plan it anew")]
    Shrunk {
        /// Its id.
        memory: u8,
        /// Pages in the layout.
        had_pages: u64,
        /// Pages that it would have.
        size_pages: u64,
    },
    /// There are too many buckets, or the sizes are no memories.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Why bytes of a virtual memory could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError<E> {
    /// The range leaves the virtual memory.
    #[error(
        "{length_bytes} bytes at offset {offset_bytes} leave memory {memory}, which has {size_pages} pages"
    )]
    OutOfBounds {
        /// Id of the virtual memory.
        memory: u8,
        /// Where the range begins.
        offset_bytes: u64,
        /// How long it is.
        length_bytes: u64,
        /// Size of the virtual memory; 0 if there is none of this id.
        size_pages: u64,
    },
    /// The image itself could not be read or written.
    #[error("page {physical_page} of the image: {error}")]
    Image {
        /// Page of the image that was accessed.
        physical_page: u64,
        /// What the reader or writer said.
        error: E,
    },
}

/// Two layouts are not of the same virtual memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "memory {memory} has {source_size_pages} pages in the source and {target_size_pages} in the target (255 is what lies \
     before the manager): plan the target from this source"
)]
pub struct SizesDiffer {
    /// Id of the first memory that differs, or [`PREFIX`](crate::PREFIX).
    pub memory: u8,
    /// Pages in the source; 0 if it has none of this id.
    pub source_size_pages: u64,
    /// Pages in the target; 0 if it has none of this id.
    pub target_size_pages: u64,
}

/// Why an image could not be repacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepackError<E> {
    /// Source and target are layouts of different memories.
    #[error(transparent)]
    SizesDiffer(#[from] SizesDiffer),
    /// Reading the source failed.
    #[error("reading page {physical_page} of the source failed: {error}")]
    Read {
        /// Page of the source image.
        physical_page: u64,
        /// What the reader said.
        error: E,
    },
    /// Writing the target failed.
    #[error("writing page {physical_page} of the target failed: {error}")]
    Write {
        /// Page of the target image.
        physical_page: u64,
        /// What the writer said.
        error: E,
    },
}
