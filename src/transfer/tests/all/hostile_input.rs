//! Nothing that comes over the wire, however wrong, is written, panics or allocates without bound.

use crate::common::{PAGE, State, page, states};
use decant_transfer::{
    Batch, ChunkId, Codec, Digest, DigestCollector, DigestPage, DigestPageError, DigestSet, Frame,
    FrameError, Manifest, Scan, Shape, Wanted,
};
use proptest::prelude::*;

/// Flips a bit of everything that a frame consists of.
fn flipped(frame: &Frame, bit: usize) -> Frame {
    let mut frame = frame.clone();
    let mut digest = *frame.digest.as_bytes();
    match bit {
        0..8 => frame.chunk.memory ^= 1 << bit,
        8..40 => frame.chunk.index ^= 1 << (bit - 8),
        40..42 => {
            let codecs = [Codec::Zeros, Codec::Plain, Codec::Snappy];
            let others = codecs.into_iter().filter(|&codec| codec != frame.codec);
            frame.codec = others.collect::<Vec<_>>()[bit - 40];
        }
        42..298 => {
            digest[(bit - 42) / 8] ^= 1 << ((bit - 42) % 8);
            frame.digest = Digest::new(digest);
        }
        _ => frame.bytes[(bit - 298) / 8] ^= 1 << ((bit - 298) % 8),
    }
    frame
}

/// Whether a target takes a frame: it decodes, and what is found then has the digest that it states.
fn is_taken(frame: &Frame, shape: &Shape, content: &mut Vec<u8>) -> bool {
    frame.decode(shape, None, content).is_ok()
        && Scan::new(shape.clone()).saw(frame.chunk, content) == Some(frame.digest)
}

/// Asserts that a changed frame is refused, or says the very same about the very same chunk.
fn assert_harmless(shape: &Shape, original: &Frame, content: &[u8], changed: &Frame) {
    let mut decoded = Vec::new();
    if is_taken(changed, shape, &mut decoded) {
        assert_eq!(
            (original.codec, changed.codec),
            (Codec::Snappy, Codec::Snappy),
            "only Snappy has synonyms"
        );
        assert_eq!((changed.chunk, changed.digest), (original.chunk, original.digest));
        assert!(decoded == content, "what is accepted is the content");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_changed_frame_never_passes_for_other_content(
        state in states(),
        which in any::<prop::sample::Index>(),
        bits in proptest::collection::vec(any::<prop::sample::Index>(), 40),
        chunk_pages in 1..3_u32,
    ) {
        let shape = state.shape(chunk_pages);
        let chunks: Vec<ChunkId> = shape.chunks().collect();
        prop_assume!(!chunks.is_empty());
        let chunk = *which.get(&chunks);
        let (frame, content) = (state.frame(&shape, chunk), state.content(&shape, chunk));
        for bit in bits {
            let changed = flipped(&frame, bit.index(298 + frame.bytes.len() * 8));
            assert_harmless(&shape, &frame, &content, &changed);
        }
    }

    #[test]
    fn truncated_and_lengthened_frames_are_refused(
        state in states(),
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        more in proptest::collection::vec(any::<u8>(), 1..4),
    ) {
        let shape = state.shape(1);
        let chunks: Vec<ChunkId> = shape.chunks().collect();
        prop_assume!(!chunks.is_empty());
        let frame = state.frame(&shape, *which.get(&chunks));
        let mut content = Vec::new();
        if !frame.bytes.is_empty() {
            let mut truncated = frame.clone();
            truncated.bytes.truncate(cut.index(frame.bytes.len()));
            prop_assert!(!is_taken(&truncated, &shape, &mut content), "bytes are missing");
        }
        let mut lengthened = frame;
        lengthened.bytes.extend(more);
        prop_assert!(!is_taken(&lengthened, &shape, &mut content), "there are bytes too many");
    }

    #[test]
    fn made_up_frames_are_refused_within_the_memory_of_a_chunk(
        memory in 0..4_u8,
        index in prop_oneof![0..4_u32, any::<u32>()],
        codec in prop_oneof![1 => Just(Codec::Zeros), 1 => Just(Codec::Plain), 4 => Just(Codec::Snappy)],
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(255)], 0..300),
        digest in any::<[u8; 32]>(),
    ) {
        let shape = Shape::managed([(0, 3), (2, 1)], 2).expect("it is small");
        let frame = Frame { chunk: ChunkId { memory, index }, codec, bytes, digest: Digest::new(digest) };
        let mut content = Vec::new();
        prop_assert!(!is_taken(&frame, &shape, &mut content), "the digest is made up");
        if frame.decode(&shape, None, &mut content).is_ok() {
            let pages = shape.pages(frame.chunk).expect("a frame of another chunk is refused");
            prop_assert_eq!(content.len() as u64, (pages.end - pages.start) * PAGE as u64);
        }
        prop_assert!(content.capacity() <= 2 * PAGE);
    }

    #[test]
    fn made_up_messages_are_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        with_magic in any::<bool>(),
    ) {
        let bytes = if with_magic { [b"DIDL".as_slice(), &bytes].concat() } else { bytes };
        if let Ok(manifest) = candid::decode_one::<Manifest>(&bytes) {
            prop_assert_eq!(manifest.memory_digests().len(), manifest.shape().memories().len());
        }
        if let Ok(batch) = candid::decode_one::<Batch>(&bytes) {
            prop_assert!(batch.frames.len() <= bytes.len());
        }
        if let Ok(wanted) = candid::decode_one::<Wanted>(&bytes) {
            prop_assert!(wanted.runs.len() <= bytes.len());
        }
    }

    #[test]
    fn a_changed_manifest_is_refused(state in states(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let manifest = state.digests(1).manifest();
        let mut bytes = candid::encode_one(&manifest).expect("it can be encoded");
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(decoded) = candid::decode_one::<Manifest>(&bytes) {
            prop_assert_eq!(decoded, manifest, "a change that Candid does not mind changes nothing");
        }
    }
}

