//! What users do. The canister and the model outside apply the same functions.

use candid::Principal;

use crate::generate::SplitMix;
use crate::{Config, Direction, Entry, Follow, PayError, Post, Profile, Store};

/// Bytes that a post, a follow and a line of history take in CBOR besides their text, about.
const POST_BYTES: u64 = 40;
const FOLLOW_BYTES: u64 = 16;
const ENTRY_BYTES: u64 = 75;

/// Adds content from a seed until it takes about that many KiB as CBOR, and sets profile and configuration.
/// Every call with the same arguments adds the same. Answers how many items were added.
pub fn fill(store: &mut impl Store, seed: u64, state_kib: u32) -> u64 {
    let mut generator = SplitMix::new(seed);
    set_profile(store, profile(&mut generator));
    set_config(store, config(&mut generator));
    let (mut items, mut left) = (0, u64::from(state_kib) * 1_024);
    while left > 0 {
        let item_bytes = match generator.below(16) {
            0..10 => {
                let words = 8 + generator.below(120);
                let (text, likes) = (generator.text(words), generator.below(500));
                let post_bytes = POST_BYTES + text.len() as u64;
                add_post(store, text, likes);
                post_bytes
            }
            10..14 => {
                follow(store, generator.canister());
                FOLLOW_BYTES
            }
            _ => {
                let memo = generator.text(4);
                let entry_bytes = ENTRY_BYTES + memo.len() as u64;
                receive(store, u128::from(1 + generator.below(1_000_000)), memo);
                entry_bytes
            }
        };
        items += 1;
        left = left.saturating_sub(item_bytes);
    }
    items
}

/// Adds a post. Answers its id.
pub fn post(store: &mut impl Store, text: String) -> u64 {
    add_post(store, text, 0)
}

/// Follows somebody. Answers whether that is new.
pub fn follow(store: &mut impl Store, canister: Principal) -> bool {
    let sequence = store.core().sequence + 1;
    let is_new = store.insert_follow(Follow { canister, sequence });
    if is_new {
        store.core_mut().sequence = sequence;
    }
    is_new
}

/// Pays tokens. Answers how many are left.
///
/// # Errors
/// [`PayError::TooFew`] if there are not as many.
pub fn pay(store: &mut impl Store, amount: u128, memo: String) -> Result<u128, PayError> {
    let balance = store.core().balance;
    let left = balance.checked_sub(amount).ok_or(PayError::TooFew { balance })?;
    enter(store, Direction::Paid, amount, memo, left);
    Ok(left)
}

/// Receives tokens. Answers how many there are then.
pub fn receive(store: &mut impl Store, amount: u128, memo: String) -> u128 {
    let balance = store.core().balance.saturating_add(amount);
    enter(store, Direction::Received, amount, memo, balance);
    balance
}

/// Changes the profile.
pub fn set_profile(store: &mut impl Store, profile: Profile) {
    let core = store.core_mut();
    core.profile = profile;
    core.sequence += 1;
}

/// Changes the settings.
pub fn set_config(store: &mut impl Store, config: Config) {
    let core = store.core_mut();
    core.config = config;
    core.sequence += 1;
}

fn add_post(store: &mut impl Store, text: String, likes: u64) -> u64 {
    let id = store.post_count();
    let core = store.core_mut();
    core.sequence += 1;
    core.text_bytes += text.len() as u64;
    let sequence = core.sequence;
    store.push_post(Post { id, text, likes, sequence });
    id
}

fn enter(store: &mut impl Store, direction: Direction, amount: u128, memo: String, balance: u128) {
    let id = store.entry_count();
    let core = store.core_mut();
    core.sequence += 1;
    core.balance = balance;
    let sequence = core.sequence;
    store.push_entry(Entry { id, direction, amount, memo, balance, sequence });
}

fn profile(generator: &mut SplitMix) -> Profile {
    let name = generator.text(2);
    let picture_url = format!("https://pictures.example/{:016x}.jpg", generator.next());
    Profile { name, bio: generator.text(30), picture_url }
}

fn config(generator: &mut SplitMix) -> Config {
    let language = ["de", "en", "hi", "ja"][generator.below(4) as usize].to_owned();
    let is_open_to_messages = generator.below(2) == 0;
    let muted_words = (0..generator.below(5)).map(|_| generator.text(1)).collect();
    Config { language, is_open_to_messages, muted_words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{UserState, digest, fingerprint};

    fn filled(seed: u64, state_kib: u32) -> UserState {
        let mut state = UserState::default();
        fill(&mut state, seed, state_kib);
        state
    }

    #[test]
    fn the_same_seed_makes_the_same_state_and_another_one_another() {
        assert_eq!(filled(1, 50), filled(1, 50));
        assert_ne!(digest(&filled(1, 50)), digest(&filled(2, 50)));
        assert_ne!(digest(&filled(1, 50)), digest(&filled(1, 51)));
    }

    #[test]
    fn content_may_be_added_again_and_balances_add_up() {
        let mut state = filled(1, 50);
        let balance = state.core.balance;
        fill(&mut state, 1, 50);
        assert_eq!(state.core.balance, 2 * balance);
        assert_eq!(state.posts.iter().map(|post| post.text.len() as u64).sum::<u64>(), state.core.text_bytes);
        assert!(state.posts.iter().zip(0..).all(|(post, id)| post.id == id));
        assert!(state.history.iter().zip(0..).all(|(entry, id)| entry.id == id));
    }

    #[test]
    fn nobody_pays_more_than_there_is() {
        let mut state = UserState::default();
        receive(&mut state, 10, "a gift".to_owned());
        let before = state.clone();
        assert_eq!(pay(&mut state, 11, "rent".to_owned()), Err(PayError::TooFew { balance: 10 }));
        assert_eq!(state, before);
        assert_eq!(pay(&mut state, 4, "rent".to_owned()), Ok(6));
        assert_eq!(state.history.len(), 2);
    }

    #[test]
    fn every_change_changes_digest_and_fingerprint() {
        let mut state = filled(3, 5);
        let mut seen = vec![(digest(&state), fingerprint(&state))];
        let mut look = |state: &UserState| {
            let found = (digest(state), fingerprint(state));
            assert!(seen.iter().all(|before| before.0 != found.0 && before.1 != found.1));
            seen.push(found);
        };
        post(&mut state, "hello".to_owned());
        look(&state);
        assert!(follow(&mut state, Principal::anonymous()));
        look(&state);
        assert!(!follow(&mut state, Principal::anonymous()), "and a repetition changes nothing");
        receive(&mut state, 3, String::new());
        look(&state);
        set_profile(&mut state, Profile::default());
        look(&state);
        set_config(&mut state, Config::default());
        look(&state);
    }

    #[test]
    fn a_page_ends_before_it_is_too_long_but_never_before_it_begins() {
        let mut state = UserState::default();
        for length in [3_000_000, 600_000, 400_000, 600_000] {
            post(&mut state, "x".repeat(length));
        }
        let pages = [(0, 9), (1, 9), (3, 9), (4, 9), (1, 1), (1, 0)]
            .map(|(from, limit)| crate::posts_page(&state, from, limit).len());
        assert_eq!(pages, [1, 2, 1, 0, 1, 0]);
    }
}
