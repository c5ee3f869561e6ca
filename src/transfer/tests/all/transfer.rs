//! Whole transfers: what was cut, packed, decoded and written is what was there.

use crate::common::{PAGE, State, page, states};
use decant_transfer::{
    BATCH_OVERHEAD_BYTES, Batch, ChunkId, ChunkRun, Codec, Digest, DigestCollector, DigestPage, DigestSet,
    FRAME_OVERHEAD_BYTES, Frame, FrameEncoder, Kind, Manifest, PAGE_BYTES, PackError, RAW_MEMORY, Scan,
    Slicing, Wanted, pack,
};
use proptest::prelude::*;

/// Encodes and decodes as between two canisters.
fn sent<T: candid::CandidType + serde::de::DeserializeOwned>(value: &T, limit_bytes: usize) -> T {
    let bytes = candid::encode_one(value).expect("it can be encoded");
    assert!(bytes.len() <= limit_bytes, "{} bytes exceed the limit of {limit_bytes}", bytes.len());
    candid::decode_one(&bytes).expect("what was encoded can be decoded")
}

/// What a target does with a source's reply to "what do you hold?".
fn collect(sealed: &DigestSet, limit_bytes: usize) -> DigestSet {
    let manifest: Manifest = sent(&sealed.manifest(), 12 * 1024);
    let mut collector = DigestCollector::new(manifest);
    while let Some(first) = collector.next() {
        let page: DigestPage = sent(&sealed.page(first, limit_bytes).expect("it is asked for"), limit_bytes);
        collector.add(&page).expect("nothing was changed on the way");
    }
    collector.finish().expect("all pages came")
}

