//! Imports that begin while the source still serves, and goes on changing.

use decant_api::source::Shape;

use super::*;
use crate::precopy::frames;

/// A page of a virtual memory changes.
fn overwrite(source: &mut TestMemory, memory: u8, page: u64, content: &[u8]) {
    let view = View::of(source).expect("it is an image");
    view.write(source, memory, page * PAGE_BYTES, content).expect("the page exists");
}

/// The same virtual memories, grown; what is new is noise.
fn grown(source: &TestMemory, sizes_pages: &[(u8, u64)]) -> TestMemory {
    let mut larger = managed(sizes_pages, 16);
    for (id, bytes) in contents(source) {
        for (page, content) in (0..).zip(bytes.chunks(PAGE)) {
            overwrite(&mut larger, id, page, content);
        }
    }
    larger
}

/// Copies a batch a call. `between` is what happens to the source after each.
fn precopied(
    import: &mut Import,
    source: &mut TestMemory,
    target: &mut TestMemory,
    mut between: impl FnMut(&mut TestMemory, usize),
) {
    for calls in 0..1_000 {
        let Some(from) = import.precopy_request() else {
            assert!(import.precopy_progress().is_complete);
            return;
        };
        assert!(!import.precopy_progress().is_complete);
        let mut left = 2;
        let a_few = || {
            left -= 1;
            left > 0
        };
        let batch = frames(source, from, a_few).expect("the source answers");
        import.accept_precopy(&batch, from, 1, target).expect("it is taken");
        assert!(!matches!(Image::parse(&target.bytes, target.size_pages()), Ok(Image::Managed(_))));
        between(source, calls);
    }
    panic!("it does not end");
}

/// Pulls what was sealed after a pre-copy, and verifies it. Answers the chunks that were sent.
fn finished(import: &mut Import, source: &TestMemory, target: &mut TestMemory) -> u64 {
    let mut sealing = sealing(source);
    let sealed = sealing.sealed().expect("it is sealed");
    let root = sealed.root();
    let mut sent = 0;
    for _ in 0..1_000 {
        import.resume(&root, target).expect("it may go on");
        let Some(request) = import.request() else { break };
        let reply = answer(source, sealed, &request);
        match &reply {
            Reply::Opening(opening) => assert_eq!(opening.batch, None, "no frame travels needlessly"),
            Reply::Batch(batch) => sent += batch.frames.len() as u64,
            Reply::Digests(_) => {}
        }
        import.accept(reply, 1, &root, target).expect("it is taken");
    }
    let progress = import.progress();
    assert!(progress.is_complete && progress.done_bytes == progress.total_bytes);
    assert_eq!(verify(import, target), sealed.seal());
    let Ok(Image::Managed(layout)) = Image::parse(&target.bytes, target.size_pages()) else {
        panic!("it is managed")
    };
    let sizes = layout.memories().iter().map(|memory| (memory.id(), memory.size_pages()));
    let planned = Layout::planned(sizes, layout.bucket_size_pages().into()).expect("it fits");
    assert_eq!(target.size_pages(), planned.stable_size_pages(), "promise 7");
    assert_eq!(contents(target), contents(source));
    sent
}

#[test]
fn what_did_not_change_is_not_sent_again() {
    for bucket_pages in [1, 4] {
        let mut source = managed(&[(0, 3), (7, 5)], 16);
        let (mut import, mut target) = (Import::new(bucket_pages), TestMemory::default());
        precopied(&mut import, &mut source, &mut target, |_, _| {});
        let progress = import.precopy_progress();
        assert_eq!((progress.done_bytes, progress.total_bytes), (8 * PAGE_BYTES, 8 * PAGE_BYTES));
        assert_eq!(finished(&mut import, &source, &mut target), 0);
    }
}

#[test]
fn pages_that_changed_or_became_zeros_or_were_zeros_are_sent() {
    let mut source = managed(&[(0, 3), (7, 40)], 16);
    overwrite(&mut source, 7, 9, &[0; PAGE]);
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    precopied(&mut import, &mut source, &mut target, |source, calls| {
        if calls == 3 {
            overwrite(source, 0, 1, b"behind the copy");
            overwrite(source, 7, 20, b"before the copy");
        }
    });
    overwrite(&mut source, 7, 30, &[0; PAGE]);
    overwrite(&mut source, 7, 9, b"now it is used");
    assert_eq!(finished(&mut import, &source, &mut target), 3, "and what changed before it was read is not");
}