#[test]
fn every_bit_of_a_small_frame_is_guarded() {
    let mut content = vec![0; PAGE];
    content[..64].copy_from_slice(&page(3, 64)[..64]);
    for repeated in [1, 200] {
        let state =
            State::managed([(7, [vec![1; PAGE], content[..64].repeat(repeated), content.clone()].concat())]);
        let mut padded = state;
        let bytes = padded.memories.get_mut(&7).expect("it is the only one");
        bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
        let shape = padded.shape(1);
        let chunk = ChunkId { memory: 7, index: 1 };
        let (frame, content) = (padded.frame(&shape, chunk), padded.content(&shape, chunk));
        assert!(frame.bytes.len() < 700, "{} bytes", frame.bytes.len());
        for bit in 0..298 + frame.bytes.len() * 8 {
            assert_harmless(&shape, &frame, &content, &flipped(&frame, bit));
        }
    }
}

#[test]
fn each_fault_of_a_frame_has_its_error() {
    let state = State::managed([(1, page(5, PAGE))]);
    let shape = state.shape(1);
    let chunk = ChunkId { memory: 1, index: 0 };
    let frame = state.frame(&shape, chunk);
    let error = |frame: &Frame| frame.decode(&shape, None, &mut Vec::new()).expect_err("it is wrong");
    let elsewhere = ChunkId { memory: 1, index: 1 };
    assert_eq!(error(&Frame { chunk: elsewhere, ..frame.clone() }), FrameError::UnknownChunk(elsewhere));
    let zeros = Frame { codec: Codec::Zeros, ..frame.clone() };
    assert_eq!(error(&zeros), FrameError::Length { chunk, length_bytes: PAGE, limit_bytes: 0 });
    let long = Frame { bytes: vec![1; PAGE + 1], ..frame.clone() };
    assert_eq!(error(&long), FrameError::Length { chunk, length_bytes: PAGE + 1, limit_bytes: PAGE });
    // A length of 77,056 bytes, a literal of one, and copies of 64 that go one back.
    let bomb = [&[0x80, 0xDA, 0x04, 0x00, 1][..], &[0xFE, 1, 0].repeat(1_204)].concat();
    let bomb = Frame { codec: Codec::Snappy, bytes: bomb, ..frame.clone() };
    assert_eq!(error(&bomb), FrameError::Malformed(chunk), "it is more than a page");
    // The same for a page, which breaks off: no byte of the rest was written.
    let short = [&[0x80, 0x80, 0x04, 0x00, 1][..], &[0xFE, 1, 0].repeat(1_000)].concat();
    let short = Frame { codec: Codec::Snappy, bytes: short, ..frame.clone() };
    assert_eq!(error(&short), FrameError::Malformed(chunk), "it is less than it says");
    let padded = Frame { bytes: vec![1, 0], ..frame.clone() };
    assert_eq!(error(&padded), FrameError::Malformed(chunk), "the encoder sends no zero at the end");
    let other = Frame { bytes: vec![1], ..frame.clone() };
    let mut content = Vec::new();
    assert!(!is_taken(&other, &shape, &mut content), "it holds another byte");
    let expected = Digest::new([1; 32]);
    assert_eq!(
        frame.decode(&shape, Some(&expected), &mut Vec::new()),
        Err(FrameError::Unexpected { chunk, stated: frame.digest, expected })
    );
}

