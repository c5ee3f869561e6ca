use decant_layout::{Image, Layout};

use super::*;
use crate::sealing::{Sealed, Sealing};
use crate::stable::TestMemory;

mod precopy;
mod prefix;

const PAGE: usize = PAGE_BYTES as usize;
const FINGERPRINT: &[u8] = b"7 posts";

/// Bytes that look like nothing.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Noise in some pages, nothing in others.
fn raw(pages: &[bool]) -> TestMemory {
    let content = pages.iter().zip(0..).flat_map(|(is_used, seed)| match is_used {
        true => noise(seed, PAGE),
        false => vec![0; PAGE],
    });
    TestMemory::of(content.collect())
}

/// Noise in every page of virtual memories in large buckets, and in a tail that belongs to none.
fn managed(sizes_pages: &[(u8, u64)], bucket_pages: u32) -> TestMemory {
    let layout = Layout::planned(sizes_pages.iter().copied(), bucket_pages).expect("it fits");
    let mut memory = TestMemory::default();
    assert!(memory.grow(layout.stable_size_pages()));
    memory.write(0, &layout.header_page());
    for &(id, size_pages) in sizes_pages {
        for page in 0..size_pages {
            let content = noise(u64::from(id) << 32 | page, PAGE);
            let physical_page = layout.physical_page(id, page).expect("the page exists");
            memory.write(physical_page * PAGE_BYTES, &content);
        }
    }
    memory
}

/// Every virtual memory, by id.
fn contents(memory: &TestMemory) -> Vec<(u8, Vec<u8>)> {
    let Ok(Image::Managed(layout)) = Image::parse(&memory.bytes, memory.size_pages()) else {
        panic!("it is managed")
    };
    let read = |id: u8, size_pages: u64| {
        let mut bytes = vec![0; size_pages as usize * PAGE];
        View::of(memory).expect("it is an image").read(memory, id, 0, &mut bytes).expect("it reads");
        bytes
    };
    layout.memories().iter().map(|memory| (memory.id(), read(memory.id(), memory.size_pages()))).collect()
}

fn sealing(source: &TestMemory) -> Sealing {
    let mut sealing =
        Sealing::new(source, crate::view::Told::default(), FINGERPRINT.to_vec()).expect("it is an image");
    // One chunk a slice.
    while let SealProgress::Working { .. } = sealing.run(source, || false).expect("it hashes") {}
    sealing
}

fn answer(source: &TestMemory, sealed: &Sealed, request: &Request) -> Reply {
    let reply = match request {
        Request::Open { has_copy } => sealed.opening(source, *has_copy, || true).map(Reply::Opening),
        Request::Digests { first } => sealed.page(*first).map(Reply::Digests),
        Request::Frames(wanted) => sealed.frames(source, wanted, || true).map(Reply::Batch),
    };
    reply.expect("the source answers")
}

/// Pulls until the image is written. Answers how many requests that took.
fn pull(import: &mut Import, source: &TestMemory, sealed: &Sealed, target: &mut TestMemory) -> usize {
    let root = sealed.root();
    for requests in 0..1_000 {
        import.resume(&root, target).expect("it may go on");
        let Some(request) = import.request() else { return requests };
        import.accept(answer(source, sealed, &request), 1, &root, target).expect("it is taken");
    }
    panic!("it does not end");
}

fn verify(import: &mut Import, target: &TestMemory) -> Seal {
    loop {
        match import.verify(target, true, || false).expect("the roots are equal") {
            Verdict::Working(_) => {}
            Verdict::Load => break import.loaded(FINGERPRINT.to_vec()).expect("it was verified"),
            Verdict::Done(seal) => break seal,
        }
    }
}

