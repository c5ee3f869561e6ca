//! Gzip and size of uploaded modules.

use super::WasmError;
use crate::costs::limits;
use std::io::Read;

/// First bytes of a gzip stream.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
/// First bytes of a wasm module.
const WASM_MAGIC: [u8; 4] = *b"\0asm";

/// Bytes that a module claims to have when it is unpacked, or has as it came where those are more (code:
/// `create_execution_state`): what the work on one that turns out to be none is charged by.
pub(crate) fn claimed_bytes(bytes: &[u8]) -> u64 {
    let claimed = bytes.last_chunk().filter(|_| bytes.starts_with(&GZIP_MAGIC)).map_or(0, |end| {
        // Gzip: the last four bytes are the size, modulo 2^32.
        u64::from(u32::from_le_bytes(*end))
    });
    claimed.max(bytes.len() as u64)
}

/// The plain module: unpacked if it came gzipped.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<u8>, WasmError> {
    let plain = if bytes.starts_with(&GZIP_MAGIC) {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes)
            .take(limits::MODULE_BYTES + 1)
            .read_to_end(&mut plain)
            .map_err(|error| WasmError::Decode(format!("failed to unpack the gzipped module: {error}")))?;
        plain
    } else {
        bytes.to_vec()
    };
    if plain.len() as u64 > limits::MODULE_BYTES {
        return Err(WasmError::Decode(format!(
            "Wasm module is too large: more than {} bytes",
            limits::MODULE_BYTES
        )));
    }
    if !plain.starts_with(&WASM_MAGIC) {
        return Err(WasmError::Decode("unsupported canister module format".to_owned()));
    }
    Ok(plain)
}
