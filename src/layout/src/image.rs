//! What a stable memory holds.

use crate::{HEADER_BYTES, ImageError, Layout, LayoutError, PAGE_BYTES, format};

/// What a stable memory holds, as far as its first bytes tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// No page at all.
    Empty,
    /// No manager where one was looked for: bytes from offset 0. Also what a single stable structure without a manager,
    /// or a manager that begins at another page ([`find_managers`](crate::find_managers)), looks like.
    Raw {
        /// Size of stable memory.
        size_pages: u64,
    },
    /// Laid out by a `MemoryManager`, and checked.
    Managed(Layout),
}

impl Image {
    /// Recognises the image whose first page begins with `header`.
    ///
    /// `header` is page 0 or its first [`HEADER_BYTES`]; `size_pages` is the size of stable memory.
    ///
    /// # Errors
    /// Any [`LayoutError`] if the bytes begin with the magic "MGR" but are no valid layout.
    pub fn parse(header: &[u8], size_pages: u64) -> Result<Self, LayoutError> {
        Self::parse_at(0, header, size_pages)
    }

    /// Like [`parse`](Image::parse), for a manager that begins at `manager_page`, whose first bytes are `header`: raw if
    /// there is none.
    ///
    /// # Errors
    /// As [`parse`](Image::parse).
    pub fn parse_at(manager_page: u32, header: &[u8], size_pages: u64) -> Result<Self, LayoutError> {
        if size_pages == 0 {
            return Ok(Self::Empty);
        }
        if header.len() < format::MAGIC.len() {
            return Err(LayoutError::HeaderTooShort { length_bytes: header.len() });
        }
        if !header.starts_with(&format::MAGIC) {
            return Ok(Self::Raw { size_pages });
        }
        Layout::parse_at(manager_page, header, size_pages).map(Self::Managed)
    }

    /// Reads the first bytes of a stable memory of `size_pages` and recognises it.
    ///
    /// `read(offset_bytes, buffer)` fills the buffer; it is called once, for [`HEADER_BYTES`] at offset 0,
    /// and not at all if there are no pages.
    ///
    /// # Errors
    /// What `read` says, or any [`LayoutError`] if the bytes begin with "MGR" but are no valid layout.
    pub fn read<E>(
        size_pages: u64,
        read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<Self, ImageError<E>> {
        Self::read_at(0, size_pages, read)
    }

    /// Like [`read`](Image::read), for a manager that begins at `manager_page`: raw if there is none.
    ///
    /// # Errors
    /// As [`read`](Image::read).
    pub fn read_at<E>(
        manager_page: u32,
        size_pages: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<Self, ImageError<E>> {
        if size_pages > 0 && u64::from(manager_page) >= size_pages {
            return Ok(Self::Raw { size_pages });
        }
        let mut header = Vec::new();
        if size_pages > 0 {
            header.resize(HEADER_BYTES, 0);
            read(u64::from(manager_page) * PAGE_BYTES, &mut header).map_err(ImageError::Read)?;
        }
        Ok(Self::parse_at(manager_page, &header, size_pages)?)
    }

    /// Size of stable memory in bytes.
    pub fn size_bytes(&self) -> u64 {
        let size_pages = match self {
            Self::Empty => 0,
            Self::Raw { size_pages } => *size_pages,
            Self::Managed(layout) => layout.stable_size_pages(),
        };
        size_pages.saturating_mul(PAGE_BYTES)
    }
}