/// Moves a state as a job does. Answers what the target's stable memory holds then.
fn moved(source: &TestMemory, bucket_pages: u16) -> TestMemory {
    let mut sealing = sealing(source);
    let sealed = sealing.sealed().expect("it is sealed");
    let (mut import, mut target) = (Import::new(bucket_pages), TestMemory::default());
    pull(&mut import, source, sealed, &mut target);
    let progress = import.progress();
    assert!(progress.is_complete);
    assert_eq!(progress.done_bytes, progress.total_bytes);
    assert_eq!(verify(&mut import, &target), sealed.seal());
    assert_eq!(import.verified_root(), Some(sealed.root()));
    target
}

#[test]
fn a_raw_state_arrives_byte_for_byte() {
    let source = raw(&[true, false, true, true]);
    assert_eq!(moved(&source, 1).bytes, source.bytes);
    let begins_with_zeros = raw(&[false, false, true]);
    assert_eq!(moved(&begins_with_zeros, 1).bytes, begins_with_zeros.bytes);
}

#[test]
fn no_stable_memory_at_all_arrives_as_such() {
    assert!(moved(&TestMemory::default(), 1).bytes.is_empty());
}

#[test]
fn virtual_memories_arrive_byte_for_byte_in_an_image_without_a_page_too_many() {
    let source = managed(&[(0, 3), (1, 1), (7, 5)], 128);
    assert_eq!(source.size_pages(), 1 + 3 * 128);
    for (bucket_pages, stable_pages) in [(1, 1 + 9), (4, 1 + 4 + 4 + 8)] {
        let target = moved(&source, bucket_pages);
        assert_eq!(target.size_pages(), stable_pages);
        assert_eq!(contents(&target), contents(&source));
    }
}

#[test]
fn a_manager_without_memories_arrives_as_its_header_page() {
    let target = moved(&managed(&[], 128), 1);
    assert_eq!(target.size_pages(), 1);
    assert_eq!(contents(&target), []);
}

#[test]
fn a_small_state_takes_one_request_and_a_large_one_as_many_as_it_has_replies() {
    for (pages, requests) in [(4, 1), (100, 4)] {
        let source = raw(&vec![true; pages]);
        let mut sealing = sealing(&source);
        let sealed = sealing.sealed().expect("it is sealed");
        let (mut import, mut target) = (Import::new(1), TestMemory::default());
        assert_eq!(pull(&mut import, &source, sealed, &mut target), requests);
    }
}

#[test]
fn digests_that_do_not_fit_the_opening_are_fetched_in_pages() {
    // 1 GiB of nothing in particular: 16,384 digests, and one page that is sent.
    let mut source = TestMemory::default();
    assert!(source.grow(16_384));
    source.write(PAGE_BYTES * 9_999, b"here");
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    assert!(matches!(
        answer(&source, sealed, &Request::Open { has_copy: false }),
        Reply::Opening(Opening { batch: None, .. })
    ));
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    assert_eq!(pull(&mut import, &source, sealed, &mut target), 3);
    assert_eq!(target.bytes, source.bytes);
}

#[test]
fn scattered_chunks_are_asked_for_in_several_requests() {
    let pages: Vec<bool> = (0..4_100).map(|page| page % 2 == 0).collect();
    let mut source = TestMemory::default();
    assert!(source.grow(4_100));
    for (page, _) in (0..).zip(&pages).filter(|(_, is_used)| **is_used) {
        source.write(PAGE_BYTES * page, b"x");
    }
    assert_eq!(moved(&source, 1).bytes, source.bytes);
}

#[test]
fn every_reply_fits_what_a_canister_may_answer() {
    let source = raw(&[true; 80]);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let all =
        Wanted { runs: vec![decant_transfer::ChunkRun { memory: 255, first: 0, count: 80 }], position: 0 };
    let opening = sealed.opening(&source, false, || true);
    let frames = sealed.frames(&source, &all, || true);
    let sizes = [
        candid::encode_one(&opening).expect("it encodes").len(),
        candid::encode_one(&frames).expect("it encodes").len(),
    ];
    for size_bytes in sizes {
        assert!((1_900_000..2_097_152).contains(&size_bytes), "{size_bytes} bytes");
    }
}

