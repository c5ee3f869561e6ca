//! The directory of a downloaded snapshot: what must be in it, and what its metadata says.
//!
//! | file | holds |
//! |---|---|
//! | `metadata.json` | the reply of `read_canister_snapshot_metadata` as JSON; blobs are arrays of numbers |
//! | `wasm_module.bin` | the module as it was installed, gzipped or not |
//! | `wasm_memory.bin` | the heap; may be missing if it is empty |
//! | `stable_memory.bin` | stable memory |
//! | `wasm_chunk_store/HASH.bin` | a file for each chunk, named by its SHA-256 in hexadecimal |
//! | `.download_progress.json` | there as long as a download is not complete |
//! | `.upload_progress.json` | there as long as an upload is not complete |
//! | `.lock` | empty; icp-cli leaves it behind |
//!
//! Source: `operations/snapshot_transfer.rs` and `commands/canister/snapshot/` of icp-cli; tried with version
//! 1.5.0. dfx writes the same files, and leaves out the ones that would be empty.

use crate::stable_file::StableFile;
use anyhow::{Context, anyhow, bail, ensure};
use decant_layout::{
    Image, ImageError, Layout, MemoryContents, Obstacle, PAGE_BYTES, Structure, Tail, check_place,
    find_managers,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A module without functions, globals or memory: it can't run anything, and the next upgrade replaces it.
pub const EMPTY_MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";

pub(super) const METADATA: &str = "metadata.json";
pub(super) const MODULE: &str = "wasm_module.bin";
pub(super) const HEAP: &str = "wasm_memory.bin";
pub(super) const STABLE: &str = "stable_memory.bin";
pub(super) const CHUNKS: &str = "wasm_chunk_store";
/// Empty; icp-cli makes it in every directory that it opens, and leaves it there.
pub(super) const LOCK: &str = ".lock";
/// Files of a directory that the command of Juno wrote (junobuild/cli, `.snapshots/0x…`): other names for the same, and
/// other metadata.
const JUNO_FILES: [&str; 2] = ["stable.bin", "wasm-code.bin"];
const DOWNLOAD_PROGRESS: [&str; 2] = [".download_progress.json", ".download_progress.json.tmp"];

pub(super) const MODULE_SIZE: &str = "wasm_module_size";
pub(super) const HEAP_SIZE: &str = "wasm_memory_size";
pub(super) const STABLE_SIZE: &str = "stable_memory_size";
pub(super) const GLOBALS: &str = "globals";
pub(super) const HOOK_STATUS: &str = "on_low_wasm_memory_hook_status";
const TAKEN_AT: &str = "taken_at_timestamp";
const CHUNK_STORE: &str = "wasm_chunk_store";
const CERTIFIED_DATA: &str = "certified_data";
const SOURCE: &str = "source";
/// How snapshots come about (interface specification, `read_canister_snapshot_metadata`).
const SOURCES: [&str; 2] = ["taken_from_canister", "metadata_upload"];
/// Bytes of certified data at most (interface specification, "Certified data").
const MAX_CERTIFIED_BYTES: usize = 32;
/// The last moment in which a snapshot can have been taken: 2100-01-01 UTC, behind which a clock is wrong.
const MAX_TAKEN_NANOS: u64 = 4_102_444_800_000_000_000;

/// First bytes of a module: WebAssembly, or gzip.
const MODULE_MAGICS: [&[u8]; 2] = [b"\0asm", &[0x1f, 0x8b]];

/// A snapshot's directory whose files are all there and have the sizes that the metadata says.
#[derive(Debug)]
pub struct SnapshotDir {
    path: PathBuf,
    metadata: Map<String, Value>,
    module: Vec<u8>,
    heap_bytes: u64,
    stable: StableFile,
    stable_pages: u64,
    taken_nanos: u64,
    chunks: BTreeSet<String>,
}

impl SnapshotDir {
    /// Opens and checks a directory. Stable memory and heap are not read, chunks are hashed.
    ///
    /// # Errors
    /// A file is missing, is no file, or is not what the metadata says: the error names it and what to do.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let found = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(found.is_dir(), "{} is no directory: name the one of the snapshot", path.display());
        ensure!(
            !any_is_there(path, &JUNO_FILES)?,
            "{} was written by the Juno CLI, whose files have other names and other metadata: download the same snapshot \
             with icp-cli or dfx",
            path.display()
        );
        for name in DOWNLOAD_PROGRESS {
            ensure!(
                !any_is_there(path, &[name])?,
                "{} says that the download is not complete: finish it with `icp canister snapshot download … \
                 --resume`",
                path.join(name).display()
            );
        }
        if !is_file(&path.join(METADATA))? {
            let mut inside =
                std::fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?;
            ensure!(
                !inside.any(|entry| entry.is_ok_and(|entry| entry.path().join(METADATA).is_file())),
                "{0} holds directories of snapshots: name one of them, or all, as in `decant inspect {0}/*`",
                path.display()
            );
        }
        let metadata = read_metadata(&path.join(METADATA))?;
        let numbers = |field: &str| size(path, &metadata, field);
        let module_bytes = numbers(MODULE_SIZE)?;
        let heap_bytes = numbers(HEAP_SIZE)?;
        let stable_bytes = numbers(STABLE_SIZE)?;
        ensure!(
            stable_bytes.is_multiple_of(PAGE_BYTES),
            "{}: {STABLE_SIZE} is {stable_bytes}, not a whole number of pages: download the snapshot again",
            path.join(METADATA).display()
        );
        ensure!(
            metadata.get(GLOBALS).is_some_and(Value::is_array),
            "{}: {GLOBALS} is missing or no list: download the snapshot again, with a current icp-cli",
            path.join(METADATA).display()
        );
        ensure!(
            heap_bytes.is_multiple_of(PAGE_BYTES),
            "{}: {HEAP_SIZE} is {heap_bytes}, not a whole number of pages: download the snapshot again",
            path.join(METADATA).display()
        );
        let certified = byte_list(path, CERTIFIED_DATA, metadata.get(CERTIFIED_DATA))?;
        ensure!(
            certified.len() <= MAX_CERTIFIED_BYTES,
            "{}: {CERTIFIED_DATA} has {} bytes, more than the {MAX_CERTIFIED_BYTES} that a canister can have: download the \
             snapshot again",
            path.join(METADATA).display(),
            certified.len()
        );
        ensure!(
            metadata.get(SOURCE).and_then(Value::as_object).is_some_and(is_source),
            "{}: {SOURCE} is none of {}: download the snapshot again",
            path.join(METADATA).display(),
            SOURCES.join(", ")
        );
        let taken_nanos = numbers(TAKEN_AT)?;
        ensure!(
            taken_nanos <= MAX_TAKEN_NANOS,
            "{}: {TAKEN_AT} is {taken_nanos}, a time behind the year 2100: download the snapshot again",
            path.join(METADATA).display()
        );
        ensure_size(&path.join(MODULE), module_bytes)?;
        ensure_size(&path.join(HEAP), heap_bytes)?;
        ensure_size(&path.join(STABLE), stable_bytes)?;
        let chunks = chunks(path, &metadata)?;
        let module = read(&path.join(MODULE))?;
        ensure!(
            is_module(&module),
            "{} is no WebAssembly module, gzipped or not: download the snapshot again",
            path.join(MODULE).display()
        );
        let stable = StableFile::open(&path.join(STABLE))?;
        Ok(Self {
            path: path.to_owned(),
            metadata,
            module,
            heap_bytes,
            stable,
            stable_pages: stable_bytes / PAGE_BYTES,
            taken_nanos,
            chunks,
        })
    }

    /// What stable memory holds, by a manager that begins at this page.
    ///
    /// # Errors
    /// The file can't be read, or its header page is no layout.
    pub fn image(&self, manager_page: u32) -> anyhow::Result<Image> {
        let file = self.stable.path().display();
        Image::read_at(manager_page, self.stable_pages, self.stable.reader()).map_err(|error| match error {
            ImageError::Read(error) => anyhow!(error).context(format!("reading {file}")),
            ImageError::Layout(error) => anyhow!("{file} can't be trusted: page {manager_page}: {error}"),
        })
    }

    /// Managers, wherever they begin.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn managers(&self) -> anyhow::Result<Vec<Layout>> {
        find_managers(self.stable_pages, self.stable.reader()).with_context(|| self.reading())
    }

    /// Whether a manager at that page is in no memory of another one.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn check_place(&self, manager_page: u32) -> anyhow::Result<Result<(), Obstacle>> {
        check_place(manager_page, self.stable_pages, self.stable.reader()).with_context(|| self.reading())
    }

    /// What lies behind the last bucket.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn tail(&self, layout: &Layout) -> anyhow::Result<Tail> {
        layout.tail(self.stable.reader()).with_context(|| self.reading())
    }

    /// What each virtual memory holds.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn contents(&self, layout: &Layout) -> anyhow::Result<Vec<MemoryContents>> {
        layout.contents(self.stable.reader()).with_context(|| self.reading())
    }

    /// The structure that begins at page 0.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn first_structure(&self) -> anyhow::Result<Option<Structure>> {
        let mut bytes = [0; 4];
        self.stable.read_at(0, &mut bytes).with_context(|| self.reading())?;
        Ok(Structure::of(&bytes))
    }

    fn reading(&self) -> String {
        format!("reading {}", self.stable.path().display())
    }

    /// The module as it was installed.
    pub(crate) fn module(&self) -> &[u8] {
        &self.module
    }

    /// Whether the canister had no code: neither module nor heap can run.
    pub(crate) fn has_no_code(&self) -> bool {
        self.module == EMPTY_MODULE
    }

    /// When it was taken: nanoseconds since the Unix epoch.
    pub(crate) fn taken_nanos(&self) -> u64 {
        self.taken_nanos
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    pub(super) fn heap_bytes(&self) -> u64 {
        self.heap_bytes
    }

    pub(crate) fn stable(&self) -> &StableFile {
        &self.stable
    }

    pub(crate) fn stable_pages(&self) -> u64 {
        self.stable_pages
    }

    /// Hashes of the chunks, as they stand in file names.
    pub(super) fn chunks(&self) -> &BTreeSet<String> {
        &self.chunks
    }
}

