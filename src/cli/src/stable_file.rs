//! A stable memory in a file, read and written at offsets: images are larger than memory.

use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that is read or written at offsets.
#[derive(Debug)]
pub(crate) struct StableFile {
    path: PathBuf,
    file: File,
}

impl StableFile {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// A new file of that size which holds nothing but zeros: one hole, where the file system has holes.
    pub(crate) fn create(path: &Path, size_bytes: u64) -> anyhow::Result<Self> {
        let create = || {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
            file.set_len(size_bytes)?;
            Ok::<File, io::Error>(file)
        };
        let file = create().with_context(|| format!("writing {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Its size now.
    pub(crate) fn size_bytes(&self) -> anyhow::Result<u64> {
        let metadata = self.file.metadata().with_context(|| format!("reading {}", self.path.display()))?;
        Ok(metadata.len())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset_bytes))?;
        file.read_exact(buffer)
    }

    pub(crate) fn write_at(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset_bytes))?;
        file.write_all(bytes)
    }

    /// Reads as `decant_layout` wants it.
    pub(crate) fn reader(&self) -> impl FnMut(u64, &mut [u8]) -> io::Result<()> {
        |offset_bytes, buffer| self.read_at(offset_bytes, buffer)
    }

    /// Brings everything to the disk.
    pub(crate) fn sync(&self) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("writing {}", self.path.display()))
    }
}
