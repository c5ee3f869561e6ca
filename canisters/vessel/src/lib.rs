//! The vessel: the kit without a dapp. A canister is upgraded to it and back from it, and sees one ordinary upgrade: its
//! `pre_upgrade` once, then its `post_upgrade` once. While it is there the state lies in stable memory and is read,
//! hashed, poured and checked; no code of the dapp runs, whoever starts the canister.
//!
//! It obeys the coordinator that installed it, for the job that its argument names. It writes to stable memory only as a
//! target, and sets no timer. What it knows is on the heap, and comes with the argument at an upgrade too.

use candid::Principal;
use decant_api::KitError;
use decant_api::source::{
    Batch, DigestPage, DigestsArgs, DrainArgs, FramesArgs, JobArgs, KitStatus, OpenArgs, Opening, RetireArgs,
    SealProgress,
};
use decant_api::target::{PullArgs, PullProgress};
use decant_api::vessel::{PourArgs, PourProgress, VesselArgs};
use decant_kit::{source, vessel};
use ic_cdk::{init, inspect_message, post_upgrade, query, update};

#[cfg(test)]
mod tests;

#[init]
fn init(args: VesselArgs) {
    vessel::born(args);
}

#[post_upgrade]
fn post_upgrade(args: VesselArgs) {
    vessel::born(args);
}

#[inspect_message]
fn inspect() {
    vessel::inspect();
}

/// How it stands: for everybody.
#[query]
fn decant_status() -> KitStatus {
    source::status()
}

/// Where the state is now: for everybody, once it has moved.
#[query]
fn decant_moved_to() -> Principal {
    vessel::moved_to()
}

/// Hashes what is in stable memory, a slice a call.
#[update]
fn decant_seal(args: JobArgs) -> Result<SealProgress, KitError> {
    vessel::seal(args)
}

/// Writes the next slices of the compact image into a snapshot of this canister.
#[update]
async fn decant_pour(args: PourArgs) -> Result<PourProgress, KitError> {
    vessel::pour(args).await
}

/// All that a reader needs first.
#[update]
fn decant_open(args: OpenArgs) -> Result<Opening, KitError> {
    source::open(args)
}

/// Digests of chunks, as many as fit a reply.
#[update]
fn decant_digests(args: DigestsArgs) -> Result<DigestPage, KitError> {
    source::digests(args)
}

/// Frames of wanted chunks, as many as fit a reply.
#[update]
fn decant_frames(args: FramesArgs) -> Result<Batch, KitError> {
    source::frames(args)
}

/// Looks at the state once more; hashes it once it has moved.
#[update]
fn decant_recheck(args: JobArgs) -> Result<SealProgress, KitError> {
    vessel::recheck(args)
}

/// Changes nothing: it gives way to the dapp's module, it does not open.
#[update]
fn decant_thaw(args: JobArgs) -> Result<KitStatus, KitError> {
    vessel::thaw(args)
}

/// Says for good where the state is now: the registered reader.
#[update]
fn decant_retire(args: RetireArgs) -> Result<KitStatus, KitError> {
    source::retire(args)
}

/// Sends the cycles away, once the state has moved.
#[update]
async fn decant_drain(args: DrainArgs) -> Result<u128, KitError> {
    vessel::drain(args).await
}

/// Reads from the source and writes the image.
#[update]
async fn decant_import_pull(args: PullArgs) -> Result<PullProgress, KitError> {
    vessel::pull(args).await
}

/// Compares what was written with what was sealed.
#[update]
fn decant_import_verify(args: JobArgs) -> Result<SealProgress, KitError> {
    vessel::verify(args)
}

/// Says that the state is whole. The fence stays closed.
#[update]
fn decant_activate(args: JobArgs) -> Result<KitStatus, KitError> {
    vessel::activate(args)
}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
