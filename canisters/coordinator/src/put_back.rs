//! Whether this coordinator was put back from a snapshot: what it remembers is older than what is then, and canisters of its
//! jobs may long serve. It finds out, and does nothing until an operator lets it go on.
//!
//! Loading a snapshot takes the global timer away, and the library for timers does not know it: nothing wakes the
//! coordinator but a message or an upgrade. That finds that jobs were not looked at for long, and the platform is asked for
//! the coordinator's own history before one is.

use crate::management::{self, Change, Info};
use crate::{driver, money, replies, store};
use ic_cdk::api::{canister_self, time};
use std::cell::Cell;

/// While jobs work the watch is more frequent; after a longer sleep it is asked.
const LATE_NANOS: u64 = 25_000_000_000;

thread_local! {
    /// When jobs were looked at last.
    static LOOKED: Cell<Option<u64>> = const { Cell::new(None) };
    /// When the platform was asked last.
    static ASKED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Whether it is known that the coordinator was put back.
pub(crate) fn is_put_back() -> bool {
    store::config().put_back_nanos.is_some()
}

/// Whether jobs may go on. If nobody knows, the platform is asked, and `when_whole` called.
pub(crate) fn is_whole(when_whole: fn()) -> bool {
    let is_late = |at: Option<u64>| at.is_none_or(|at| time().saturating_sub(at) > LATE_NANOS);
    if !is_late(LOOKED.get()) {
        LOOKED.set(Some(time()));
        return true;
    }
    // A callback may trap: it is asked again then.
    if is_late(ASKED.get()) {
        ASKED.set(Some(time()));
        driver::in_message(money::for_all(ask(when_whole)));
    }
    false
}

/// An operator lets it go on, or it is new.
pub(crate) fn begin_anew() {
    store::set_put_back(None, time());
    LOOKED.set(Some(time()));
}

async fn ask(when_whole: fn()) {
    let info = match management::history(canister_self()).await {
        Ok(response) => replies::told::<Info>(response).ok(),
        Err(_) => None,
    };
    ASKED.set(None);
    // The next watch asks again.
    let Some(Info { recent_changes }) = info else { return };
    let whole_nanos = store::config().whole_nanos.unwrap_or_default();
    let loads = recent_changes.iter().filter(|change| matches!(change.details, Some(Change::Load {})));
    match loads.map(|change| change.timestamp_nanos).find(|at| *at > whole_nanos) {
        Some(loaded_nanos) => store::set_put_back(Some(loaded_nanos), whole_nanos),
        None => {
            begin_anew();
            when_whole();
        }
    }
}