#[test]
fn an_image_that_is_not_complete_is_no_image() {
    for source in [managed(&[(0, 60)], 128), raw(&[true; 60])] {
        let mut sealing = sealing(&source);
        let sealed = sealing.sealed().expect("it is sealed");
        let (mut import, mut target) = (Import::new(1), TestMemory::default());
        import
            .accept(
                answer(&source, sealed, &Request::Open { has_copy: false }),
                1,
                &sealed.root(),
                &mut target,
            )
            .expect("taken");
        let progress = import.progress();
        assert!(
            !progress.is_complete && progress.done_bytes > 0 && progress.done_bytes < progress.total_bytes
        );
        assert!(target.bytes[..PAGE].iter().all(|&byte| byte == 0), "the first page is written last");
        assert!(matches!(import.verify(&target, true, || true), Err(KitError::Transfer { .. })));
    }
}

#[test]
fn repeated_and_late_replies_change_nothing() {
    let source = raw(&[true; 100]);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    let root = sealed.root();
    let opening = answer(&source, sealed, &Request::Open { has_copy: false });
    import.accept(opening.clone(), 1, &root, &mut target).expect("it is taken");
    let (request, done_bytes) = (import.request(), import.progress().done_bytes);
    import.accept(opening.clone(), 1, &root, &mut target).expect("it is ignored");
    assert_eq!((import.request(), import.progress().done_bytes), (request, done_bytes));
    pull(&mut import, &source, sealed, &mut target);
    import.accept(opening, 1, &root, &mut target).expect("it is ignored");
    assert_eq!(target.bytes, source.bytes);
}

#[test]
fn a_damaged_frame_is_refused_and_asked_for_again() {
    let source = raw(&[true; 100]);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    let Reply::Opening(mut opening) = answer(&source, sealed, &Request::Open { has_copy: false }) else {
        panic!("it opens")
    };
    let batch = opening.batch.as_mut().expect("it has frames");
    batch.frames[3].bytes[5] ^= 1;
    let refused = import.accept(Reply::Opening(opening), 1, &sealed.root(), &mut target);
    let error = refused.expect_err("it is not what was sealed");
    assert!(matches!(error, KitError::Transfer { .. }), "{error}");
    assert!(error.to_string().contains("chunk 3 of memory 255"), "{error}");
    assert_eq!(import.progress().done_bytes, 3 * PAGE_BYTES, "what was good before it stays");
    pull(&mut import, &source, sealed, &mut target);
    assert_eq!(target.bytes, source.bytes);
}

#[test]
fn a_source_that_claims_to_have_sent_everything_is_not_believed() {
    let source = raw(&[true; 3]);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    let Reply::Opening(mut opening) = answer(&source, sealed, &Request::Open { has_copy: false }) else {
        panic!("it opens")
    };
    opening.batch = Some(Batch { frames: Vec::new(), next: None });
    let refused = import.accept(Reply::Opening(opening), 1, &sealed.root(), &mut target);
    assert!(matches!(refused, Err(KitError::Transfer { .. })));
    assert!(!import.progress().is_complete);
    let root = sealed.root();
    let stuck =
        import.accept(Reply::Batch(Batch { frames: Vec::new(), next: Some(0) }), 1, &root, &mut target);
    assert!(matches!(stuck, Err(KitError::Transfer { .. })));
}

#[test]
fn another_root_than_the_sealed_one_is_refused() {
    let source = raw(&[true; 3]);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    let other = Digest::new([9; 32]);
    let refused =
        import.accept(answer(&source, sealed, &Request::Open { has_copy: false }), 1, &other, &mut target);
    assert!(matches!(refused, Err(KitError::RootChanged { .. })));
    assert!(target.bytes.is_empty());
    pull(&mut import, &source, sealed, &mut target);
    assert!(matches!(import.resume(&other, &mut target), Err(KitError::RootChanged { .. })));
}