#[test]
fn pages_of_digests_that_do_not_fit_are_refused_and_can_be_asked_for_again() {
    let state = State::managed([(1, page(5, PAGE).repeat(2)), (2, page(6, PAGE).repeat(3))]);
    let sealed = state.digests(1);
    let mut collector = DigestCollector::new(sealed.manifest());
    let mut add = |first, digests: Vec<u8>| collector.add(&DigestPage { first, digests });
    let bytes = |range: std::ops::Range<usize>| -> Vec<u8> {
        sealed.digests()[range].iter().flat_map(|digest| *digest.as_bytes()).collect()
    };
    let remaining = 5;
    assert_eq!(add(1, bytes(1..5)), Err(DigestPageError::OutOfOrder { first: 1, expected: 0 }));
    for length_bytes in [0, 31, 33, 6 * 32] {
        assert_eq!(add(0, vec![0; length_bytes]), Err(DigestPageError::Length { length_bytes, remaining }));
    }
    assert_eq!(add(0, bytes(0..3)), Ok(()), "memory 1, and the first chunk of memory 2");
    assert_eq!(add(3, vec![9; 64]), Err(DigestPageError::Memory { memory: 2 }));
    assert_eq!(collector.next(), Some(2), "memory 1 is kept");
    assert_eq!(collector.add(&sealed.page(2, 0).expect("it exists")), Ok(()), "a digest at a time");
    assert_eq!(collector.next(), Some(3));
    assert_eq!(collector.clone().finish(), None);
    assert_eq!(collector.add(&sealed.page(3, 1_000).expect("it exists")), Ok(()));
    assert_eq!(collector.finish(), Some(sealed));
}

#[test]
fn a_set_of_nothing_lacks_everything() {
    let state = State::managed([(1, vec![0; 3 * PAGE])]);
    let sealed = state.digests(2);
    let nothing = DigestSet::of_nothing(sealed.shape().clone());
    let lacking: Vec<_> = nothing.missing_for(&sealed).iter().map(|run| (run.first, run.count)).collect();
    assert_eq!(lacking, [(0, 2)]);
    let mut other = nothing;
    assert!(!other.set(ChunkId { memory: 1, index: 2 }, Digest::new([1; 32])), "there is no third chunk");
}