#[test]
fn memories_that_grow_and_come_while_and_after_they_are_copied_arrive() {
    for bucket_pages in [1, 3, 8] {
        let mut source = managed(&[(1, 3), (7, 5)], 16);
        let (mut import, mut target) = (Import::new(bucket_pages), TestMemory::default());
        precopied(&mut import, &mut source, &mut target, |source, calls| match calls {
            1 => *source = grown(source, &[(1, 4), (7, 5)]),
            2 => *source = grown(source, &[(0, 1), (1, 9), (7, 6), (9, 2)]),
            _ => {}
        });
        // Page 3 of memory 1 was already copied when memory 0 and pages of 1 came or not; the rest was not.
        source = grown(&source, &[(0, 1), (1, 9), (3, 2), (7, 30), (9, 2)]);
        let sent = finished(&mut import, &source, &mut target);
        assert!((1 + 2 + 24..=1 + 6 + 2 + 24).contains(&sent), "{sent} chunks were sent");
    }
}

#[test]
fn a_copy_that_was_broken_off_is_used_as_far_as_it_came() {
    let mut source = managed(&[(0, 10)], 16);
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    let from = import.precopy_request().expect("nothing is copied");
    let mut left = 4;
    let batch = frames(&source, from, || {
        left -= 1;
        left > 0
    });
    import.accept_precopy(&batch.expect("it answers"), from, 1, &mut target).expect("it is taken");
    overwrite(&mut source, 0, 0, b"changed");
    assert_eq!(finished(&mut import, &source, &mut target), 6 + 1);
}

#[test]
fn a_seal_that_does_not_extend_what_was_copied_is_refused_with_what_to_do() {
    let smaller = [managed(&[(0, 3)], 16), managed(&[(0, 3), (7, 4)], 16), raw(&[true; 3])];
    for other in smaller {
        let mut source = managed(&[(0, 3), (7, 5)], 16);
        let (mut import, mut target) = (Import::new(1), TestMemory::default());
        precopied(&mut import, &mut source, &mut target, |_, _| {});
        let mut sealing = sealing(&other);
        let sealed = sealing.sealed().expect("it is sealed");
        let opening = answer(&other, sealed, &Request::Open { has_copy: true });
        for _ in 0..2 {
            let refused = import.accept(opening.clone(), 1, &sealed.root(), &mut target);
            let text = refused.expect_err("it is no extension").to_string();
            // A job's reason keeps 400 bytes.
            assert!(text.find("plan without pre-copy").is_some_and(|at| at < 90), "{text}");
        }
        assert_eq!(import.request(), Some(Request::Open { has_copy: true }), "nothing has begun");
    }
}

#[test]
fn only_virtual_memories_are_copied_before_the_freeze() {
    for source in [TestMemory::default(), raw(&[true; 3])] {
        let refused = frames(&source, ChunkId { memory: 0, index: 0 }, || true);
        assert!(matches!(refused, Err(KitError::Layout { .. })), "{refused:?}");
    }
}

#[test]
fn replies_that_are_late_malformed_or_go_round_in_circles_change_nothing() {
    let source = managed(&[(0, 10)], 16);
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    let from = import.precopy_request().expect("nothing is copied");
    let good = frames(&source, from, || false).expect("it answers");
    let mut malformed = good.clone();
    malformed.frames[0].bytes.clear();
    let mut circle = good.clone();
    circle.next = Some(from);
    for bad in [malformed, circle] {
        assert!(matches!(import.accept_precopy(&bad, from, 1, &mut target), Err(KitError::Transfer { .. })));
        assert_eq!(import.precopy_request(), Some(from));
    }
    import.accept_precopy(&good, from, 1, &mut target).expect("it is taken");
    let progress = import.precopy_progress();
    import.accept_precopy(&good, from, 1, &mut target).expect("it is ignored");
    assert_eq!(import.precopy_progress().done_bytes, progress.done_bytes);
    finished(&mut import, &source, &mut target);
    import.accept_precopy(&good, from, 1, &mut target).expect("it is ignored");
    assert_eq!(contents(&target), contents(&source));
}

