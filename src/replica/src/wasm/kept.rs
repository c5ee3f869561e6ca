//! Compiled modules: those that canisters or snapshots hold, and the latest of the others, since suites install the same
//! one again and again. What is neither is freed: a server that lives for weeks sees any number of them.

use super::module::{Module, ModuleHash};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// How many modules are kept that nobody holds (ours).
const LATEST: usize = 32;

/// Bytes of modules, as uploaded, that are kept although nobody holds them (ours: their code takes several times as
/// much). The latest module is kept in any case.
const LATEST_BYTES: usize = 64 << 20;

/// All modules that may be asked for again.
#[derive(Default)]
pub(super) struct Kept {
    by_hash: Held<ModuleHash>,
    /// By the hashes of the chunks that they were put together from.
    by_chunks: Held<Vec<[u8; 32]>>,
    /// From the oldest to the latest.
    latest: VecDeque<Arc<Module>>,
    latest_bytes: usize,
}

impl Kept {
    pub(super) fn get(&mut self, hash: &ModuleHash) -> Option<Arc<Module>> {
        let module = self.by_hash.get(hash)?;
        self.keep(&module);
        Some(module)
    }

    pub(super) fn of_chunks(&mut self, chunks: &[[u8; 32]]) -> Option<Arc<Module>> {
        let module = self.by_chunks.get(chunks)?;
        self.keep(&module);
        Some(module)
    }

    pub(super) fn insert(&mut self, module: &Arc<Module>) {
        self.by_hash.insert(module.hash, module);
        self.keep(module);
    }

    pub(super) fn insert_chunks(&mut self, chunks: &[[u8; 32]], module: &Arc<Module>) {
        self.by_chunks.insert(chunks.to_vec(), module);
    }

    fn keep(&mut self, module: &Arc<Module>) {
        let before = self.latest.iter().position(|other| Arc::ptr_eq(other, module));
        match before.and_then(|place| self.latest.remove(place)) {
            Some(module) => self.latest.push_back(module),
            None => {
                self.latest_bytes += module.bytes.len();
                self.latest.push_back(module.clone());
            }
        }
        while self.latest.len() > 1 && (self.latest.len() > LATEST || self.latest_bytes > LATEST_BYTES) {
            let Some(oldest) = self.latest.pop_front() else { return };
            self.latest_bytes -= oldest.bytes.len();
        }
    }
}

/// Modules as long as somebody holds them.
struct Held<Key> {
    modules: HashMap<Key, Weak<Module>>,
    /// So many entries are looked through for those that nobody holds any more.
    look_at: usize,
}

impl<Key> Default for Held<Key> {
    fn default() -> Self {
        Self { modules: HashMap::new(), look_at: LATEST }
    }
}

impl<Key: Eq + Hash> Held<Key> {
    fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<Module>>
    where
        Key: std::borrow::Borrow<Q>,
    {
        self.modules.get(key)?.upgrade()
    }

    fn insert(&mut self, key: Key, module: &Arc<Module>) {
        if self.modules.len() >= self.look_at {
            self.modules.retain(|_, module| module.strong_count() > 0);
            self.look_at = LATEST.max(2 * self.modules.len());
        }
        self.modules.insert(key, Arc::downgrade(module));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compilation, ModuleCache};
    use super::*;

    fn bytes(number: usize) -> Vec<u8> {
        wat::parse_str(format!("(module (func (export \"canister_query q{number}\")))")).unwrap()
    }

    #[test]
    fn a_module_that_nobody_holds_is_freed_when_others_came_after_it() {
        let cache = ModuleCache::new(Compilation::Quick).unwrap();
        let module = |number: usize| cache.module(&bytes(number)).unwrap();
        let held = module(0);
        let freed = Arc::downgrade(&module(1));
        cache.assemble(&[[1; 32]], &bytes(1)).unwrap();
        assert!(Arc::ptr_eq(&module(0), &held) && freed.upgrade().is_some());
        for number in 2..3 * LATEST {
            module(number);
        }
        assert!(Arc::ptr_eq(&module(0), &held), "a canister holds it");
        assert!(freed.upgrade().is_none() && cache.assembled(&[[1; 32]]).is_none());
        assert!(Arc::ptr_eq(&module(2 * LATEST), &module(2 * LATEST)), "it is one of the latest");
    }
}
