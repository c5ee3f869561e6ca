//! A state on the heap, as most canisters of the incident had it; and the model outside of them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use candid::Principal;
use serde::{Deserialize, Serialize};

use crate::{Core, Entry, Follow, Post, Store};

/// A whole state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    /// What is neither post, follow nor history.
    pub core: Core,
    /// Posts, by id.
    pub posts: Vec<Post>,
    /// Followed canisters, and since when.
    pub follows: BTreeMap<Principal, u64>,
    /// Token history, by id.
    pub history: Vec<Entry>,
}

impl Store for UserState {
    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    fn post_count(&self) -> u64 {
        self.posts.len() as u64
    }

    fn push_post(&mut self, post: Post) {
        self.posts.push(post);
    }

    fn each_post(&self, from: u64, visit: &mut dyn FnMut(&Post) -> ControlFlow<()>) {
        // Whether it was stopped does not matter to the caller, who did it.
        let _ = from_index(&self.posts, from).iter().try_for_each(visit);
    }

    fn follow_count(&self) -> u64 {
        self.follows.len() as u64
    }

    fn insert_follow(&mut self, follow: Follow) -> bool {
        let is_new = !self.follows.contains_key(&follow.canister);
        if is_new {
            self.follows.insert(follow.canister, follow.sequence);
        }
        is_new
    }

    fn each_follow(&self, after: Option<Principal>, visit: &mut dyn FnMut(&Follow) -> ControlFlow<()>) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut follows = self.follows.range((start, Bound::Unbounded));
        let _ = follows.try_for_each(|(&canister, &sequence)| visit(&Follow { canister, sequence }));
    }

    fn entry_count(&self) -> u64 {
        self.history.len() as u64
    }

    fn push_entry(&mut self, entry: Entry) {
        self.history.push(entry);
    }

    fn each_entry(&self, from: u64, visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>) {
        let _ = from_index(&self.history, from).iter().try_for_each(visit);
    }
}

fn from_index<T>(items: &[T], from: u64) -> &[T] {
    usize::try_from(from).ok().and_then(|from| items.get(from..)).unwrap_or_default()
}