#[test]
fn a_copy_that_lacks_memory_goes_on_when_it_has_it() {
    let mut source = managed(&[(0, 3)], 16);
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    target.limit_pages = Some(4);
    precopied(&mut import, &mut source, &mut target, |_, _| {});
    let source = grown(&source, &[(0, 5)]);
    let mut sealing = sealing(&source);
    let sealed = sealing.sealed().expect("it is sealed");
    let opening = answer(&source, sealed, &Request::Open { has_copy: true });
    let refused = import.accept(opening, 1, &sealed.root(), &mut target);
    assert!(matches!(refused, Err(KitError::Layout { .. })));
    target.limit_pages = None;
    assert_eq!(finished(&mut import, &source, &mut target), 2);
}

#[test]
fn other_chunks_are_known_by_no_digest_and_sent_again() {
    let mut source = managed(&[(0, 3)], 16);
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    precopied(&mut import, &mut source, &mut target, |_, _| {});
    let copy = import.precopy.as_ref().expect("it is copied").copy();
    let view = View::planned(Shape::managed([(0, 3)], 16).expect("a shape"), 1).expect("it fits");
    let carried = copy.carried_to(view);
    assert_eq!(*carried.digests(), DigestSet::of_nothing(carried.view().shape().clone()));
    assert_eq!(carried.progress_bytes().0, 0);
}

#[test]
fn what_was_copied_is_read_back_before_the_freeze_and_not_again() {
    let mut source = managed(&[(0, 40), (7, 5)], 16);
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    precopied(&mut import, &mut source, &mut target, |_, _| {});
    overwrite(&mut source, 0, 9, b"changed after it was copied");
    target.read_bytes.set(0);
    assert_eq!(finished(&mut import, &source, &mut target), 1);
    // A page that was sent, the header, and what `finished` itself compares: every page once, and the header.
    let most_bytes = 2 * PAGE_BYTES + 45 * PAGE_BYTES + 2 * PAGE_BYTES;
    assert!(target.read_bytes.get() <= most_bytes, "{} bytes", target.read_bytes.get());
}

#[test]
fn what_a_copy_did_not_keep_is_asked_for_again() {
    let mut source = managed(&[(0, 10)], 16);
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    target.broken_byte = Some(PAGE_BYTES * 4 + 3);
    precopied(&mut import, &mut source, &mut target, |_, _| {});
    target.broken_byte = None;
    assert_eq!(finished(&mut import, &source, &mut target), 1);
}

#[test]
fn a_source_that_lies_before_the_freeze_gains_a_second_read() {
    let source = managed(&[(0, 10)], 16);
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    let from = import.precopy_request().expect("nothing is copied");
    let mut lies = frames(&source, from, || true).expect("it answers");
    // Another content under the true digest, the true content under another, and a chunk in the place of another.
    lies.frames[3].bytes[5] ^= 1;
    lies.frames[5].digest = lies.frames[6].digest;
    lies.frames[7].bytes = lies.frames[8].bytes.clone();
    import.accept_precopy(&lies, from, 1, &mut target).expect("it is taken");
    assert!(import.precopy_progress().is_complete);
    assert_eq!(finished(&mut import, &source, &mut target), 2, "what is there counts, not what is said");
}

#[test]
fn memories_that_lost_their_place_are_known_no_more() {
    let mut source = managed(&[(0, 3), (7, 3)], 16);
    let (mut import, mut target) = (Import::new(1), TestMemory::default());
    precopied(&mut import, &mut source, &mut target, |_, _| {});
    let copy = import.precopy.as_ref().expect("it is copied").copy();
    // One more page of memory 0 moves those of memory 7.
    let shape = Shape::managed([(0, 4), (7, 3)], 1).expect("a shape");
    let moved = copy.carried_to(View::planned(shape.clone(), 1).expect("it fits"));
    assert_eq!(moved.progress_bytes().0, 3 * PAGE_BYTES, "memory 0, as far as it went");
    let nothing = DigestSet::of_nothing(shape);
    for index in 0..3 {
        let chunk = ChunkId { memory: 7, index };
        assert_eq!(moved.digests().get(chunk), nothing.get(chunk));
    }
}
