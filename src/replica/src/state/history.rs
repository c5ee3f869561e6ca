//! A canister's history (spec, "IC method canister_info").

use crate::costs::limits;
use candid::Principal;
use std::collections::VecDeque;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// Created.
    Creation {
        /// Its first controllers.
        controllers: Vec<Principal>,
        /// Hash of its environment variables, if it got any.
        environment_hash: Option<[u8; 32]>,
    },
    /// Code removed.
    CodeUninstall,
    /// Code installed.
    CodeDeployment(InstallMode, [u8; 32]),
    /// A snapshot loaded.
    LoadSnapshot {
        /// The canister that it belongs to, if that is another one.
        from: Option<Principal>,
        /// The snapshot.
        snapshot_id: Vec<u8>,
        /// Canister version at its taking.
        canister_version: u64,
        /// Nanoseconds since the epoch of its taking.
        taken_at_nanos: u64,
        /// Whether it came by `upload_canister_snapshot_metadata`.
        is_uploaded: bool,
    },
    /// Controllers changed to these.
    ControllersChange(Vec<Principal>),
}

/// How code was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstallMode {
    Install,
    Reinstall,
    Upgrade,
}

/// Who made a change, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Author {
    pub(crate) time_nanos: u64,
    /// User or canister.
    pub(crate) by: Principal,
    /// Version of the canister that made the change, if it told it.
    pub(crate) by_version: Option<u64>,
}

/// A change, when and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) time_nanos: u64,
    pub(crate) canister_version: u64,
    pub(crate) by: Principal,
    /// Version of the canister that made the change, if it told it.
    pub(crate) by_version: Option<u64>,
    /// Whether `by` is a canister.
    pub(crate) is_by_canister: bool,
    pub(crate) kind: ChangeKind,
}

/// The latest changes and the number of all.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Changes since the canister was created.
    pub(crate) total: u64,
    /// The latest [`limits::HISTORY_CHANGES`], oldest first.
    pub(crate) changes: VecDeque<Change>,
}

impl History {
    /// Records a change.
    pub(crate) fn push(&mut self, change: Change) {
        self.total += 1;
        self.changes.push_back(change);
        if self.changes.len() > limits::HISTORY_CHANGES {
            self.changes.pop_front();
        }
    }

    /// Forgets the changes; their number stays.
    pub(crate) fn clear(&mut self) {
        self.changes.clear();
    }

    /// Bytes that the platform counts for it (measured: 350 for a creation with one
    /// controller and an installation).
    pub(crate) fn size_bytes(&self) -> u64 {
        /// Bytes of a change without what it lists.
        const CHANGE_BYTES: u64 = 160;
        self.changes
            .iter()
            .map(|change| match &change.kind {
                ChangeKind::Creation { controllers, .. } | ChangeKind::ControllersChange(controllers) => {
                    CHANGE_BYTES + 30 * controllers.len() as u64
                }
                _ => CHANGE_BYTES,
            })
            .sum()
    }
}