#[test]
fn memory_that_is_too_small_is_an_error_and_can_be_repaired() {
    let source = raw(&[true; 3]);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let mut import = Import::new(1);
    let mut target = TestMemory { limit_pages: Some(2), ..TestMemory::default() };
    let root = sealed.root();
    let refused =
        import.accept(answer(&source, sealed, &Request::Open { has_copy: false }), 1, &root, &mut target);
    assert!(matches!(refused, Err(KitError::Layout { .. })));
    assert!(matches!(import.resume(&root, &mut target), Err(KitError::Layout { .. })));
    target.limit_pages = None;
    pull(&mut import, &source, sealed, &mut target);
    assert_eq!(target.bytes, source.bytes);
}

#[test]
fn what_was_written_is_verified_not_what_was_sent() {
    for (source, place) in [(managed(&[(0, 3)], 128), "chunk 1 of memory 0"), (raw(&[true; 3]), "chunk 1 of")]
    {
        let mut sealing = sealing(&source);
        let sealed = sealing.sealed().expect("it is sealed");
        let (mut import, mut target) = (Import::new(1), TestMemory::default());
        // The second page of state.
        target.broken_byte = Some(if place.ends_with('0') { 2 } else { 1 } * PAGE_BYTES + 17);
        let root = sealed.root();
        for _ in 0..3 {
            import.resume(&root, &mut target).expect("it may go on");
            let request = import.request().expect("a chunk is missing");
            let refused = import.accept(answer(&source, sealed, &request), 1, &root, &mut target);
            let error = refused.expect_err("it is not what was sent").to_string();
            assert!(error.contains(place), "{error}");
            assert!(!import.progress().is_complete);
        }
        target.broken_byte = None;
        pull(&mut import, &source, sealed, &mut target);
        assert_eq!(verify(&mut import, &target), sealed.seal());
    }
}

#[test]
fn the_first_page_of_a_raw_image_is_read_back_though_it_is_written_last() {
    let source = raw(&[true; 3]);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    target.broken_byte = Some(17);
    pull(&mut import, &source, sealed, &mut target);
    for _ in 0..2 {
        let error = import.verify(&target, true, || true).expect_err("it is not what was sent");
        assert!(matches!(error, KitError::RootChanged { .. }), "{error}");
        assert!(error.to_string().contains("chunk 0 of memory 255"), "{error}");
    }
}

#[test]
fn what_was_read_back_is_not_read_again_unless_somebody_else_ran() {
    let source = managed(&[(0, 30), (7, 5)], 16);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    pull(&mut import, &source, sealed, &mut target);
    target.read_bytes.set(0);
    assert_eq!(import.verify(&target, true, || false), Ok(Verdict::Load));
    assert!(target.read_bytes.get() <= PAGE_BYTES, "the header, and nothing else");

    // Somebody ran, and wrote: before the first call of verify, and between two.
    for calls_before in 0..3 {
        let (mut import, mut target) = (Import::new(1), TestMemory::default());
        pull(&mut import, &source, sealed, &mut target);
        for _ in 0..calls_before {
            assert!(matches!(import.verify(&target, false, || false), Ok(Verdict::Working(_))));
        }
        target.bytes[PAGE * 20 + 17] ^= 1;
        let found = loop {
            match import.verify(&target, false, || false) {
                Ok(Verdict::Working(_)) => {}
                other => break other,
            }
        };
        assert!(matches!(found, Err(KitError::RootChanged { .. })), "{found:?}");
        target.bytes[PAGE * 20 + 17] ^= 1;
        assert_eq!(verify(&mut import, &target), sealed.seal());
    }
}

#[test]
fn zeros_that_nobody_wrote_are_read_back_too() {
    let mut source = managed(&[(0, 3)], 16);
    let view = View::of(&source).expect("it is an image");
    view.write(&mut source, 0, PAGE_BYTES, &[0; PAGE]).expect("the page exists");
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    pull(&mut import, &source, sealed, &mut target);
    target.bytes[PAGE * 2] = 1;
    let error = import.verify(&target, true, || true).expect_err("it holds no zeros");
    assert!(error.to_string().contains("chunk 1 of memory 0"), "{error}");
}

