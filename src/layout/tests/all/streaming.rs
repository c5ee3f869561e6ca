//! Reading, writing and repacking when the reader or the writer fails, and what is left then.

use decant_layout::{AccessError, Image, ImageError, Layout, PAGE_BYTES, RepackError, SizesDiffer, repack};

const PAGE: usize = PAGE_BYTES as usize;

/// An image of memory 0 with four pages, the middle two of them zero, in buckets of one page; and its layout.
fn source() -> (Vec<u8>, Layout) {
    let layout = Layout::planned([(0, 4)], 1).expect("four buckets fit");
    let mut image = layout.header_page();
    image.extend([7; PAGE]);
    image.extend([0; 2 * PAGE]);
    image.extend([9; PAGE]);
    (image, layout)
}

fn read_from(image: &[u8]) -> impl FnMut(u64, &mut [u8]) -> Result<(), &'static str> {
    |offset, buffer| {
        let offset = offset as usize;
        let bytes = image.get(offset..offset + buffer.len()).ok_or("end of file")?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

#[test]
fn an_image_that_cannot_be_read_says_so() {
    let error = Image::read(5, |_, _| Err("end of file")).expect_err("the reader fails");
    assert_eq!(error, ImageError::Read("end of file"));
    assert_eq!(error.to_string(), "reading the header page failed: end of file");
}

#[test]
fn empty_and_raw_images_are_recognised() {
    let unread = Image::read(0, |_, _| Err("nothing to read"));
    assert_eq!(unread, Ok(Image::Empty));
    assert_eq!(Image::parse(&[0; PAGE], 3), Ok(Image::Raw { size_pages: 3 }));
    assert_eq!(Image::parse(b"BTR\x02", 1), Ok(Image::Raw { size_pages: 1 }), "a map without a manager");
    assert_eq!(Image::parse(&[0; PAGE], 3).map(|image| image.size_bytes()), Ok(3 * PAGE_BYTES));
}

#[test]
fn zero_pages_are_not_written_and_the_header_comes_last() {
    let (image, layout) = source();
    let target = layout.compact(2).expect("two buckets fit");
    let mut written = Vec::new();
    let write = |offset: u64, bytes: &[u8]| {
        written.push((offset / PAGE_BYTES, bytes.len() / PAGE, bytes[0]));
        Ok(())
    };
    let repacked = repack(&layout, &target, read_from(&image), write).expect("nothing fails");
    assert_eq!((repacked.written_pages, repacked.zero_pages), (2, 2));
    assert_eq!(written, [(1, 1, 7), (4, 1, 9), (0, 1, b'M')]);
}

#[test]
fn a_repack_that_fails_leaves_no_header() {
    let (image, layout) = source();
    let cut_off = &image[..3 * PAGE];
    let mut written_pages = Vec::new();
    let write = |offset: u64, _: &[u8]| {
        written_pages.push(offset / PAGE_BYTES);
        if offset == 4 * PAGE_BYTES { Err("disk full") } else { Ok(()) }
    };
    let error = repack(&layout, &layout, read_from(&image), write).expect_err("the writer fails");
    assert_eq!(error, RepackError::Write { physical_page: 4, error: "disk full" });
    assert_eq!(written_pages, [1, 4]);
    let error = repack(&layout, &layout, read_from(cut_off), |_, _| Ok(())).expect_err("the reader fails");
    assert_eq!(error, RepackError::Read { physical_page: 1, error: "end of file" });
}

#[test]
fn layouts_of_different_memories_are_not_repacked_into_each_other() {
    let (image, layout) = source();
    let other = Layout::planned([(0, 4), (1, 1)], 1).expect("five buckets fit");
    let error = repack(&layout, &other, read_from(&image), |_, _| Ok(())).expect_err("memory 1 is missing");
    let expected = SizesDiffer { memory: 1, source_size_pages: 0, target_size_pages: 1 };
    assert_eq!(error, RepackError::SizesDiffer(expected));
}

#[test]
fn access_outside_a_virtual_memory_is_refused_before_anything_happens() {
    let (image, layout) = source();
    let out_of_bounds = |memory, offset_bytes, length: usize, size_pages| {
        let error = layout.read(memory, offset_bytes, &mut vec![0; length], read_from(&image));
        let length_bytes = length as u64;
        assert_eq!(error, Err(AccessError::OutOfBounds { memory, offset_bytes, length_bytes, size_pages }));
    };
    out_of_bounds(0, 4 * PAGE_BYTES - 1, 2, 4);
    out_of_bounds(0, u64::MAX, 1, 4);
    out_of_bounds(1, 0, 1, 0);
    assert_eq!(layout.read(0, 4 * PAGE_BYTES, &mut [], read_from(&image)), Ok(()), "nothing at the very end");
    let error = layout.write(0, PAGE_BYTES, &[1], |_, _| Err("read-only"));
    assert_eq!(error, Err(AccessError::Image { physical_page: 2, error: "read-only" }));
}

#[test]
fn a_write_across_buckets_is_split_at_their_borders() {
    let mut header = Layout::planned([(0, 2), (1, 1)], 1).expect("three buckets fit").header_page();
    let (bucket_table, end) = (2_080, 2_083);
    header[bucket_table..end].copy_from_slice(&[0, 1, 0]);
    let Ok(Image::Managed(interleaved)) = Image::parse(&header, 4) else { panic!("the header is sound") };
    let mut parts = Vec::new();
    let bytes: Vec<u8> = (0..20).collect();
    let write = |offset: u64, part: &[u8]| {
        parts.push((offset, part.to_vec()));
        Ok::<(), &str>(())
    };
    interleaved.write(0, PAGE_BYTES - 12, &bytes, write).expect("it fits");
    let (before, behind) = bytes.split_at(12);
    assert_eq!(parts, [(2 * PAGE_BYTES - 12, before.to_vec()), (3 * PAGE_BYTES, behind.to_vec())]);
}
