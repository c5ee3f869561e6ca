//! CBOR from offset 0 on, without a manager: what nearly every canister had before the incident.

use std::io::Write;

use ic_stable_structures::Memory;
use ic_stable_structures::reader::{BufferedReader, Reader};
use ic_stable_structures::writer::{BufferedWriter, Writer};

use super::{BUFFER_BYTES, StorageError};
use crate::UserState;

/// Streams the state to stable memory, over whatever was there.
///
/// # Errors
/// If stable memory can't grow.
pub fn save(state: &UserState, memory: &mut impl Memory) -> Result<(), StorageError> {
    let mut writer = BufferedWriter::new(BUFFER_BYTES, Writer::new(memory, 0));
    ciborium::into_writer(state, &mut writer).map_err(|error| StorageError::new("saving raw", error))?;
    writer.flush().map_err(|error| StorageError::new("saving raw", error))
}

/// Reads the state; an empty one if there is no stable memory.
///
/// # Errors
/// If it is not CBOR of a state.
pub fn load(memory: &impl Memory) -> Result<UserState, StorageError> {
    if memory.size() == 0 {
        return Ok(UserState::default());
    }
    let reader = BufferedReader::new(BUFFER_BYTES, Reader::new(memory, 0));
    ciborium::from_reader(reader).map_err(|error| StorageError::new("loading raw", error))
}
