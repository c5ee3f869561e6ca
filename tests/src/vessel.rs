//! What the scenarios of vessels share: the module, driven by hand as a coordinator drives it.

use crate::repack::{PAGE_BYTES, manage, manage_at, nothing, wasm};
use candid::{CandidType, Principal};
use decant_api::KitError;
use decant_api::source::{JobArgs, KitStatus, Seal, SealProgress};
use decant_api::vessel::{PourArgs, PourProgress, VesselArgs, VesselRole};
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use pocket_ic::{CanisterSettings, ErrorCode};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::time::Duration;

/// The job that vessels are installed for.
pub const JOB: u64 = 7;

/// The argument of a vessel.
pub fn argument(role: VesselRole) -> Vec<u8> {
    candid::encode_one(VesselArgs { job: JOB, role, manager_page: None }).expect("the argument encodes")
}

/// Upgrades a canister to the vessel as a coordinator does: stopped, then started.
pub fn undress(world: &World, canister: Principal, role: VesselRole) {
    let operator = Some(world.operator);
    world.pic.stop_canister(canister, operator).expect("it stops");
    upgrade(world, canister, &wasm("vessel"), argument(role));
    world.pic.start_canister(canister, operator).expect("it starts");
}

/// Upgrades a canister back to its module.
pub fn dress(world: &World, canister: Principal, module: &[u8]) {
    let operator = Some(world.operator);
    world.pic.stop_canister(canister, operator).expect("it stops");
    upgrade(world, canister, module, nothing());
    world.pic.start_canister(canister, operator).expect("it starts");
}

/// Upgrades a canister, as soon as the platform's limit for what it installed before lets it.
pub fn upgrade(world: &World, canister: Principal, module: &[u8], argument: Vec<u8>) {
    for _ in 0..100 {
        let operator = Some(world.operator);
        match world.pic.upgrade_canister(canister, module.to_vec(), argument.clone(), operator) {
            Ok(()) => return,
            Err(error) if error.error_code == ErrorCode::CanisterInstallCodeRateLimited => {
                world.pic.advance_time(Duration::from_secs(2));
                world.pic.tick();
            }
            Err(error) => panic!("{canister} is not upgraded: {error}"),
        }
    }
    panic!("{canister} is rate limited for ever");
}

/// Asks a vessel as the coordinator of its job.
pub fn ask<R: CandidType + for<'a> Deserialize<'a>>(
    world: &World,
    vessel: Principal,
    method: &str,
    args: impl CandidType,
) -> Result<R, KitError> {
    update(&world.pic, vessel, world.operator, method, (args,)).expect("the vessel answers")
}

/// Seals, slice by slice, or verifies.
pub fn sealed(world: &World, vessel: Principal, method: &str) -> Seal {
    loop {
        match ask(world, vessel, method, JobArgs { job: JOB }).expect("it hashes") {
            SealProgress::Working { .. } => {}
            SealProgress::Done(seal) => return seal,
        }
    }
}

/// How it stands.
pub fn kit_status(world: &World, vessel: Principal) -> KitStatus {
    query(&world.pic, vessel, "decant_status", ()).expect("the vessel answers")
}

/// Pours so many slices at most.
pub fn pour(
    world: &World,
    vessel: Principal,
    snapshot: &[u8],
    max_calls: u32,
) -> Result<PourProgress, KitError> {
    let snapshot = ByteBuf::from(snapshot.to_vec());
    ask(world, vessel, "decant_pour", PourArgs { job: JOB, snapshot, bucket_pages: 1, max_calls })
}

/// Who controls a canister besides.
pub fn set_controllers(world: &World, canister: Principal, controllers: Vec<Principal>) {
    let settings = CanisterSettings { controllers: Some(controllers), ..CanisterSettings::default() };
    world
        .pic
        .update_canister_settings(canister, Some(world.operator), settings)
        .expect("the settings are changed");
}

/// A snapshot of zeros of so many pages, below a module that does nothing.
pub fn upload_zeros(world: &World, canister: Principal, pages: u64) -> Vec<u8> {
    #[derive(CandidType)]
    struct Metadata {
        canister_id: Principal,
        wasm_module_size: u64,
        globals: Vec<u64>,
        wasm_memory_size: u64,
        stable_memory_size: u64,
        certified_data: ByteBuf,
    }
    #[derive(CandidType, Deserialize)]
    struct Made {
        snapshot_id: ByteBuf,
    }
    #[derive(CandidType)]
    struct Data {
        canister_id: Principal,
        snapshot_id: ByteBuf,
        kind: Kind,
        chunk: ByteBuf,
    }
    #[derive(CandidType, Deserialize)]
    enum Kind {
        #[serde(rename = "wasm_module")]
        Module { offset: u64 },
    }
    let empty_module = b"\0asm\x01\0\0\0";
    let metadata = Metadata {
        canister_id: canister,
        wasm_module_size: empty_module.len() as u64,
        globals: Vec::new(),
        wasm_memory_size: 0,
        stable_memory_size: pages * PAGE_BYTES,
        certified_data: ByteBuf::new(),
    };
    let made: Made = manage(world, canister, "upload_canister_snapshot_metadata", &metadata);
    let data = Data {
        canister_id: canister,
        snapshot_id: made.snapshot_id.clone(),
        kind: Kind::Module { offset: 0 },
        chunk: ByteBuf::from(empty_module.to_vec()),
    };
    let (pic, operator) = (&world.pic, world.operator);
    manage_at::<()>(pic, operator, canister, "upload_canister_snapshot_data", &data);
    made.snapshot_id.into_vec()
}
