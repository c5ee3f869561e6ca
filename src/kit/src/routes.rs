//! Routes, as an index embeds them: which canister holds a user's state now, and what became of old ids.
//!
//! No canister calls and no clock: an index keeps a [`Routes`] in its state, checks who is calling, and
//! delegates. Every canister that ever was routed remembers its *key*, not its successor, so an old id
//! resolves in one step, however often the state has moved since: there are no chains to follow or to break. An id that was
//! given to another user resolves no more.

use std::collections::{BTreeMap, BTreeSet};

use candid::{CandidType, Principal};
use decant_api::routes::SwapError;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Which canister holds the state of a key now. `K` is whatever an index knows its users by.
///
/// Invariants: the canister of a key has that key; two keys never have the same canister.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Routes<K: Ord> {
    /// Where the state of a key is now.
    current: BTreeMap<K, Principal>,
    /// The key of every canister that a route ever named; of one that changed its owner, that of the last one.
    keys: BTreeMap<Principal, K>,
    /// Canisters that changed their owner: nobody knows which of them one means who asks by id. Earlier builds lack it.
    #[serde(default)]
    anothers: Option<BTreeSet<Principal>>,
}

impl<K: Ord> Default for Routes<K> {
    fn default() -> Self {
        Self { current: BTreeMap::new(), keys: BTreeMap::new(), anothers: None }
    }
}

impl<K: Ord + Clone> Routes<K> {
    /// Routes a key to a canister. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`SwapError::Conflict`] with what is routed instead, if the key has another canister or the canister
    /// another key. Nothing changed.
    pub fn register(&mut self, key: K, canister: Principal) -> Result<(), SwapError> {
        if let Some(&found) = self.current.get(&key).filter(|&&found| found != canister) {
            return Err(SwapError::Conflict { from: canister, found });
        }
        self.check_free(&key, canister)?;
        self.current.insert(key.clone(), canister);
        self.keys.insert(canister, key);
        Ok(())
    }

    /// Compare-and-swap: the route that names `from` names `to` afterwards. Repeating a swap that happened
    /// changes nothing; `swap(to, from)` takes it back.
    ///
    /// # Errors
    /// [`SwapError::UnknownRoute`] if no route ever named `from`; [`SwapError::Conflict`] if its route names
    /// a third canister now, or if `to` belongs to another route. Nothing changed.
    pub fn swap(&mut self, from: Principal, to: Principal) -> Result<(), SwapError> {
        let key = self.keys.get(&from).cloned().ok_or(SwapError::UnknownRoute { from })?;
        let found = self.current.get(&key).copied().ok_or(SwapError::UnknownRoute { from })?;
        if found != from && found != to {
            return Err(SwapError::Conflict { from, found });
        }
        self.check_free(&key, to)?;
        self.current.insert(key.clone(), to);
        self.keys.insert(to, key);
        Ok(())
    }

    /// As [`swap`](Self::swap), to a canister that was another key's, whose state is elsewhere and of whom nothing is left
    /// in it. What is remembered of it ends: its id resolves no more, neither for the one nor for the other.
    ///
    /// # Errors
    /// As [`swap`](Self::swap). [`SwapError::Conflict`] also if it is another key's present canister, whoever says what.
    pub fn swap_recycled(&mut self, from: Principal, to: Principal) -> Result<(), SwapError> {
        let key = self.keys.get(&from).cloned().ok_or(SwapError::UnknownRoute { from })?;
        let former = self.keys.get(&to).filter(|former| **former != key).cloned();
        let Some(former) = former.filter(|former| self.current.get(former) != Some(&to)) else {
            return self.swap(from, to);
        };
        self.keys.remove(&to);
        let swapped = self.swap(from, to);
        match swapped {
            Ok(()) => {
                self.anothers.get_or_insert_default().insert(to);
            }
            Err(_) => {
                self.keys.insert(to, former);
            }
        }
        swapped
    }

    /// Where the state is now that a canister holds or held: for old ids and present ones. `None` if no route
    /// ever named it, or if it [changed its owner](Self::changed_owner).
    pub fn resolve(&self, canister: Principal) -> Option<Principal> {
        if self.changed_owner(canister) {
            return None;
        }
        self.current.get(self.keys.get(&canister)?).copied()
    }

    /// Whether a canister was one key's, and then another's: whoever asks for it by id may mean either. Ask by key.
    pub fn changed_owner(&self, canister: Principal) -> bool {
        self.anothers.as_ref().is_some_and(|anothers| anothers.contains(&canister))
    }

    /// Where the state of a key is now.
    pub fn canister_of(&self, key: &K) -> Option<Principal> {
        self.current.get(key).copied()
    }

    /// The key whose state a canister holds or held.
    pub fn key_of(&self, canister: Principal) -> Option<&K> {
        self.keys.get(&canister)
    }

    /// All routes, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, Principal)> {
        self.current.iter().map(|(key, canister)| (key, *canister))
    }

    /// Ids that are not in use any more, each with the id to use instead. Those that changed their owner are none.
    pub fn old_ids(&self) -> impl Iterator<Item = (Principal, Principal)> {
        self.keys
            .iter()
            .filter(|(old, _)| !self.changed_owner(**old))
            .filter_map(|(old, key)| self.current.get(key).filter(|&now| now != old).map(|now| (*old, *now)))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.current.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// A canister that already has another key can't take this one.
    fn check_free(&self, key: &K, canister: Principal) -> Result<(), SwapError> {
        match self.keys.get(&canister) {
            Some(other) if other != key => {
                let found = self.current.get(other).copied().unwrap_or(canister);
                Err(SwapError::Conflict { from: canister, found })
            }
            _ => Ok(()),
        }
    }
}