/// File of a chunk, from the directory of the snapshot.
pub(super) fn chunk_path(directory: &Path, hash: &str) -> PathBuf {
    directory.join(CHUNKS).join(format!("{hash}.bin"))
}

/// Whether bytes begin as a module does.
pub(crate) fn is_module(bytes: &[u8]) -> bool {
    MODULE_MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

fn is_source(source: &Map<String, Value>) -> bool {
    source.keys().any(|name| SOURCES.contains(&name.as_str()))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// Whether a file is there. What can't be looked at is neither there nor missing.
fn is_file(path: &Path) -> anyhow::Result<bool> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(anyhow!(error).context(format!("reading {}", path.display()))),
    }
}

fn any_is_there(directory: &Path, names: &[&str]) -> anyhow::Result<bool> {
    for name in names {
        if is_file(&directory.join(name))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_metadata(path: &Path) -> anyhow::Result<Map<String, Value>> {
    ensure!(
        is_file(path)?,
        "{} is missing: this is no complete snapshot directory; download it again, or repack it again",
        path.display()
    );
    let value: Value = serde_json::from_slice(&read(path)?)
        .with_context(|| format!("{} is no JSON: download the snapshot again", path.display()))?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => bail!("{} is no record: download the snapshot again", path.display()),
    }
}

fn size(directory: &Path, metadata: &Map<String, Value>, field: &str) -> anyhow::Result<u64> {
    metadata.get(field).and_then(Value::as_u64).with_context(|| {
        let path = directory.join(METADATA);
        format!("{}: {field} is missing or no number: download the snapshot again", path.display())
    })
}

/// Checks a file's size; an empty one may be missing.
fn ensure_size(path: &Path, expected_bytes: u64) -> anyhow::Result<()> {
    let size_bytes = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => bail!("{} is no file: download the snapshot again", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && expected_bytes == 0 => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{} is missing: download the snapshot again", path.display())
        }
        Err(error) => return Err(anyhow!(error).context(format!("reading {}", path.display()))),
    };
    ensure!(
        size_bytes == expected_bytes,
        "{} has {size_bytes} bytes, {METADATA} says {expected_bytes}: download the snapshot again",
        path.display()
    );
    Ok(())
}

