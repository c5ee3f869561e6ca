//! Stable memory: through the system API, and through the blob store. Canister interface, "Stable memory".

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use pocket_ic::RejectCode;
use pocket_ic::common::rest::BlobCompression;

use crate::support::canisters::{ask, assert_reject_code, install_universal, number, numbers, run, try_run};
use crate::support::engine;
use crate::support::script::script;

/// Bytes of a page.
const PAGE: u64 = 65_536;

/// The limit: 500 GiB (resource limits, "Memory limits").
const MAX_PAGES: u64 = 500 * (1 << 30) / PAGE;

/// `stable64_size`, `stable64_grow`: initially empty, grows by pages of zeros and tells the size before.
#[test]
fn stable_memory_starts_empty_and_grows_by_zeroed_pages() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let grow = script()
        .stable_size()
        .append_int()
        .stable_grow(2)
        .append_int()
        .stable_grow(3)
        .append_int()
        .stable_size()
        .append_int()
        .reply();
    assert_eq!(numbers(&run(&pic, canister, grow)), [0, 0, 2, 5]);
    let everything = ask(&pic, canister, script().stable_read(0, 5 * PAGE).append().reply());
    assert_eq!(everything, vec![0; 5 * 65_536]);
}

/// `stable64_write`, `stable64_read`: what was written is read, by later messages too.
#[test]
fn what_was_written_is_read_by_later_messages() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let write = script().stable_grow(1).forget().stable_write(PAGE - 3, b"end").stable_write(7, b"seven");
    run(&pic, canister, write.reply());
    let read = script().stable_read(6, 7).append().stable_read(PAGE - 4, 4).append().reply();
    assert_eq!(run(&pic, canister, read.clone()), b"\0seven\0\0end");
    assert_eq!(ask(&pic, canister, read), b"\0seven\0\0end");
}

/// `stable64_read`, `stable64_write`: trap if `offset+size` exceeds the size of the stable memory.
#[test]
fn reaching_past_the_end_traps() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().stable_grow(1).forget().reply());
    let past = [
        script().stable_read(PAGE, 1).forget(),
        script().stable_read(PAGE - 1, 2).forget(),
        script().stable_read(u64::MAX, 2).forget(),
        script().stable_write(PAGE - 1, b"ab"),
        script().stable_write(u64::MAX - 1, b"ab"),
    ];
    for script in past {
        assert_reject_code(try_run(&pic, canister, script.reply()), RejectCode::CanisterError);
    }
    assert_eq!(pic.get_stable_memory(canister), vec![0; 65_536]);
}

/// `stable64_grow`: up to the limit, otherwise it "returns -1" and nothing has changed.
#[test]
fn growing_past_the_limit_answers_minus_one() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let grow = script()
        .stable_grow(1)
        .append_int()
        .stable_grow(MAX_PAGES)
        .append_int()
        .stable_grow(u64::MAX)
        .append_int()
        .stable_size()
        .append_int()
        .reply();
    assert_eq!(numbers(&run(&pic, canister, grow)), [0, u64::MAX, u64::MAX, 1]);
}

/// "Stable memory": a page that was never written holds zeros, however large the memory is.
#[test]
fn ten_gibibytes_hold_the_one_byte_that_was_written() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let pages = 10 * (1 << 30) / PAGE;
    let last = pages * PAGE - 1;
    run(&pic, canister, script().stable_grow(pages).forget().stable_write(last, b"x").reply());
    let read = script().stable_size().append_int().stable_read(last - 7, 8).append().reply();
    let reply = ask(&pic, canister, read);
    assert_eq!(number(&reply[..8]), pages);
    assert_eq!(&reply[8..], b"\0\0\0\0\0\0\0x");
}

/// `PocketIc::get_stable_memory`: all pages, as the canister wrote them.
#[test]
fn stable_memory_can_be_fetched() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert_eq!(pic.get_stable_memory(canister), b"");
    run(&pic, canister, script().stable_grow(2).forget().stable_write(PAGE, b"second page").reply());
    let mut expected = vec![0; 2 * 65_536];
    expected[65_536..][..11].copy_from_slice(b"second page");
    assert_eq!(pic.get_stable_memory(canister), expected);
}

/// `PocketIc::set_stable_memory`: replaces the memory, plain or compressed with gzip; sizes are whole pages.
#[test]
fn stable_memory_can_be_replaced_from_the_blob_store() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().stable_grow(3).forget().stable_write(0, b"old").reply());

    pic.set_stable_memory(canister, b"plain".to_vec(), BlobCompression::NoCompression);
    let read = script().stable_size().append_int().stable_read(0, 6).append().reply();
    let reply = ask(&pic, canister, read.clone());
    assert_eq!((number(&reply[..8]), &reply[8..]), (1, &b"plain\0"[..]));

    let mut data = vec![3; 65_536];
    data.extend_from_slice(b"more than a page");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&data).expect("it compresses");
    pic.set_stable_memory(canister, gzip.finish().expect("it compresses"), BlobCompression::Gzip);
    let reply = ask(&pic, canister, read);
    assert_eq!((number(&reply[..8]), &reply[8..]), (2, &[3; 6][..]));
    data.resize(2 * 65_536, 0);
    assert_eq!(pic.get_stable_memory(canister), data);
}
