//! Posts, follows and history in stable maps, each in a virtual memory of its own: with default buckets that
//! is 8 MiB for each.

use std::borrow::Cow;
use std::ops::{Bound as RangeBound, ControlFlow};

use candid::Principal;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::storable::{Bound, Storable};
use ic_stable_structures::{Memory, StableBTreeMap};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StorageError;
use super::managed::{self, STATE_MEMORY};
use crate::{Core, Entry, Follow, Post, Store, UserState};

const POSTS_MEMORY: MemoryId = MemoryId::new(1);
const FOLLOWS_MEMORY: MemoryId = MemoryId::new(2);
const HISTORY_MEMORY: MemoryId = MemoryId::new(3);

/// A value as CBOR.
#[derive(Debug, Clone)]
struct Cbor<T>(T);

impl<T: Serialize + DeserializeOwned> Storable for Cbor<T> {
    const BOUND: Bound = Bound::Unbounded;

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::new();
        ciborium::into_writer(&self.0, &mut bytes).expect("a vector takes everything");
        Cow::Owned(bytes)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.to_bytes().into_owned()
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        Self(ciborium::from_reader(bytes.as_ref()).expect("only to_bytes writes it"))
    }
}

type Map<M, K, V> = StableBTreeMap<K, V, VirtualMemory<M>>;

/// A state in stable structures; only what is neither post, follow nor history is on the heap.
pub struct Structures<M: Memory> {
    core: Core,
    core_memory: VirtualMemory<M>,
    posts: Map<M, u64, Cbor<Post>>,
    follows: Map<M, Principal, u64>,
    history: Map<M, u64, Cbor<Entry>>,
}

impl<M: Memory> Structures<M> {
    /// Whether a manager's memories hold such a state.
    pub fn is_in(manager: &MemoryManager<M>) -> bool {
        manager.get(POSTS_MEMORY).size() > 0
    }

    /// Opens what is there.
    ///
    /// # Errors
    /// If memory 0 does not hold what it should.
    pub fn open(manager: &MemoryManager<M>) -> Result<Self, StorageError> {
        let core = managed::read(&manager.get(STATE_MEMORY))?;
        Ok(Self::over(manager, core))
    }

    /// Moves a state from the heap into structures.
    ///
    /// # Errors
    /// If stable memory can't grow.
    pub fn create(manager: &MemoryManager<M>, state: UserState) -> Result<Self, StorageError> {
        let UserState { core, posts, follows, history } = state;
        let mut structures = Self::over(manager, core);
        posts.into_iter().for_each(|post| structures.push_post(post));
        history.into_iter().for_each(|entry| structures.push_entry(entry));
        for (canister, sequence) in follows {
            structures.insert_follow(Follow { canister, sequence });
        }
        structures.save()?;
        Ok(structures)
    }

    /// Writes what is on the heap.
    ///
    /// # Errors
    /// If stable memory can't grow.
    pub fn save(&mut self) -> Result<(), StorageError> {
        managed::write(&self.core, &mut self.core_memory)
    }

    fn over(manager: &MemoryManager<M>, core: Core) -> Self {
        Self {
            core,
            core_memory: manager.get(STATE_MEMORY),
            posts: StableBTreeMap::init(manager.get(POSTS_MEMORY)),
            follows: StableBTreeMap::init(manager.get(FOLLOWS_MEMORY)),
            history: StableBTreeMap::init(manager.get(HISTORY_MEMORY)),
        }
    }
}

impl<M: Memory> Store for Structures<M> {
    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    fn post_count(&self) -> u64 {
        self.posts.len()
    }

    fn push_post(&mut self, post: Post) {
        self.posts.insert(post.id, Cbor(post));
    }

    fn each_post(&self, from: u64, visit: &mut dyn FnMut(&Post) -> ControlFlow<()>) {
        // Whether it was stopped does not matter to the caller, who did it.
        let _ = self.posts.range(from..).try_for_each(|entry| visit(&entry.value().0));
    }

    fn follow_count(&self) -> u64 {
        self.follows.len()
    }

    fn insert_follow(&mut self, follow: Follow) -> bool {
        let is_new = !self.follows.contains_key(&follow.canister);
        if is_new {
            self.follows.insert(follow.canister, follow.sequence);
        }
        is_new
    }

    fn each_follow(&self, after: Option<Principal>, visit: &mut dyn FnMut(&Follow) -> ControlFlow<()>) {
        let start = after.map_or(RangeBound::Unbounded, RangeBound::Excluded);
        let mut follows = self.follows.range((start, RangeBound::Unbounded));
        let _ =
            follows.try_for_each(|entry| visit(&Follow { canister: *entry.key(), sequence: entry.value() }));
    }

    fn entry_count(&self) -> u64 {
        self.history.len()
    }

    fn push_entry(&mut self, entry: Entry) {
        self.history.insert(entry.id, Cbor(entry));
    }

    fn each_entry(&self, from: u64, visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>) {
        let _ = self.history.range(from..).try_for_each(|entry| visit(&entry.value().0));
    }
}