#[test]
fn what_a_header_names_elsewhere_is_not_believed() {
    let source = managed(&[(0, 3), (7, 3)], 16);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    pull(&mut import, &source, sealed, &mut target);
    // The same memories, whose buckets have changed places.
    let Ok(Image::Managed(layout)) = Image::parse(&target.bytes, target.size_pages()) else {
        panic!("it is managed")
    };
    let mut header = layout.header_page();
    let owners = header.iter().rposition(|&byte| byte == 7).expect("the last bucket is of memory 7");
    let first = header[..owners].iter().rposition(|&byte| byte == 0).expect("there is one of memory 0");
    header.swap(owners, first);
    target.write(0, &header);
    let found = import.verify(&target, true, || true);
    assert!(matches!(found, Err(KitError::RootChanged { .. })), "{found:?}");
}

#[test]
fn a_recheck_sees_what_was_written_after_the_seal() {
    let mut source = managed(&[(0, 3)], 128);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let recheck = |sealed: &mut Sealed, source: &TestMemory, fingerprint: &[u8]| loop {
        match sealed.recheck(source, false, || false, fingerprint) {
            Ok(SealProgress::Working { .. }) => {}
            answer => break answer,
        }
    };
    assert_eq!(recheck(sealed, &source, FINGERPRINT), Ok(SealProgress::Done(sealed.seal())));
    let error = recheck(sealed, &source, b"8 posts").expect_err("the heap changed");
    assert!(error.to_string().contains("something wrote after the seal"), "{error}");
    source.bytes[PAGE * 2] ^= 1;
    assert!(matches!(recheck(sealed, &source, FINGERPRINT), Err(KitError::RootChanged { .. })));
    source.bytes[PAGE * 2] ^= 1;
    assert_eq!(recheck(sealed, &source, FINGERPRINT), Ok(SealProgress::Done(sealed.seal())));
}

#[test]
fn a_recheck_reads_nothing_if_nobody_else_ran_and_everything_otherwise() {
    let source = managed(&[(0, 3)], 128);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    source.read_bytes.set(0);
    let seal = Ok(SealProgress::Done(sealed.seal()));
    assert_eq!(sealed.recheck(&source, true, || false, FINGERPRINT), seal);
    assert_eq!(source.read_bytes.get(), 0);
    assert_eq!(sealed.recheck(&source, false, || true, FINGERPRINT), seal);
    assert!(source.read_bytes.get() >= 3 * PAGE_BYTES);
    let error = sealed.recheck(&source, true, || true, b"8 posts").expect_err("the heap changed");
    assert!(matches!(error, KitError::RootChanged { .. }), "{error}");
}

#[test]
fn a_recheck_that_is_forgotten_begins_anew() {
    let mut source = managed(&[(0, 3)], 128);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let first = sealed.recheck(&source, false, || false, FINGERPRINT);
    assert!(matches!(first, Ok(SealProgress::Working { .. })), "{first:?}");
    // What was looked at already changes.
    source.bytes[PAGE + 17] ^= 1;
    sealed.forget_recheck();
    let found = sealed.recheck(&source, false, || true, FINGERPRINT);
    assert!(matches!(found, Err(KitError::RootChanged { .. })), "{found:?}");
}

#[test]
fn chunks_that_do_not_exist_are_refused() {
    let source = raw(&[true; 3]);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let run = |first, count| Wanted {
        runs: vec![decant_transfer::ChunkRun { memory: 255, first, count }],
        position: 0,
    };
    assert!(matches!(sealed.frames(&source, &run(3, 1), || true), Err(KitError::Transfer { .. })));
    assert!(matches!(sealed.page(3), Err(KitError::Transfer { .. })));
    assert!(matches!(
        sealed.frames(&source, &Wanted { position: 4, ..run(0, 3) }, || true),
        Err(KitError::Transfer { .. })
    ));
}
