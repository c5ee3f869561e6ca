//! A state together with the layout that it came from.

use std::ops::ControlFlow;

use candid::Principal;
use ic_stable_structures::Memory;

use super::structures::Structures;
use super::{StorageError, managed, raw};
use crate::{Core, Entry, Follow, Post, Store, UserState};

/// How a state that is on the heap is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As [`raw`].
    Raw,
    /// As [`managed`].
    Managed,
}

/// A state, wherever it is kept.
#[expect(clippy::large_enum_variant, reason = "a canister has one of it")]
pub enum Backing<M: Memory> {
    /// On the heap, until it is saved.
    Heap(Layout, UserState),
    /// In stable structures.
    Structures(Structures<M>),
}

impl<M: Memory> Backing<M> {
    /// An empty state that is to be saved in that layout. Stable memory is not touched.
    pub fn empty(layout: Layout) -> Self {
        Self::Heap(layout, UserState::default())
    }

    /// Loads what is there, whatever its layout, and keeps it. Without stable memory: an empty state, to be
    /// saved in the layout given.
    ///
    /// # Errors
    /// If what is there is no state.
    pub fn load_any(memory: M, layout_if_empty: Layout) -> Result<Self, StorageError> {
        if memory.size() == 0 {
            return Ok(Self::empty(layout_if_empty));
        }
        if !managed::is_managed(&memory) {
            return Ok(Self::Heap(Layout::Raw, raw::load(&memory)?));
        }
        // The stored bucket size wins: the manager is formatted.
        let manager = managed::manager(memory, 1);
        match Structures::is_in(&manager) {
            true => Structures::open(&manager).map(Self::Structures),
            false => Ok(Self::Heap(Layout::Managed, managed::load_from(&manager)?)),
        }
    }

    /// Moves the state into stable structures, unless it is there. What was in stable memory before is
    /// overwritten.
    ///
    /// # Errors
    /// If stable memory can't grow.
    pub fn into_structures(self, memory: M, bucket_pages: u16) -> Result<Self, StorageError> {
        match self {
            Self::Heap(_, state) => {
                let manager = managed::manager(memory, bucket_pages);
                Structures::create(&manager, state).map(Self::Structures)
            }
            Self::Structures(structures) => Ok(Self::Structures(structures)),
        }
    }

    /// Brings into stable memory what is on the heap. Buckets have that size if there is no manager yet.
    ///
    /// # Errors
    /// If stable memory can't grow.
    pub fn save(&mut self, mut memory: M, bucket_pages: u16) -> Result<(), StorageError> {
        match self {
            Self::Heap(Layout::Raw, state) => raw::save(state, &mut memory),
            Self::Heap(Layout::Managed, state) => managed::save(state, memory, bucket_pages),
            Self::Structures(structures) => structures.save(),
        }
    }

    /// Name of the layout.
    pub fn layout_name(&self) -> &'static str {
        match self {
            Self::Heap(Layout::Raw, _) => "raw",
            Self::Heap(Layout::Managed, _) => "managed",
            Self::Structures(_) => "structures",
        }
    }
}

macro_rules! delegate {
    ($self:ident, $method:ident $(, $argument:expr)*) => {
        match $self {
            Self::Heap(_, state) => state.$method($($argument),*),
            Self::Structures(structures) => structures.$method($($argument),*),
        }
    };
}

impl<M: Memory> Store for Backing<M> {
    fn core(&self) -> &Core {
        delegate!(self, core)
    }

    fn core_mut(&mut self) -> &mut Core {
        delegate!(self, core_mut)
    }

    fn post_count(&self) -> u64 {
        delegate!(self, post_count)
    }

    fn push_post(&mut self, post: Post) {
        delegate!(self, push_post, post);
    }

    fn each_post(&self, from: u64, visit: &mut dyn FnMut(&Post) -> ControlFlow<()>) {
        delegate!(self, each_post, from, visit);
    }

    fn follow_count(&self) -> u64 {
        delegate!(self, follow_count)
    }