fn byte_list(directory: &Path, field: &str, value: Option<&Value>) -> anyhow::Result<Vec<u8>> {
    let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
    let bytes = value.and_then(Value::as_array).and_then(|bytes| bytes.iter().map(byte).collect());
    bytes.with_context(|| {
        let path = directory.join(METADATA);
        format!("{}: {field} is missing or no list of bytes: download the snapshot again", path.display())
    })
}

/// The hashes of all chunks, each of which has a file with that hash.
fn chunks(directory: &Path, metadata: &Map<String, Value>) -> anyhow::Result<BTreeSet<String>> {
    let entries = metadata.get(CHUNK_STORE).and_then(Value::as_array).with_context(|| {
        let path = directory.join(METADATA);
        format!("{}: {CHUNK_STORE} is missing or no list: download the snapshot again", path.display())
    })?;
    let mut chunks = BTreeSet::new();
    for entry in entries {
        let hash = byte_list(directory, "a hash of wasm_chunk_store", entry.get("hash"))?;
        let name = hex::encode(&hash);
        let path = chunk_path(directory, &name);
        ensure!(is_file(&path)?, "{} is missing: download the snapshot again", path.display());
        ensure!(
            Sha256::digest(read(&path)?).as_slice() == hash,
            "{} does not have the hash in its name: download the snapshot again",
            path.display()
        );
        chunks.insert(name);
    }
    Ok(chunks)
}
