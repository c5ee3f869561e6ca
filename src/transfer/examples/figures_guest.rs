//! What `figures` measures, as wasm.
#![expect(unsafe_code, reason = "an export without a mangled name counts as unsafe")]

use decant_transfer::{Batch, ChunkRun, DigestSet, FrameEncoder, Scan, Shape, Wanted, pack};
use std::cell::RefCell;
use std::convert::Infallible;
use std::io::Write;

/// Pages of the state that is measured: 1 MiB.
const STATE_PAGES: u64 = 16;

#[derive(Default)]
struct Guest {
    state: Vec<u8>,
    output: Vec<u8>,
    sealed: Option<DigestSet>,
    batch: Vec<u8>,
}

thread_local! {
    static GUEST: RefCell<Guest> = RefCell::default();
}

/// Makes room for the state; answers its address.
#[unsafe(no_mangle)]
pub extern "C" fn state_address(length_bytes: usize) -> usize {
    GUEST.with_borrow_mut(|guest| {
        guest.state = vec![0; length_bytes];
        guest.state.as_mut_ptr() as usize
    })
}

/// SHA-256 of each chunk.
#[unsafe(no_mangle)]
pub extern "C" fn sha256(chunk_pages: usize) -> usize {
    each_chunk(chunk_pages, |chunk, _| usize::from(<sha2::Sha256 as sha2::Digest>::digest(chunk)[0] & 1))
}

/// BLAKE3 of each chunk.
#[unsafe(no_mangle)]
pub extern "C" fn blake3(chunk_pages: usize) -> usize {
    each_chunk(chunk_pages, |chunk, _| usize::from(blake3::hash(chunk).as_bytes()[0] & 1))
}

/// Deflate at level 1 of each chunk; answers the bytes.
#[unsafe(no_mangle)]
pub extern "C" fn deflate(chunk_pages: usize) -> usize {
    each_chunk(chunk_pages, |chunk, output| {
        let mut encoder =
            flate2::write::DeflateEncoder::new(std::mem::take(output), flate2::Compression::fast());
        let written = encoder.write_all(chunk).and_then(|()| encoder.finish());
        *output = written.unwrap_or_default();
        output.len()
    })
}

/// LZ4 of each chunk; answers the bytes.
#[unsafe(no_mangle)]
pub extern "C" fn lz4(chunk_pages: usize) -> usize {
    let mut table = lz4_flex::block::CompressTable::large();
    each_chunk(chunk_pages, |chunk, output| {
        output.resize(lz4_flex::block::get_maximum_output_size(chunk.len()), 0);
        lz4_flex::block::compress_into_with_table(chunk, output, &mut table).unwrap_or_default()
    })
}

/// Snappy of each chunk; answers the bytes.
#[unsafe(no_mangle)]
pub extern "C" fn snappy(chunk_pages: usize) -> usize {
    let mut encoder = snap::raw::Encoder::new();
    each_chunk(chunk_pages, |chunk, output| {
        output.resize(snap::raw::max_compress_len(chunk.len()), 0);
        encoder.compress(chunk, output).unwrap_or_default()
    })
}

/// The source's part of sealing: digests of all chunks.
#[unsafe(no_mangle)]
pub extern "C" fn scan(chunk_pages: usize) -> usize {
    GUEST.with_borrow_mut(|guest| {
        let mut scan = Scan::new(shape(chunk_pages));
        let Ok(_) = scan.run(reader(&guest.state), || true);
        guest.sealed = scan.finish();
        guest.sealed.as_ref().map_or(0, |sealed| sealed.manifest().memory_digests().len())
    })
}

/// The source's part of pulling: a batch of all chunks, encoded as Candid; answers the bytes.
#[unsafe(no_mangle)]
pub extern "C" fn pack_batch(chunk_pages: usize) -> usize {
    GUEST.with_borrow_mut(|guest| {
        let shape = shape(chunk_pages);
        let wanted = Wanted {
            runs: vec![ChunkRun { memory: 0, first: 0, count: shape.chunk_count() as u32 }],
            position: 0,
        };
        let mut encoder = FrameEncoder::new();
        let batch =
            pack(&shape, guest.sealed.as_ref(), &wanted, 2 << 20, &mut encoder, reader(&guest.state), || {
                true
            });
        guest.batch = batch.ok().and_then(|batch| candid::encode_one(batch).ok()).unwrap_or_default();
        guest.batch.len()
    })
}

/// The target's part of pulling: the batch decoded from Candid, every frame decoded and copied to where
/// stable memory would be, without the scan of what is read back from there; answers the bytes that came out.
#[unsafe(no_mangle)]
pub extern "C" fn unpack_batch(chunk_pages: usize) -> usize {
    GUEST.with_borrow_mut(|guest| {
        let shape = shape(chunk_pages);
        let Ok(batch) = candid::decode_one::<Batch>(&guest.batch) else { return 0 };
        let mut content = Vec::new();
        guest.output.clear();
        guest.output.reserve(guest.state.len());
        for frame in &batch.frames {
            if frame.decode(&shape, None, &mut content).is_ok() {
                guest.output.extend_from_slice(&content);
            }
        }
        guest.output.len()
    })
}

/// Whether what came out is what went in.
#[unsafe(no_mangle)]
pub extern "C" fn is_identity(_: usize) -> usize {
    GUEST.with_borrow(|guest| usize::from(guest.output == guest.state))
}

fn each_chunk(chunk_pages: usize, mut part: impl FnMut(&[u8], &mut Vec<u8>) -> usize) -> usize {
    GUEST.with_borrow_mut(|guest| {
        let Guest { state, output, .. } = guest;
        state
            .chunks(chunk_pages << 16)
            .map(|chunk| {
                output.clear();
                part(chunk, output)
            })
            .sum()
    })
}

fn shape(chunk_pages: usize) -> Shape {
    Shape::managed([(0, STATE_PAGES)], chunk_pages as u32).expect("a state of 1 MiB")
}

fn reader(state: &[u8]) -> impl FnMut(u8, u64, &mut [u8]) -> Result<(), Infallible> {
    |_, offset, buffer| {
        buffer.copy_from_slice(&state[offset as usize..][..buffer.len()]);
        Ok(())
    }
}