    fn insert_follow(&mut self, follow: Follow) -> bool {
        delegate!(self, insert_follow, follow)
    }

    fn each_follow(&self, after: Option<Principal>, visit: &mut dyn FnMut(&Follow) -> ControlFlow<()>) {
        delegate!(self, each_follow, after, visit);
    }

    fn entry_count(&self) -> u64 {
        delegate!(self, entry_count)
    }

    fn push_entry(&mut self, entry: Entry) {
        delegate!(self, push_entry, entry);
    }

    fn each_entry(&self, from: u64, visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>) {
        delegate!(self, each_entry, from, visit);
    }
}

#[cfg(test)]
mod tests {
    use ic_stable_structures::VectorMemory;

    use super::*;
    use crate::{actions, digest};

    /// Bytes of the default bucket of a `MemoryManager`, in pages.
    const DEFAULT_BUCKET_PAGES: u16 = 128;

    fn filled() -> UserState {
        let mut state = UserState::default();
        actions::fill(&mut state, 7, 200);
        actions::post(&mut state, "a record that is longer than a page ".repeat(3_000));
        state
    }

    fn reload(memory: &VectorMemory) -> Backing<VectorMemory> {
        Backing::load_any(memory.clone(), Layout::Managed).expect("it loads")
    }

    #[test]
    fn every_layout_brings_the_state_back_and_keeps_its_layout() {
        let state = filled();
        let expected = digest(&state);
        for name in ["raw", "managed", "structures"] {
            let memory = VectorMemory::default();
            let mut backing = match name {
                "raw" => Backing::Heap(Layout::Raw, state.clone()),
                "managed" => Backing::Heap(Layout::Managed, state.clone()),
                _ => Backing::Heap(Layout::Managed, state.clone())
                    .into_structures(memory.clone(), DEFAULT_BUCKET_PAGES)
                    .expect("it fits"),
            };
            backing.save(memory.clone(), DEFAULT_BUCKET_PAGES).expect("it is saved");
            let mut loaded = reload(&memory);
            assert_eq!((loaded.layout_name(), digest(&loaded)), (name, expected));
            let size_pages = memory.size();
            actions::post(&mut loaded, "one more".to_owned());
            loaded.save(memory.clone(), DEFAULT_BUCKET_PAGES).expect("it is saved");
            assert_eq!((reload(&memory).layout_name(), digest(&reload(&memory))), (name, digest(&loaded)));
            assert_eq!(memory.size(), size_pages, "loading and saving again takes no further page");
        }
    }

    #[test]
    fn the_two_stage_upgrade_makes_eight_mebibytes_of_a_few_pages() {
        let memory = VectorMemory::default();
        raw::save(&filled(), &mut memory.clone()).expect("it is saved");
        assert_eq!(memory.size(), 5);
        let state = raw::load(&memory).expect("it loads");
        managed::save(&state, memory.clone(), DEFAULT_BUCKET_PAGES).expect("it is saved");
        assert_eq!(memory.size(), 129);
        assert_eq!(managed::load(memory.clone()).expect("it loads"), filled());
        let backing = reload(&memory).into_structures(memory.clone(), DEFAULT_BUCKET_PAGES).expect("it fits");
        assert_eq!(memory.size(), 1 + 4 * 128);
        assert_eq!(digest(&backing), digest(&filled()));
        assert_eq!(digest(&reload(&memory)), digest(&filled()));
    }

    #[test]
    fn an_empty_state_needs_no_stable_memory_to_be_loaded() {
        let memory = VectorMemory::default();
        assert_eq!(digest(&reload(&memory)), digest(&UserState::default()));
        assert_eq!(memory.size(), 0);
        reload(&memory).save(memory.clone(), 1).expect("it is saved");
        assert_eq!(memory.size(), 2);
        assert_eq!(digest(&reload(&memory)), digest(&UserState::default()));
    }

    #[test]
    fn what_is_no_state_is_an_error() {
        let memory = VectorMemory::default();
        memory.grow(1);
        memory.write(0, b"something else");
        assert!(Backing::load_any(memory, Layout::Managed).is_err());
    }
}
