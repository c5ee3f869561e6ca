//! What a job asks its driver to call.

use candid::Principal;

use crate::{Digest, Settings, SnapshotId, TimeNanos, Walk};

/// How a call travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Bounded wait: the answer may be that nobody knows. For whatever is safe to repeat.
    BestEffort,
    /// Unbounded wait: for cycles, installations, and whatever the management canister changes.
    Guaranteed,
}

/// Which of the plan's modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleRole {
    /// The compact build, with the plan's `init` argument, onto an empty canister (mode `install`).
    Compact,
    /// The tombstone, over what is there (mode `reinstall`).
    Tombstone,
}

/// The snapshot that was saved, and the one that is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPair {
    /// The canister that was saved.
    pub source: Principal,
    /// Its snapshot.
    pub saved: SnapshotId,
    /// The canister that gets the compact image.
    pub image: Principal,
    /// Its snapshot.
    pub uploaded: SnapshotId,
}

/// A call. The job that it is for is an argument of every call to the kit or to an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// `canister_status` → [`Value::Canister`](crate::Value::Canister) or [`Value::Gone`](crate::Value::Gone).
    CanisterStatus {
        /// Of which.
        canister: Principal,
    },
    /// `decant_status` → [`Value::Kit`](crate::Value::Kit) or [`Value::Gone`](crate::Value::Gone).
    KitStatus {
        /// Of which.
        canister: Principal,
    },
    /// `update_settings`: copies these, and drops what they don't name.
    UpdateSettings {
        /// Of which.
        canister: Principal,
        /// To what.
        settings: Settings,
    },
    /// `update_settings`: the coordinator as the only controller, all others at their defaults.
    ResetSettings {
        /// Of which.
        canister: Principal,
    },
    /// `install_chunked_code`.
    Install {
        /// Onto which.
        canister: Principal,
        /// Which module; decides the mode.
        role: ModuleRole,
        /// SHA-256 of the module.
        module_hash: Digest,
    },
    /// `uninstall_code`.
    Uninstall {
        /// Of which.
        canister: Principal,
    },
    /// `stop_canister`; a time-out is transient with `StopTimedOut`.
    Stop {
        /// Which.
        canister: Principal,
    },
    /// `start_canister`.
    Start {
        /// Which.
        canister: Principal,
    },
    /// `delete_canister`.
    Delete {
        /// Which.
        canister: Principal,
    },
    /// `decant_import_begin`.
    ImportBegin {
        /// At which.
        target: Principal,
        /// The source.
        source: Principal,
        /// Pages of 64 KiB in a bucket.
        bucket_pages: u16,
    },
    /// `decant_offer`.
    Offer {
        /// Which.
        source: Principal,
        /// Who may read what it holds while it serves.
        reader: Principal,
    },
    /// `decant_import_precopy` → [`Value::Pulled`](crate::Value::Pulled).
    Precopy {
        /// Into which.
        target: Principal,
        /// Most batches of frames.
        max_batches: u32,
    },
    /// `decant_import_pull` → [`Value::Pulled`](crate::Value::Pulled).
    Pull {
        /// Into which.
        target: Principal,
        /// The sealed root.
        root: Digest,
        /// Most batches of frames.
        max_batches: u32,
    },
    /// `decant_import_verify` → [`Value::Working`](crate::Value::Working) or [`Value::Hashed`](crate::Value::Hashed).
    Verify {
        /// Which.
        target: Principal,
    },
    /// `decant_activate`.
    Activate {
        /// Which.
        target: Principal,
    },
    /// `decant_freeze`.
    Freeze {
        /// Which.
        source: Principal,
        /// Who may read its frames.
        reader: Principal,
    },
    /// `decant_seal` → [`Value::Working`](crate::Value::Working) or [`Value::Hashed`](crate::Value::Hashed).
    Seal {
        /// Which.
        source: Principal,
    },
    /// `decant_recheck` → [`Value::Working`](crate::Value::Working) or [`Value::Hashed`](crate::Value::Hashed).
    Recheck {
        /// Which.
        source: Principal,
    },
    /// `decant_thaw`.
    Thaw {
        /// Which.
        source: Principal,
    },
    /// `decant_retire`.
    Retire {
        /// Which.
        source: Principal,
        /// Where the state is.
        to: Principal,
    },
    /// `decant_drain` → [`Value::Drained`](crate::Value::Drained).
    Drain {
        /// Of which.
        source: Principal,
        /// Who gets the cycles.
        to: Principal,
        /// Cycles that stay.
        keep_cycles: u128,
    },
    /// `list_canister_snapshots` → [`Value::Snapshots`](crate::Value::Snapshots).
    ListSnapshots {
        /// Of which.
        canister: Principal,
    },
    /// `take_canister_snapshot` → [`Value::Snapshot`](crate::Value::Snapshot).
    TakeSnapshot {
        /// Of which.
        canister: Principal,
        /// The one whose place it takes.
        replaced: Option<SnapshotId>,
    },
    /// `read_canister_snapshot_data`: the header page → [`Value::Image`](crate::Value::Image).
    ReadImage {
        /// Of which.
        canister: Principal,
        /// Which snapshot.
        snapshot: SnapshotId,
    },
    /// `read_canister_snapshot_data`: the module, unless it is known, to be kept in the chunk store →
    /// [`Value::Module`](crate::Value::Module).
    KeepModule {
        /// Of which.
        canister: Principal,
        /// Which snapshot.
        snapshot: SnapshotId,
        /// SHA-256 that it must have.
        module_hash: Digest,
    },
    /// `install_chunked_code`, mode `upgrade`, with the argument that the plan has for that module.
    Upgrade {
        /// Which.
        canister: Principal,
        /// SHA-256 of the module that it ran.
        module_hash: Digest,
        /// Whether the heap that it has now must not run.
        skips_pre_upgrade: bool,
    },
    /// `upload_canister_snapshot_metadata`: an empty module and an empty heap, certified data and timer as
    /// saved → [`Value::Snapshot`](crate::Value::Snapshot).
    UploadMetadata {
        /// Whose snapshot.
        canister: Principal,
        /// Which.
        saved: SnapshotId,
        /// To which canister.
        to: Principal,
        /// Pages of its stable memory.
        pages: u64,
    },
    /// `read_canister_snapshot_data` and `upload_canister_snapshot_data` → [`Value::Uploaded`](crate::Value::Uploaded).
    UploadPages {
        /// From where to where.
        pair: SnapshotPair,
        /// How far the saved image was read.
        walk: Walk,
    },
    /// `read_canister_snapshot_data` of what was uploaded → [`Value::Compared`](crate::Value::Compared).
    ComparePages {
        /// Which two.
        pair: SnapshotPair,
        /// How far it was read back.
        walk: Walk,
    },
    /// `upload_canister_snapshot_metadata`: all as in a snapshot of the same canister, with the global timer armed →
    /// [`Value::Snapshot`](crate::Value::Snapshot).
    CopyMetadata {
        /// Of which.
        canister: Principal,
        /// Which snapshot.
        base: SnapshotId,
        /// When the timer is due.
        timer_nanos: TimeNanos,
    },
    /// `read_canister_snapshot_data` and `upload_canister_snapshot_data`: module, heap, stable memory and chunk store,
    /// read back and compared → [`Value::Uploaded`](crate::Value::Uploaded).
    CopyPages {
        /// Of which.
        canister: Principal,
        /// From which snapshot.
        base: SnapshotId,
        /// To which.
        copy: SnapshotId,
        /// How far.
        walk: Walk,
    },
    /// `load_canister_snapshot`.
    LoadSnapshot {
        /// Of and onto which.
        canister: Principal,
        /// Which snapshot.
        snapshot: SnapshotId,
    },
    /// `delete_canister_snapshot`.
    DeleteSnapshot {
        /// Of which.
        canister: Principal,
        /// Which snapshot.
        snapshot: SnapshotId,
    },
    /// `icrc1_balance_of` of the plan's ledgers and `canister_info` of the canisters that it names →
    /// [`Value::Assets`](crate::Value::Assets).
    CheckAssets {
        /// Of which.
        canister: Principal,
    },
    /// `decant_swap`.
    Swap {
        /// In which index.
        index: Principal,
        /// What the route names.
        from: Principal,
        /// What it will name.
        to: Principal,
    },
}

