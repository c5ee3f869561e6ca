//! Dapps as they are in the field. Design, promise 10: the dapp's code sees what one ordinary upgrade would do.

use std::cell::RefCell;

use super::*;
use crate::stable::TestMemory;

const PAGE: usize = decant_transfer::PAGE_BYTES as usize;
const STATE: &[u8] = b"100 posts";

thread_local! {
    static STABLE: RefCell<TestMemory> = RefCell::default();
    static DEFAULT: RefCell<Vec<u8>> = RefCell::default();
    static OPTION: RefCell<Option<Vec<u8>>> = RefCell::default();
}

/// The stable memory that hooks and kit share.
struct Shared;

impl Stable for Shared {
    fn size_pages(&self) -> u64 {
        STABLE.with_borrow(Stable::size_pages)
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) {
        STABLE.with_borrow(|stable| stable.read(offset_bytes, buffer));
    }

    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) {
        STABLE.with_borrow_mut(|stable| stable.write(offset_bytes, bytes));
    }

    fn grow(&mut self, pages: u64) -> bool {
        STABLE.with_borrow_mut(|stable| stable.grow(pages))
    }
}

/// A length and as many bytes.
fn write(state: &[u8]) {
    Shared.write(0, &[state.len() as u8]);
    Shared.write(1, state);
}

fn read() -> Vec<u8> {
    let mut length = [0];
    Shared.read(0, &mut length);
    let mut state = vec![0; usize::from(length[0])];
    Shared.read(1, &mut state);
    state
}

fn take_default() {
    write(&DEFAULT.take());
}

fn load_default() {
    DEFAULT.set(read());
}

fn load_and_erase() {
    load_default();
    Shared.write(0, &[0]);
}

fn load_nothing() {
    DEFAULT.take();
}

fn take_option() {
    write(&OPTION.take().expect("the state has not been initialised"));
}

fn load_option() {
    OPTION.set(Some(read()));
}

fn of_default() -> Vec<u8> {
    vec![DEFAULT.with_borrow(Vec::len) as u8]
}

fn of_option() -> Vec<u8> {
    vec![OPTION.with_borrow(|state| state.as_ref().expect("the state is there").len()) as u8]
}

fn without() -> Vec<u8> {
    Vec::new()
}

fn run(save: fn(), load: fn(), fingerprint: fn() -> Vec<u8>) -> Result<Vec<u8>, KitError> {
    STABLE.set(TestMemory::of(vec![0; PAGE]));
    DEFAULT.set(STATE.to_vec());
    OPTION.set(Some(STATE.to_vec()));
    save_and_load(&Hooks { save, load, fingerprint }, &Shared)
}

#[test]
fn a_save_that_takes_a_default_state_leaves_a_canister_that_has_it() {
    for fingerprint in [of_default, without] {
        assert_eq!(run(take_default, load_default, fingerprint), Ok(fingerprint()));
        assert_eq!(DEFAULT.with_borrow(Vec::clone), STATE);
        assert_eq!(read(), STATE, "and it is in stable memory");
    }
}

#[test]
fn a_save_that_takes_an_optional_state_leaves_a_canister_that_has_it() {
    for fingerprint in [of_option, without] {
        assert_eq!(run(take_option, load_option, fingerprint), Ok(fingerprint()));
        assert_eq!(OPTION.with_borrow(Clone::clone).as_deref(), Some(STATE));
    }
}

#[test]
fn it_may_be_done_again_and_again() {
    run(take_default, load_default, of_default).expect("they are a pair");
    let hooks = Hooks { save: take_default, load: load_default, fingerprint: of_default };
    assert_eq!(save_and_load(&hooks, &Shared), Ok(of_default()));
    assert_eq!(DEFAULT.with_borrow(Vec::clone), STATE);
}

#[test]
fn a_load_that_erases_what_it_read_is_found_with_and_without_a_fingerprint() {
    for fingerprint in [of_default, without] {
        let found = run(take_default, load_and_erase, fingerprint);
        assert_eq!(found, Err(KitError::NotAPair { idiom: Idiom::ImageChanged }));
    }
}

#[test]
fn a_load_that_does_not_bring_back_what_save_took_is_found_by_the_fingerprint() {
    let found = run(take_default, load_nothing, of_default);
    assert_eq!(found, Err(KitError::NotAPair { idiom: Idiom::HeapTaken }));
}

#[test]
fn the_words_name_the_idiom_and_the_way() {
    for (idiom, word) in [(Idiom::HeapTaken, "takes"), (Idiom::ImageChanged, "erases")] {
        let words = KitError::NotAPair { idiom }.to_string();
        assert!(words.contains(word) && words.contains("vessel") && words.contains("repack"), "{words}");
    }
}
