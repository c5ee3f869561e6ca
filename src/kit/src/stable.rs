//! Stable memory, and a stand-in for tests.

/// A stable memory. Ranges are checked by the caller.
pub(crate) trait Stable {
    /// Its size.
    fn size_pages(&self) -> u64;
    /// Fills the buffer from an offset on.
    fn read(&self, offset_bytes: u64, buffer: &mut [u8]);
    /// Writes bytes at an offset.
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]);
    /// Grows it by zeros. Answers whether it could.
    fn grow(&mut self, pages: u64) -> bool;
}

/// The canister's own.
pub(crate) struct CanisterMemory;

impl Stable for CanisterMemory {
    fn size_pages(&self) -> u64 {
        ic_cdk::api::stable_size()
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) {
        ic_cdk::api::stable_read(offset_bytes, buffer);
    }

    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) {
        ic_cdk::api::stable_write(offset_bytes, bytes);
    }

    fn grow(&mut self, pages: u64) -> bool {
        ic_cdk::api::stable_grow(pages) != u64::MAX
    }
}

/// A stable memory for tests.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct TestMemory {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Pages beyond which it does not grow.
    pub(crate) limit_pages: Option<u64>,
    /// A byte that it does not keep as it is written.
    pub(crate) broken_byte: Option<u64>,
    /// Bytes that were read.
    pub(crate) read_bytes: std::cell::Cell<u64>,
}

#[cfg(test)]
impl TestMemory {
    /// One of these bytes that grows without limit.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }
}

#[cfg(test)]
impl Stable for TestMemory {
    fn size_pages(&self) -> u64 {
        self.bytes.len() as u64 / decant_transfer::PAGE_BYTES
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.bytes[offset_bytes as usize..][..buffer.len()]);
        self.read_bytes.set(self.read_bytes.get() + buffer.len() as u64);
    }

    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) {
        self.bytes[offset_bytes as usize..][..bytes.len()].copy_from_slice(bytes);
        if let Some(broken) =
            self.broken_byte.filter(|byte| byte.wrapping_sub(offset_bytes) < bytes.len() as u64)
        {
            self.bytes[broken as usize] ^= 1;
        }
    }

    fn grow(&mut self, pages: u64) -> bool {
        let size_pages = self.size_pages() + pages;
        let fits = self.limit_pages.is_none_or(|limit_pages| size_pages <= limit_pages);
        if fits {
            self.bytes.resize((size_pages * decant_transfer::PAGE_BYTES) as usize, 0);
        }
        fits
    }
}
