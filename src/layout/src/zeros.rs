//! Pages that hold nothing.

/// Whether all bytes are zero. Blocks of 64 bytes, which compile to vector instructions.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|block| block.iter().fold(0, |bits, byte| bits | byte) == 0)
}
