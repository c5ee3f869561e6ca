//! What a job asks its driver to call.

use candid::Principal;

use crate::{Digest, Settings, SnapshotId, TimeNanos};

/// How a call travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Bounded wait: the answer may be that nobody knows. For whatever is looked after, or safe to repeat.
    BestEffort,
    /// Unbounded wait: for what makes a snapshot, which a look can hardly tell from somebody else's. The platform does it at
    /// once: no code of the canister runs.
    Guaranteed,
}

/// Which of the plan's modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleRole {
    /// The compact build, with the plan's `init` argument, onto an empty canister (mode `install`).
    Compact,
    /// The vessel, as it stays, or a tombstone of an earlier plan, over what is there (mode `reinstall`).
    Tombstone,
}

/// What a vessel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VesselRole {
    /// Over a dapp's module, or an empty one (mode `upgrade`): the state stays where it is.
    Source {
        /// Who may read it.
        reader: Principal,
    },
    /// Onto an empty canister (mode `install`): it pulls.
    Target {
        /// From which canister.
        source: Principal,
        /// Pages of 64 KiB in a bucket.
        bucket_pages: u16,
    },
}

/// A call. The job that it is for is an argument of every call to the kit or to an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// `canister_status` → [`Value::Canister`](crate::Value::Canister) or [`Value::Gone`](crate::Value::Gone).
    CanisterStatus {
        /// Of which.
        canister: Principal,
    },
    /// `canister_status` and `canister_info` → [`Value::Canister`](crate::Value::Canister), with what somebody else did to
    /// its code, or [`Value::Gone`](crate::Value::Gone).
    Look {
        /// At which.
        canister: Principal,
        /// Changes after that.
        since_nanos: TimeNanos,
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
    /// `stop_canister`; while calls are open nobody knows, with `StopTimedOut`.
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
    /// `decant_reinstate`: a retired source is sealed again.
    Reinstate {
        /// Which.
        source: Principal,
        /// Where its state had moved.
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
    /// The same, and the metadata of those that are not known → [`Value::Found`](crate::Value::Found).
    FindSnapshots {
        /// Of which.
        canister: Principal,
        /// Those that are.
        known: Vec<SnapshotId>,
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
    /// No call: what the coordinator knows of a module, and of its layout at this size →
    /// [`Value::Known`](crate::Value::Known).
    Recall {
        /// Of which canister.
        canister: Principal,
        /// SHA-256 of the module.
        module_hash: Digest,
        /// Pages of its stable memory.
        stable_pages: u64,
    },
    /// `read_canister_snapshot_data`: the module, unless it is known, to be kept in the chunk store →
    /// [`Value::Known`](crate::Value::Known).
    KeepModule {
        /// Of which.
        canister: Principal,
        /// Which snapshot.
        snapshot: SnapshotId,
        /// SHA-256 that it must have.
        module_hash: Digest,
    },
    /// `install_chunked_code` of the vessel; the role decides the mode.
    InstallVessel {
        /// Onto which.
        canister: Principal,
        /// What for.
        role: VesselRole,
        /// SHA-256 of the vessel.
        vessel_hash: Digest,
    },
    /// `install_chunked_code`, mode `upgrade`, with the argument that the plan has for that module.
    Upgrade {
        /// Which.
        canister: Principal,
        /// SHA-256 of the module that it ran.
        module_hash: Digest,
    },
    /// `update_settings`: these controllers, and nothing else.
    SetControllers {
        /// Of which.
        canister: Principal,
        /// To what.
        controllers: Vec<Principal>,
    },
    /// `update_settings`: the freezing threshold, and nothing else.
    SetFreezingThreshold {
        /// Of which.
        canister: Principal,
        /// To how many seconds.
        seconds: u64,
    },
    /// `decant_pour` without a page: what a vessel holds, and what it would be in these buckets →
    /// [`Value::Image`](crate::Value::Image).
    Measure {
        /// Which.
        source: Principal,
        /// Pages of 64 KiB in a bucket.
        bucket_pages: u16,
    },
    /// `upload_canister_snapshot_metadata`: an empty module and an empty heap, certified data and timer as
    /// saved → [`Value::Snapshot`](crate::Value::Snapshot).
    UploadMetadata {
        /// Of which canister.
        canister: Principal,
        /// What was saved.
        saved: SnapshotId,
        /// Pages of its stable memory.
        pages: u64,
    },
    /// `upload_canister_snapshot_data`: the empty module. Refused if the saved snapshot has a chunk store.
    UploadRest {
        /// Of which canister.
        canister: Principal,
        /// What was saved.
        saved: SnapshotId,
        /// To which snapshot.
        uploaded: SnapshotId,
    },
    /// `decant_pour` → [`Value::Poured`](crate::Value::Poured).
    Pour {
        /// Which vessel.
        source: Principal,
        /// Into which snapshot of its own canister.
        snapshot: SnapshotId,
        /// Pages of 64 KiB in a bucket.
        bucket_pages: u16,
        /// Most slices.
        max_calls: u32,
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

/// Where a call goes, and what for.
enum Way {
    /// To the canister that it is about: its kit, or its routes.
    Canister,
    /// To the management canister.
    Platform,
    /// There too; what a lost answer leaves is hard to tell from what somebody else made.
    MakesSnapshot,
}

impl Effect {
    /// How it travels.
    ///
    /// Two canisters' calls arrive in the order in which they were sent, so a call of unknown outcome takes
    /// effect, if ever, before the next one to the same canister: an observation, or an undo, finds it.
    pub fn delivery(&self) -> Delivery {
        match self.way() {
            Way::MakesSnapshot => Delivery::Guaranteed,
            // A source that never closes its calls, or installs for minutes, must not hold up whoever stops the coordinator.
            Way::Platform | Way::Canister => Delivery::BestEffort,
        }
    }

    /// The canister that the message goes to.
    pub fn callee(&self) -> Principal {
        match self.way() {
            Way::Canister => self.subject(),
            Way::Platform | Way::MakesSnapshot => Principal::management_canister(),
        }
    }

    fn way(&self) -> Way {
        match self {
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
            | Self::Reinstate { .. }
            | Self::Drain { .. }
            | Self::Measure { .. }
            | Self::Pour { .. }
            | Self::Swap { .. } => Way::Canister,
            Self::TakeSnapshot { .. } | Self::UploadMetadata { .. } => Way::MakesSnapshot,
            Self::CanisterStatus { .. }
            | Self::Look { .. }
            | Self::UpdateSettings { .. }
            | Self::ResetSettings { .. }
            | Self::Install { .. }
            | Self::Uninstall { .. }
            | Self::Stop { .. }
            | Self::Start { .. }
            | Self::Delete { .. }
            | Self::ListSnapshots { .. }
            | Self::FindSnapshots { .. }
            | Self::ReadImage { .. }
            | Self::Recall { .. }
            | Self::KeepModule { .. }
            | Self::InstallVessel { .. }
            | Self::Upgrade { .. }
            | Self::SetControllers { .. }
            | Self::SetFreezingThreshold { .. }
            | Self::UploadRest { .. }
            | Self::LoadSnapshot { .. }
            | Self::DeleteSnapshot { .. }
            | Self::CheckAssets { .. } => Way::Platform,
        }
    }

    /// The canister that it is about.
    pub fn subject(&self) -> Principal {
        match self {
            Self::CanisterStatus { canister }
            | Self::Look { canister, .. }
            | Self::KitStatus { canister }
            | Self::UpdateSettings { canister, .. }
            | Self::ResetSettings { canister }
            | Self::SetControllers { canister, .. }
            | Self::SetFreezingThreshold { canister, .. }
            | Self::Install { canister, .. }
            | Self::InstallVessel { canister, .. }
            | Self::Uninstall { canister }
            | Self::Stop { canister }
            | Self::Start { canister }
            | Self::ListSnapshots { canister }
            | Self::FindSnapshots { canister, .. }
            | Self::TakeSnapshot { canister, .. }
            | Self::ReadImage { canister, .. }
            | Self::Recall { canister, .. }
            | Self::KeepModule { canister, .. }
            | Self::Upgrade { canister, .. }
            | Self::UploadMetadata { canister, .. }
            | Self::UploadRest { canister, .. }
            | Self::LoadSnapshot { canister, .. }
            | Self::DeleteSnapshot { canister, .. }
            | Self::CheckAssets { canister }
            | Self::Delete { canister } => *canister,
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
            | Self::Reinstate { source, .. }
            | Self::Measure { source, .. }
            | Self::Pour { source, .. }
            | Self::Drain { source, .. } => *source,
            Self::Swap { index, .. } => *index,
        }
    }

    /// The method, as it is called.
    pub fn method(&self) -> &'static str {
        match self {
            Self::CanisterStatus { .. } | Self::Look { .. } => "canister_status",
            Self::KitStatus { .. } => "decant_status",
            Self::UpdateSettings { .. }
            | Self::ResetSettings { .. }
            | Self::SetControllers { .. }
            | Self::SetFreezingThreshold { .. } => "update_settings",
            Self::Install { .. } | Self::InstallVessel { .. } | Self::Upgrade { .. } => {
                "install_chunked_code"
            }
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
            Self::Reinstate { .. } => "decant_reinstate",
            Self::Drain { .. } => "decant_drain",
            Self::Swap { .. } => "decant_swap",
            Self::Measure { .. } | Self::Pour { .. } => "decant_pour",
            Self::ListSnapshots { .. } | Self::FindSnapshots { .. } => "list_canister_snapshots",
            Self::TakeSnapshot { .. } => "take_canister_snapshot",
            Self::Recall { .. } => "nothing",
            Self::ReadImage { .. } | Self::KeepModule { .. } => "read_canister_snapshot_data",
            Self::UploadMetadata { .. } => "upload_canister_snapshot_metadata",
            Self::UploadRest { .. } => "upload_canister_snapshot_data",
            Self::LoadSnapshot { .. } => "load_canister_snapshot",
            Self::DeleteSnapshot { .. } => "delete_canister_snapshot",
            Self::CheckAssets { .. } => "icrc1_balance_of",
        }
    }
}