/// Pulls what `target` lacks; answers how many chunks came.
fn pull(source: &State, target: &mut State, held: &mut DigestSet, wanted: &DigestSet, limit: usize) -> u64 {
    let mut encoder = FrameEncoder::new();
    let mut content = Vec::new();
    let mut request = Wanted { runs: held.missing_for(wanted), position: 0 };
    let mut budget = 0;
    loop {
        let may_continue = || {
            budget += 1;
            budget % 7 != 0
        };
        let asked = sent(&request, usize::MAX);
        let shape = wanted.shape();
        let batch = pack(shape, Some(wanted), &asked, limit, &mut encoder, source.reader(), may_continue);
        let batch: Batch = sent(&batch.expect("the limit is large enough"), limit);
        for frame in &batch.frames {
            frame.decode(shape, wanted.get(frame.chunk), &mut content).expect("nothing was changed");
            let offset = shape.pages(frame.chunk).expect("it was decoded").start * PAGE_BYTES;
            target.write(frame.chunk.memory, offset, &content);
            let found = Scan::new(shape.clone()).saw(frame.chunk, &content);
            assert_eq!(found.as_ref(), wanted.get(frame.chunk));
            assert!(held.set(frame.chunk, frame.digest));
        }
        match batch.next {
            Some(next) => {
                assert!(next > request.position, "every batch makes progress");
                request.position = next;
            }
            None => return request.count(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_arrives_is_what_was_there(
        source in states(),
        chunk_pages in 1..4_u32,
        spare_bytes in prop_oneof![0..2_000_usize, 0..400_000_usize],
    ) {
        let limit = BATCH_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES + chunk_pages as usize * PAGE + spare_bytes;
        let sealed = source.digests(chunk_pages);
        let wanted = collect(&sealed, 100 + spare_bytes);
        prop_assert_eq!(&wanted, &sealed);
        let mut target = source.zeroed();
        let mut held = DigestSet::of_zeros(target.shape(chunk_pages));
        let pulled = pull(&source, &mut target, &mut held, &wanted, limit);
        prop_assert!(target == source);
        prop_assert_eq!(target.digests(chunk_pages).manifest(), sealed.manifest());
        prop_assert!(held.missing_for(&wanted).is_empty());
        let not_zero = sealed.shape().chunks()
            .filter(|&chunk| source.content(sealed.shape(), chunk).iter().any(|&byte| byte != 0));
        prop_assert_eq!(pulled, not_zero.count() as u64, "zeros are never asked for");
    }

    #[test]
    fn after_pre_copy_only_what_changed_is_sent_again(
        before in states(),
        changes in proptest::collection::vec(any::<[prop::sample::Index; 2]>(), 0..4),
        grown_pages in 0..3_usize,
        chunk_pages in 1..4_u32,
    ) {
        let limit = 2 * 1024 * 1024;
        let mut target = before.zeroed();
        let mut held = DigestSet::of_zeros(target.shape(chunk_pages));
        pull(&before, &mut target, &mut held, &before.digests(chunk_pages), limit);

        let mut after = before.clone();
        let ids: Vec<u8> = after.memories.keys().copied().collect();
        for [memory, at] in changes.iter().filter(|_| !ids.is_empty()) {
            let bytes = after.memories.get_mut(memory.get(&ids)).expect("it is one of them");
            let at = at.index(bytes.len());
            bytes[at] = bytes[at].wrapping_add(1);
        }
        for bytes in after.memories.values_mut().take(1) {
            bytes.resize(bytes.len() + grown_pages * PAGE, 0);
        }
        let sealed = after.digests(chunk_pages);
        for (id, bytes) in &after.memories {
            target.memories.get_mut(id).expect("no memory is new").resize(bytes.len(), 0);
        }
        let mut held = held.carried_to(sealed.shape().clone());
        let shape = sealed.shape();
        let differs = |chunk: &ChunkId| {
            let known = before.shape(chunk_pages).pages(*chunk);
            let fresh = known.is_none();
            let reshaped = !fresh && known != shape.pages(*chunk);
            reshaped || target.content(shape, *chunk) != after.content(shape, *chunk)
        };
        let expected = shape.chunks().filter(differs).count() as u64;
        let pulled = pull(&after, &mut target, &mut held, &sealed, limit);
        prop_assert_eq!(pulled, expected);
        prop_assert!(target == after);
    }

    #[test]
    fn a_scan_in_slices_is_a_scan_at_once(state in states(), chunk_pages in 1..4_u32, slice in 1..4_usize) {
        let mut scan = Scan::new(state.shape(chunk_pages));
        let mut slices = 0;
        loop {
            let mut left = slice;
            let may_continue = || {
                left -= 1;
                left > 0
            };
            let (before, _) = scan.progress();
            let slicing = scan.run(state.reader(), may_continue).expect("nothing fails");
            slices += 1;
            let (done, all) = scan.progress();
            prop_assert!(done - before <= slice);
            match slicing {
                Slicing::Paused => prop_assert!(done > before && done < all),
                Slicing::Done => break,
            }
        }
        prop_assert_eq!(slices, state.shape(chunk_pages).chunk_count().div_ceil(slice).max(1));
        prop_assert_eq!(scan.finish(), Some(state.digests(chunk_pages)));
    }
}

#[test]
fn a_scan_that_fails_goes_on_where_it_was() {
    let state = State::managed([(3, page(1, 4 * PAGE / 4).repeat(3))]);
    let mut scan = Scan::new(state.shape(1));
    let mut reader = state.reader();
    let failing = |memory, offset, buffer: &mut [u8]| match offset / PAGE_BYTES {
        2 => Err("out of instructions"),
        _ => reader(memory, offset, buffer).map_err(|error| match error {}),
    };
    assert_eq!(scan.run(failing, || true), Err("out of instructions"));
    assert_eq!(scan.progress(), (2, 3));
    assert_eq!(scan.clone().finish(), None);
    assert_eq!(scan.run(state.reader(), || true), Ok(Slicing::Done));
    assert_eq!(scan.finish(), Some(state.digests(1)));
}

#[test]
fn an_empty_state_is_transferred_by_a_manifest_alone() {
    let empty = State::managed([]);
    let sealed = empty.digests(1);
    assert_eq!(collect(&sealed, 100), sealed);
    assert!(DigestSet::of_zeros(empty.shape(1)).missing_for(&sealed).is_empty());
    assert_eq!(sealed.page(0, 1_000), None);
    let nothing = Wanted { runs: vec![], position: 0 };
    let batch = pack(sealed.shape(), None, &nothing, 0, &mut FrameEncoder::new(), empty.reader(), || true);
    assert_eq!(batch, Ok(Batch { frames: vec![], next: None }));
}

#[test]
fn each_kind_of_content_has_its_codec() {
    let text = b"the same words again and again, ".repeat(PAGE / 32);
    let mut short = vec![0; PAGE];
    short[..5].copy_from_slice(b"state");
    let state = State::managed([(0, [vec![0; PAGE], page(7, PAGE), text, page(7, 100), short].concat())]);
    let shape = state.shape(1);
    let sent: Vec<(Codec, usize)> =
        shape.chunks().map(|chunk| state.frame(&shape, chunk)).map(|f| (f.codec, f.bytes.len())).collect();
    let [zeros, random, text, tail, short] = sent[..] else { panic!("five pages are five chunks") };
    assert_eq!((zeros, random), ((Codec::Zeros, 0), (Codec::Plain, PAGE)));
    // A copy takes 3 bytes and makes 64.
    assert!(text.0 == Codec::Snappy && text.1 < PAGE / 20, "{text:?}");
    assert_eq!((tail, short), ((Codec::Plain, 100), (Codec::Plain, 5)), "zeros at the end are not sent");
}

#[test]
fn a_batch_takes_what_its_overheads_say() {
    for (count, length) in [(0, 0), (1, 0), (100, 1 << 14), (1, 1 << 20)] {
        let frame = |index| Frame {
            chunk: ChunkId { memory: 254, index },
            codec: Codec::Plain,
            bytes: vec![1; length],
            digest: Digest::new([7; 32]),
        };
        let batch = Batch { frames: (0..count).map(frame).collect(), next: Some(u64::MAX) };
        let size_bytes = candid::encode_one(&batch).expect("it can be encoded").len();
        let frames_bytes = count as usize * (FRAME_OVERHEAD_BYTES + length);
        let overhead_bytes = size_bytes.saturating_sub(frames_bytes);
        assert!(overhead_bytes <= BATCH_OVERHEAD_BYTES, "{overhead_bytes} bytes for {count} of {length}");
        assert!(
            count != 100 || overhead_bytes > 50,
            "no byte is counted that is not there: {overhead_bytes}"
        );
    }
}

#[test]
fn pages_of_digests_keep_to_their_limit() {
    let sealed = State::managed([(1, vec![0; 40 * PAGE])]).digests(1);
    for limit_bytes in 96..1_000 {
        let page = sealed.page(3, limit_bytes).expect("there are chunks");
        let size_bytes = candid::encode_one(&page).expect("it can be encoded").len();
        assert!(size_bytes <= limit_bytes, "{size_bytes} bytes, {limit_bytes} allowed");
        assert!(size_bytes + 100 > limit_bytes, "{size_bytes} bytes, {limit_bytes} allowed");
    }
}

#[test]
fn nothing_is_carried_between_a_raw_and_a_managed_shape() {
    let raw = State { kind: Kind::Raw, memories: [(RAW_MEMORY, page(1, PAGE))].into() };
    let managed = State::managed([(0, vec![0; PAGE])]);
    let carried = raw.digests(1).carried_to(managed.shape(1));
    assert_eq!(carried, DigestSet::of_nothing(managed.shape(1)));
    assert_eq!(carried.missing_for(&managed.digests(1)).len(), 1);
}

#[test]
fn what_cannot_be_packed_is_refused() {
    let state = State::managed([(4, page(9, PAGE))]);
    let shape = state.shape(1);
    let packed = |runs: &[ChunkRun], position, limit| {
        let wanted = Wanted { runs: runs.to_vec(), position };
        pack(&shape, None, &wanted, limit, &mut FrameEncoder::new(), state.reader(), || true)
    };
    let all = [ChunkRun { memory: 4, first: 0, count: 1 }];
    let needed_bytes = BATCH_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES + PAGE;
    assert_eq!(packed(&all, 0, needed_bytes).map(|batch| (batch.frames.len(), batch.next)), Ok((1, None)));
    assert_eq!(
        packed(&all, 0, needed_bytes - 1),
        Err(PackError::LimitTooSmall { needed_bytes, limit_bytes: needed_bytes - 1 })
    );
    assert_eq!(packed(&all, 1, 0), Ok(Batch { frames: vec![], next: None }));
    assert_eq!(packed(&all, 2, 0), Err(PackError::Position { position: 2, wanted: 1 }));
    for (memory, first) in [(5, 0), (4, 1), (4, u32::MAX), (255, 0)] {
        let runs = [ChunkRun { memory, first, count: u32::MAX }];
        let chunk = ChunkId { memory, index: first };
        assert_eq!(packed(&runs, 0, needed_bytes), Err(PackError::UnknownChunk(chunk)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Chunks are written in any order, some are read back at once and some are not, and the scan goes on in between:
    /// whatever it calls read is what is there at the end.
    #[test]
    fn a_chunk_that_was_written_after_it_was_read_is_read_again(
        state in states(),
        chunk_pages in 1..4_u32,
        writes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 0..3_u8), 0..24),
    ) {
        let mut state = state;
        let shape = state.shape(chunk_pages);
        let chunks: Vec<_> = shape.chunks().collect();
        let mut scan = Scan::of_zeros(shape.clone());
        for (which, seed, then) in writes.into_iter().filter(|_| !chunks.is_empty()) {
            let chunk = chunks[which.index(chunks.len())];
            let pages = shape.pages(chunk).expect("the chunk exists");
            let content: Vec<u8> = pages.clone().flat_map(|number| page(seed ^ number, PAGE)).collect();
            state.write(chunk.memory, pages.start * PAGE_BYTES, &content);
            let digest = match then {
                0 => scan.saw(chunk, &content),
                // What is believed need not be true.
                1 => scan.believe(chunk, &vec![7; content.len()]),
                _ => scan.believe(chunk, &content),
            };
            prop_assert_eq!(digest.as_ref(), scan.digests().get(chunk));
            if then == 2 {
                let slicing = scan.run(state.reader(), || false).expect("nothing fails");
                prop_assert!(slicing == Slicing::Paused || slicing == Slicing::Done);
            }
        }
        prop_assert_eq!(scan.run(state.reader(), || true), Ok(Slicing::Done));
        prop_assert_eq!(scan.finish(), Some(state.digests(chunk_pages)));
    }
}

#[test]
fn what_has_not_the_length_of_its_chunk_is_not_recorded() {
    let state = State::managed([(4, page(9, PAGE))]);
    let mut scan = Scan::new(state.shape(1));
    let chunk = ChunkId { memory: 4, index: 0 };
    for (chunk, length) in [(chunk, PAGE - 1), (chunk, 0), (ChunkId { index: 1, ..chunk }, PAGE)] {
        assert_eq!(scan.saw(chunk, &vec![1; length]), None);
        assert_eq!(scan.believe(chunk, &vec![1; length]), None);
    }
    assert_eq!(scan.progress(), (0, 1));
}
