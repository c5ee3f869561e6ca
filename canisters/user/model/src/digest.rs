//! What a whole state is known by.

use std::ops::ControlFlow;

use blake3::Hasher;

use crate::{Direction, Store};

/// BLAKE3 over every field of a state, however it is kept. Numbers are little-endian, texts and ids are
/// preceded by their length, lists by their number of items.
pub fn digest(store: &impl Store) -> [u8; 32] {
    let mut sink = Sink(Hasher::new_derive_key("decant user state 1"));
    let core = store.core();
    for text in [&core.profile.name, &core.profile.bio, &core.profile.picture_url, &core.config.language] {
        sink.bytes(text.as_bytes());
    }
    sink.number(u64::from(core.config.is_open_to_messages));
    sink.number(core.config.muted_words.len() as u64);
    core.config.muted_words.iter().for_each(|word| sink.bytes(word.as_bytes()));
    sink.amount(core.balance);
    sink.number(core.sequence);
    sink.number(core.text_bytes);

    sink.number(store.post_count());
    store.each_post(0, &mut |post| {
        sink.number(post.id);
        sink.bytes(post.text.as_bytes());
        sink.number(post.likes);
        sink.number(post.sequence);
        ControlFlow::Continue(())
    });
    sink.number(store.follow_count());
    store.each_follow(None, &mut |follow| {
        sink.bytes(follow.canister.as_slice());
        sink.number(follow.sequence);
        ControlFlow::Continue(())
    });
    sink.number(store.entry_count());
    store.each_entry(0, &mut |entry| {
        sink.number(entry.id);
        sink.number(match entry.direction {
            Direction::Received => 0,
            Direction::Paid => 1,
        });
        sink.amount(entry.amount);
        sink.bytes(entry.memo.as_bytes());
        sink.amount(entry.balance);
        sink.number(entry.sequence);
        ControlFlow::Continue(())
    });
    *sink.0.finalize().as_bytes()
}

/// Counts and sums of a state in 56 bytes, in no time however large it is: posts, follows, lines of history,
/// changes, bytes of text, balance.
pub fn fingerprint(store: &impl Store) -> Vec<u8> {
    let core = store.core();
    let counts =
        [store.post_count(), store.follow_count(), store.entry_count(), core.sequence, core.text_bytes];
    counts.iter().flat_map(|count| count.to_le_bytes()).chain(core.balance.to_le_bytes()).collect()
}

struct Sink(Hasher);

impl Sink {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn amount(&mut self, amount: u128) {
        self.0.update(&amount.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }
}