impl Effect {
    /// How it travels.
    ///
    /// Two canisters' calls arrive in the order in which they were sent, so a call of unknown outcome takes
    /// effect, if ever, before the next one to the same canister: an observation, or an undo, finds it.
    pub fn delivery(&self) -> Delivery {
        match self {
            Self::CanisterStatus { .. }
            | Self::KitStatus { .. }
            | Self::ImportBegin { .. }
            | Self::Offer { .. }
            | Self::Precopy { .. }
            | Self::Pull { .. }
            | Self::Verify { .. }
            | Self::Activate { .. }
            | Self::Freeze { .. }
            | Self::Seal { .. }
            | Self::Recheck { .. }
            | Self::Thaw { .. }
            | Self::Retire { .. }
            | Self::ListSnapshots { .. }
            | Self::ReadImage { .. }
            | Self::KeepModule { .. }
            | Self::UploadPages { .. }
            | Self::ComparePages { .. }
            | Self::CopyPages { .. }
            | Self::CheckAssets { .. }
            | Self::Swap { .. } => Delivery::BestEffort,
            Self::UpdateSettings { .. }
            | Self::ResetSettings { .. }
            | Self::Install { .. }
            | Self::Uninstall { .. }
            | Self::Stop { .. }
            | Self::Start { .. }
            | Self::Delete { .. }
            | Self::TakeSnapshot { .. }
            | Self::Upgrade { .. }
            | Self::UploadMetadata { .. }
            | Self::CopyMetadata { .. }
            | Self::LoadSnapshot { .. }
            | Self::DeleteSnapshot { .. }
            | Self::Drain { .. } => Delivery::Guaranteed,
        }
    }

