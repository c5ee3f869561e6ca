//! `stable_memory.bin`, read and written at offsets: images are larger than memory.

use anyhow::Context;
use decant_layout::PAGE_BYTES;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes that are read at a time where the layout does not say how many.
const BUFFER_BYTES: usize = 1 << 20;

/// A file that is read or written at offsets.
#[derive(Debug)]
pub(super) struct StableFile {
    path: PathBuf,
    file: File,
}

impl StableFile {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// A new file of that size which holds nothing but zeros: one hole, where the file system has holes.
    pub(super) fn create(path: &Path, size_bytes: u64) -> anyhow::Result<Self> {
        let create = || {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
            file.set_len(size_bytes)?;
            Ok::<File, io::Error>(file)
        };
        let file = create().with_context(|| format!("writing {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset_bytes))?;
        file.read_exact(buffer)
    }

    pub(super) fn write_at(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset_bytes))?;
        file.write_all(bytes)
    }

    /// The first page from `first_page` on that is not zero.
    pub(super) fn first_page_in_use(&self, first_page: u64, end_page: u64) -> anyhow::Result<Option<u64>> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut page = first_page;
        while page < end_page {
            let pages = (end_page - page).min(BUFFER_BYTES as u64 / PAGE_BYTES);
            let part = &mut buffer[..(pages * PAGE_BYTES) as usize];
            self.read_at(page * PAGE_BYTES, part)
                .with_context(|| format!("reading page {page} of {}", self.path.display()))?;
            if let Some(byte) = part.iter().position(|&byte| byte != 0) {
                return Ok(Some(page + byte as u64 / PAGE_BYTES));
            }
            page += pages;
        }
        Ok(None)
    }

    /// Brings everything to the disk.
    pub(super) fn sync(&self) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("writing {}", self.path.display()))
    }
}
