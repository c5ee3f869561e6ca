//! Where a state is kept: on the heap, or in stable structures.

use std::ops::ControlFlow;

use candid::Principal;

use crate::{Core, Entry, Follow, Post};

/// Items of a page at most, whatever is asked for.
const PAGE_ITEMS: usize = 10_000;
/// Bytes of text in a page: 1 MiB, so that with everything around it a page stays below the 2 MiB of a reply
/// (developer docs, "Resource limits"). A single item may have more.
const PAGE_TEXT_BYTES: usize = 1 << 20;

/// A state, wherever it is kept. `each_*` visit items in their order until told to stop.
pub trait Store {
    /// What is neither post, follow nor history.
    fn core(&self) -> &Core;
    /// The same, to change it.
    fn core_mut(&mut self) -> &mut Core;

    /// How many posts there are.
    fn post_count(&self) -> u64;
    /// Adds a post, whose id is [`post_count`](Store::post_count).
    fn push_post(&mut self, post: Post);
    /// Visits posts from an id on.
    fn each_post(&self, from: u64, visit: &mut dyn FnMut(&Post) -> ControlFlow<()>);

    /// How many are followed.
    fn follow_count(&self) -> u64;
    /// Adds somebody. Answers whether they were not followed yet; otherwise nothing changes.
    fn insert_follow(&mut self, follow: Follow) -> bool;
    /// Visits those whose canister id is greater.
    fn each_follow(&self, after: Option<Principal>, visit: &mut dyn FnMut(&Follow) -> ControlFlow<()>);

    /// How many lines the history has.
    fn entry_count(&self) -> u64;
    /// Adds a line, whose id is [`entry_count`](Store::entry_count).
    fn push_entry(&mut self, entry: Entry);
    /// Visits lines from an id on.
    fn each_entry(&self, from: u64, visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>);
}

/// Posts from an id on: at most `limit`, and fewer if they are long, but one at least if there is any.
pub fn posts_page(store: &impl Store, from: u64, limit: u32) -> Vec<Post> {
    let mut page = Page::new(limit);
    store.each_post(from, &mut |post| page.add(post, post.text.len()));
    page.items
}

/// Followed canisters with a greater id: at most `limit`.
pub fn follows_page(store: &impl Store, after: Option<Principal>, limit: u32) -> Vec<Follow> {
    let mut page = Page::new(limit);
    store.each_follow(after, &mut |follow| page.add(follow, 0));
    page.items
}

/// Lines of the history from an id on: at most `limit`, and fewer if they are long.
pub fn entries_page(store: &impl Store, from: u64, limit: u32) -> Vec<Entry> {
    let mut page = Page::new(limit);
    store.each_entry(from, &mut |entry| page.add(entry, entry.memo.len()));
    page.items
}

/// A page that is being filled.
struct Page<T> {
    items: Vec<T>,
    limit: usize,
    text_bytes: usize,
}

impl<T: Clone> Page<T> {
    fn new(limit: u32) -> Self {
        Self { items: Vec::new(), limit: PAGE_ITEMS.min(limit as usize), text_bytes: 0 }
    }

    fn add(&mut self, item: &T, text_bytes: usize) -> ControlFlow<()> {
        self.text_bytes += text_bytes;
        let is_full =
            self.items.len() >= self.limit || self.text_bytes > PAGE_TEXT_BYTES && !self.items.is_empty();
        if is_full {
            return ControlFlow::Break(());
        }
        self.items.push(item.clone());
        ControlFlow::Continue(())
    }
}
