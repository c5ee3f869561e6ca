//! Jobs that an operator let pass where they wait for one.

use super::{Memory, Set, memory};
use decant_api::JobId;
use ic_stable_structures::StableBTreeMap;
use std::cell::RefCell;

thread_local! {
    static PASSES: RefCell<Set<JobId>> = RefCell::new(StableBTreeMap::<JobId, (), Memory>::init(memory(27)));
}

/// A job may pass.
pub(crate) fn let_pass(id: JobId) {
    PASSES.with_borrow_mut(|passes| passes.insert(id, ()));
}

/// Whether it may.
pub(crate) fn may_pass(id: JobId) -> bool {
    PASSES.with_borrow(|passes| passes.contains_key(&id))
}

/// It has ended.
pub(super) fn forget_pass(id: JobId) {
    PASSES.with_borrow_mut(|passes| passes.remove(&id));
}
