//! A u32 length and CBOR in memory 0 of a `MemoryManager`: what the incident's upgrade made of it.

use std::io::Read;

use ic_stable_structures::Memory;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::reader::{BufferedReader, Reader};
use ic_stable_structures::writer::Writer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BUFFER_BYTES, StorageError};
use crate::UserState;

/// The memory that holds the state.
pub const STATE_MEMORY: MemoryId = MemoryId::new(0);

/// Whether stable memory has a manager. `MemoryManager::init` must not be called to find out: on anything
/// else it overwrites the first page.
pub fn is_managed(memory: &impl Memory) -> bool {
    let mut magic = [0; 3];
    if memory.size() > 0 {
        memory.read(0, &mut magic);
    }
    magic == *b"MGR"
}

/// The manager of stable memory; a new one, with buckets of that size, unless there is one.
pub fn manager<M: Memory>(memory: M, bucket_pages: u16) -> MemoryManager<M> {
    MemoryManager::init_with_bucket_size(memory, bucket_pages)
}

/// Writes the state to memory 0, in a manager with buckets of that size unless there is one.
///
/// # Errors
/// If stable memory can't grow, or the state is larger than 4 GiB.
pub fn save<M: Memory>(state: &UserState, memory: M, bucket_pages: u16) -> Result<(), StorageError> {
    write(state, &mut manager(memory, bucket_pages).get(STATE_MEMORY))
}

/// Reads the state out of memory 0; an empty one if that has no pages. Only for memory that
/// [has a manager](is_managed).
///
/// # Errors
/// If it is not CBOR of a state.
pub fn load<M: Memory>(memory: M) -> Result<UserState, StorageError> {
    load_from(&MemoryManager::init(memory))
}

/// The same, with a manager at hand.
pub(super) fn load_from<M: Memory>(manager: &MemoryManager<M>) -> Result<UserState, StorageError> {
    let memory = manager.get(STATE_MEMORY);
    match memory.size() {
        0 => Ok(UserState::default()),
        _ => read(&memory),
    }
}

/// Writes a length and CBOR.
pub(super) fn write<M: Memory>(
    value: &impl Serialize,
    memory: &mut VirtualMemory<M>,
) -> Result<(), StorageError> {
    let failed = |error: String| StorageError::new("saving managed", error);
    let mut bytes = vec![0; size_of::<u32>()];
    ciborium::into_writer(value, &mut bytes).map_err(|error| failed(error.to_string()))?;
    let length = u32::try_from(bytes.len() - size_of::<u32>()).map_err(|error| failed(error.to_string()))?;
    bytes[..size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
    Writer::new(memory, 0).write(&bytes).map_err(|error| failed(error.to_string()))
}

/// Reads a length and CBOR.
pub(super) fn read<M: Memory, T: DeserializeOwned>(memory: &VirtualMemory<M>) -> Result<T, StorageError> {
    let failed = |error: String| StorageError::new("loading managed", error);
    let mut reader = BufferedReader::new(BUFFER_BYTES, Reader::new(memory, 0));
    let mut length = [0; size_of::<u32>()];
    reader.read_exact(&mut length).map_err(|error| failed(error.to_string()))?;
    let content = reader.take(u64::from(u32::from_le_bytes(length)));
    ciborium::from_reader(content).map_err(|error| failed(error.to_string()))
}
