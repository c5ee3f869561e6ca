//! One canister that is moved by hand, call by call, so that what each costs while it is fenced can be told.

use crate::{fleet, modules};
use candid::{CandidType, Principal};
use decant_api::KitError;
use decant_api::source::{FreezeArgs, JobArgs, KitStatus, OfferArgs, Seal, SealProgress};
use decant_api::target::{BeginArgs, PrecopyPullArgs, PullArgs, PullProgress};
use decant_cli::rehearsal::calls::update;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Generation, Options};

/// One canister with stable structures of that size.
pub fn options(state_kib: u32, precopy: bool) -> Options {
    Options { canisters: 1, state_kib, precopy, generation: Generation::Structures, ..Options::default() }
}

/// What it took.
pub struct Moved {
    /// Bytes of state.
    pub state_bytes: u64,
    /// Bytes over the wire after the seal.
    pub wire_bytes: u64,
    /// Cycles that source and target burned while the source was fenced, by call.
    pub burned: Vec<(&'static str, u128)>,
}

/// Moves one canister as a coordinator does, whose user posts just before the freeze.
///
/// # Panics
/// If a call is refused, or something is lost.
pub fn moved(state_kib: u32, precopy: bool, posts: u32) -> Moved {
    let (world, mut users) = fleet(&options(state_kib, precopy), &modules().kit);
    let (pic, source) = (&world.pic, users.users[0].original);
    let target = pic.create_canister_with_settings(Some(world.operator), None);
    pic.add_cycles(target, 100_000_000_000_000);
    let no_arg = candid::encode_args(()).expect("encodes");
    pic.install_canister(target, modules().kit.clone(), no_arg, Some(world.operator));
    let mut burned = Vec::new();
    fn call<R: CandidType + serde::de::DeserializeOwned>(
        world: &World,
        to: Principal,
        method: &str,
        args: impl CandidType,
    ) -> R {
        let answer: Result<R, KitError> =
            update(&world.pic, to, world.operator, method, (args,)).expect("it answers");
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }
    let job = 7;
    let _: KitStatus =
        call(&world, target, "decant_import_begin", BeginArgs { job, source, bucket_pages: 1 });
    let mut wire_before = 0;
    if precopy {
        let _: KitStatus = call(&world, source, "decant_offer", OfferArgs { job, reader: target });
        loop {
            let args = PrecopyPullArgs { job, max_batches: 16 };
            let progress: PullProgress = call(&world, target, "decant_import_precopy", args);
            wire_before = progress.wire_bytes;
            if progress.is_complete {
                break;
            }
        }
    }
    for _ in 0..posts {
        let text = "written while it is copied".repeat(2_000);
        let _: u64 = update(pic, source, world.operator, "post", (text.clone(),)).expect("it serves");
        users.users[0].model.took_post(text);
    }
    let mut metered = |name: &'static str, work: &mut dyn FnMut()| {
        let balance = || pic.cycle_balance(source) + pic.cycle_balance(target);
        let before = balance();
        work();
        burned.push((name, before - balance()));
    };
    let hash = |to: Principal, method: &str| -> Seal {
        loop {
            if let SealProgress::Done(seal) = call(&world, to, method, JobArgs { job }) {
                return seal;
            }
        }
    };
    let mut seal = None;
    metered("freeze", &mut || {
        let _: KitStatus = call(&world, source, "decant_freeze", FreezeArgs { job, reader: target });
    });
    metered("seal", &mut || seal = Some(hash(source, "decant_seal")));
    let seal = seal.expect("it is sealed");
    let mut wire_bytes = 0;
    metered("pull", &mut || {
        loop {
            let args = PullArgs { job, root: seal.root.clone(), max_batches: 16 };
            let progress: PullProgress = call(&world, target, "decant_import_pull", args);
            wire_bytes = progress.wire_bytes;
            if progress.is_complete {
                break;
            }
        }
    });
    metered("verify", &mut || assert_eq!(hash(target, "decant_import_verify").root, seal.root));
    metered("recheck", &mut || assert_eq!(hash(source, "decant_recheck"), seal));
    let _: KitStatus = call(&world, target, "decant_activate", JobArgs { job });
    // As an update: a query has 5 B instructions, and a large state takes more.
    let digest: serde_bytes::ByteBuf =
        update(pic, target, world.operator, "digest", ()).expect("the target serves");
    assert_eq!(
        digest.as_slice(),
        decant_user_model::digest(&users.users[0].model.state()),
        "nothing is lost"
    );
    Moved { state_bytes: seal.used_pages * 65_536, wire_bytes: wire_bytes - wire_before, burned }
}