    /// The canister that the message goes to.
    pub fn callee(&self) -> Principal {
        match self {
            Self::CanisterStatus { .. }
            | Self::UpdateSettings { .. }
            | Self::ResetSettings { .. }
            | Self::Install { .. }
            | Self::Uninstall { .. }
            | Self::Stop { .. }
            | Self::Start { .. }
            | Self::ListSnapshots { .. }
            | Self::TakeSnapshot { .. }
            | Self::ReadImage { .. }
            | Self::KeepModule { .. }
            | Self::Upgrade { .. }
            | Self::UploadMetadata { .. }
            | Self::UploadPages { .. }
            | Self::ComparePages { .. }
            | Self::CopyMetadata { .. }
            | Self::CopyPages { .. }
            | Self::LoadSnapshot { .. }
            | Self::DeleteSnapshot { .. }
            | Self::CheckAssets { .. }
            | Self::Delete { .. } => Principal::management_canister(),
            Self::KitStatus { .. }
            | Self::ImportBegin { .. }
            | Self::Offer { .. }
            | Self::Precopy { .. }
            | Self::Pull { .. }
            | Self::Verify { .. }
            | Self::Activate { .. }
            | Self::Freeze { .. }
            | Self::Seal { .. }
            | Self::Recheck { .. }
            | Self::Thaw { .. }
            | Self::Retire { .. }
            | Self::Drain { .. }
            | Self::Swap { .. } => self.subject(),
        }
    }

    /// The canister that it is about.
    pub fn subject(&self) -> Principal {
        match self {
            Self::CanisterStatus { canister }
            | Self::KitStatus { canister }
            | Self::UpdateSettings { canister, .. }
            | Self::ResetSettings { canister }
            | Self::Install { canister, .. }
            | Self::Uninstall { canister }
            | Self::Stop { canister }
            | Self::Start { canister }
            | Self::ListSnapshots { canister }
            | Self::TakeSnapshot { canister, .. }
            | Self::ReadImage { canister, .. }
            | Self::KeepModule { canister, .. }
            | Self::Upgrade { canister, .. }
            | Self::CopyMetadata { canister, .. }
            | Self::CopyPages { canister, .. }
            | Self::LoadSnapshot { canister, .. }
            | Self::DeleteSnapshot { canister, .. }
            | Self::CheckAssets { canister }
            | Self::Delete { canister } => *canister,
            Self::UploadMetadata { to, .. } => *to,
            Self::UploadPages { pair, .. } | Self::ComparePages { pair, .. } => pair.image,
            Self::ImportBegin { target, .. }
            | Self::Precopy { target, .. }
            | Self::Pull { target, .. }
            | Self::Verify { target }
            | Self::Activate { target } => *target,
            Self::Offer { source, .. }
            | Self::Freeze { source, .. }
            | Self::Seal { source }
            | Self::Recheck { source }
            | Self::Thaw { source }
            | Self::Retire { source, .. }
            | Self::Drain { source, .. } => *source,
            Self::Swap { index, .. } => *index,
        }
    }

    /// The method, as it is called.
    pub fn method(&self) -> &'static str {
        match self {
            Self::CanisterStatus { .. } => "canister_status",
            Self::KitStatus { .. } => "decant_status",
            Self::UpdateSettings { .. } | Self::ResetSettings { .. } => "update_settings",
            Self::Install { .. } => "install_chunked_code",
            Self::Uninstall { .. } => "uninstall_code",
            Self::Stop { .. } => "stop_canister",
            Self::Start { .. } => "start_canister",
            Self::Delete { .. } => "delete_canister",
            Self::ImportBegin { .. } => "decant_import_begin",
            Self::Offer { .. } => "decant_offer",
            Self::Precopy { .. } => "decant_import_precopy",
            Self::Pull { .. } => "decant_import_pull",
            Self::Verify { .. } => "decant_import_verify",
            Self::Activate { .. } => "decant_activate",
            Self::Freeze { .. } => "decant_freeze",
            Self::Seal { .. } => "decant_seal",
            Self::Recheck { .. } => "decant_recheck",
            Self::Thaw { .. } => "decant_thaw",
            Self::Retire { .. } => "decant_retire",
            Self::Drain { .. } => "decant_drain",
            Self::Swap { .. } => "decant_swap",
            Self::ListSnapshots { .. } => "list_canister_snapshots",
            Self::TakeSnapshot { .. } => "take_canister_snapshot",
            Self::ReadImage { .. } | Self::KeepModule { .. } | Self::ComparePages { .. } => {
                "read_canister_snapshot_data"
            }
            Self::Upgrade { .. } => "install_chunked_code",
            Self::UploadMetadata { .. } | Self::CopyMetadata { .. } => "upload_canister_snapshot_metadata",
            Self::UploadPages { .. } | Self::CopyPages { .. } => "upload_canister_snapshot_data",
            Self::LoadSnapshot { .. } => "load_canister_snapshot",
            Self::DeleteSnapshot { .. } => "delete_canister_snapshot",
            Self::CheckAssets { .. } => "icrc1_balance_of",
        }
    }
}
