//! Stable memory images: read, check, plan and repack them, without an Internet Computer.
//!
//! A canister's stable memory is *empty*, *raw* (bytes from offset 0, no manager) or *managed*: laid out by
//! the `MemoryManager` of [ic-stable-structures](https://github.com/dfinity/stable-structures), which cuts it
//! into buckets and deals them out to virtual memories. This crate reads the layout out of the first page
//! ([`Image`], [`Layout`]), says what is used and what is wasted ([`Usage`]), plans the compact layout of the
//! same virtual memories ([`Layout::compact`]) and lists which pages go where ([`copies`], [`repack`]).
//!
//! # As they are in the field
//!
//! - A manager may begin at another page, behind a *prefix* of pages that are somebody else's: `RestrictedMemory` makes
//!   such. [`find_managers`] finds it, [`Layout::parse_at`] reads it, and all else goes on as for page 0; the prefix is
//!   copied byte by byte, as memory [`PREFIX`].
//! - Behind the last bucket there may be a *tail*, which no manager knows. Zeros are no tail; anything else is either left
//!   over or alive, and only the canister's code tells which. It can't be moved: whoever reads it does so by page number,
//!   and an image that keeps it where it is gives nothing back. So it is refused with what it is ([`TailScan`],
//!   [`Layout::check`]), unless somebody who knows accepts the loss ([`Accepted`]).
//! - A virtual memory may hold a manager itself ([`Layout::contents`]). It moves as any bytes do, its waste included, and never
//!   by itself ([`check_place`]): the outer manager would go on to claim the pages that it had.
//!
//! # The layout, version 1, little-endian
//!
//! ```text
//! offset      bytes    field
//! ------------------------------------------------------------- page 0: the header page
//!      0          3    magic "MGR"
//!      3          1    version = 1
//!      4          2    allocated buckets, at most 32,768
//!      6          2    bucket size in pages, 1 to 65,535
//!      8         32    reserved, zero
//!     40    255 × 8    size of memory 0 to 254, in pages
//!  2,080     32,768    owner of bucket 0 to 32,767: a memory id, 255 = free
//! 34,848     30,688    not used: may hold what was there before the manager came
//! ------------------------------------------------------------- page 1
//!             N × 64 KiB    bucket 0
//! ------------------------------------------------------------- page 1 + N
//!             N × 64 KiB    bucket 1
//! ...
//! ------------------------------------------------------------- page 1 + allocated × N
//!                      tail: memory that was grown by someone else
//! ```
//!
//! All offsets and pages count from the page at which the manager begins. The last bucket may be cut short behind its
//! last page in use: a header that was made by hand may say so, and the manager grows what is missing when it needs it.
//!
//! The buckets of a memory are in ascending bucket id: the table holds no other order. A memory of `s` pages
//! has exactly `s / N` buckets, rounded up; only its last one is used in part. Source:
//! `memory_manager.rs` of ic-stable-structures 0.7.2.
//!
//! # Older versions
//!
//! Read from the source of each release, 0.1.0 to 0.7.2; the header is the same in all of them.
//!
//! - Up to 0.3, buckets have 1,024 pages and can't be configured; from 0.4 on it is 128, configurable. The
//!   header was `repr(packed)` without `C` then; the compiler keeps the order of fields that all have
//!   alignment 1, and a golden image written by 0.3.0 confirms it.
//! - Up to 0.4.0, `init` asserts that the stored bucket size is the one it was asked for: **code this old
//!   traps on a repacked image**; upgrade it first. The image does not tell which version wrote it.
//! - 0.7.1 has `reclaim_memory`, which frees the buckets of a memory and deals them out again. It leaves free
//!   buckets below the allocated count ([`Usage::free_buckets`]). Its heap may know another bucket order than
//!   the table; after an upgrade only the table is left, and that is what this crate reads, as 0.7.2 does. An image that
//!   has free buckets is therefore an [`Obstacle`] too.
//!
//! # Example
//!
//! ```
//! use decant_layout::{Image, Layout, PAGE_BYTES, repack};
//!
//! // An image of two virtual memories in buckets of 128 pages, as canisters have them, and the bytes of one.
//! let bloated = Layout::planned([(0, 1), (7, 3)], 128)?;
//! let mut image = bloated.header_page();
//! image.resize((bloated.stable_size_pages() * PAGE_BYTES) as usize, 0);
//! bloated.write(7, 2 * PAGE_BYTES, b"state", |offset, bytes| {
//!     image[offset as usize..][..bytes.len()].copy_from_slice(bytes);
//!     Ok::<(), std::convert::Infallible>(())
//! })?;
//!
//! let Image::Managed(source) = Image::parse(&image, bloated.stable_size_pages())? else { unreachable!() };
//! let target = source.compact(1)?;
//! assert_eq!((source.stable_size_pages(), target.stable_size_pages()), (257, 5));
//!
//! let mut compact = vec![0; (target.stable_size_pages() * PAGE_BYTES) as usize];
//! let read = |offset: u64, buffer: &mut [u8]| {
//!     buffer.copy_from_slice(&image[offset as usize..][..buffer.len()]);
//!     Ok::<(), std::convert::Infallible>(())
//! };
//! let write = |offset: u64, bytes: &[u8]| {
//!     compact[offset as usize..][..bytes.len()].copy_from_slice(bytes);
//!     Ok(())
//! };
//! assert_eq!(repack(&source, &target, read, write)?.written_pages, 1);
//! let page = target.physical_page(7, 2).expect("memory 7 has three pages");
//! assert!(compact[(page * PAGE_BYTES) as usize..].starts_with(b"state"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Bounds
//!
//! Nothing in a header is trusted. Reading takes one pass over 34,848 bytes and keeps at most 64 KiB of
//! bucket ids, whatever the bytes are; every loop is bounded by the 32,768 buckets. A search for managers looks at some
//! 300 places and keeps at most eight; only a scan of a tail of zeros takes as long as the tail is, in slices of the
//! caller's size.

mod bucket_size;
mod contents;
mod error;
mod format;
mod image;
mod layout;
mod obstacle;
mod pages;
mod plan;
mod repack;
mod search;
mod tail;
mod usage;
mod zeros;

pub use bucket_size::{
    buckets_needed, choose_bucket_size_pages, ensure_bucket_size_holds, max_managed_pages,
};
pub use contents::{MemoryContents, Sign, Structure};
pub use error::{
    AccessError, BucketSizeError, ExtendError, ImageError, LayoutError, PlanError, RepackError, SizesDiffer,
};
pub use format::{HEADER_BYTES, MAX_BUCKET_SIZE_PAGES, MAX_BUCKETS, MAX_MEMORIES, PAGE_BYTES, PREFIX};
pub use image::Image;
pub use layout::{Layout, VirtualMemory};
pub use obstacle::{Accepted, Obstacle};
pub use pages::PageRun;
pub use repack::{CopyRun, Repacked, copies, repack};
pub use search::{check_place, find_managers, manager_places};
pub use tail::{Leftover, Tail, TailScan};
pub use usage::{MemoryUsage, Usage};
