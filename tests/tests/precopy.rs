//! Sources that are copied while they serve: what users write meanwhile arrives too, and little is left to send.

use candid::{CandidType, Principal};
use decant_api::KitError;
use decant_api::jobs::Outcome;
use decant_api::source::{FreezeArgs, JobArgs, KitStatus, OfferArgs, Seal, SealProgress};
use decant_api::target::{BeginArgs, PrecopyPullArgs, PullArgs, PullProgress};
use decant_cli::rehearsal::calls::update;
use decant_cli::rehearsal::{Generation, Options};
use decant_tests::{assert_serves, enrol, fleet, modules, settle};

fn options(state_kib: u32, precopy: bool) -> Options {
    Options { canisters: 1, state_kib, precopy, generation: Generation::Structures, ..Options::default() }
}

#[test]
fn a_job_with_pre_copy_is_done_and_nothing_is_lost() {
    let options = options(2 * 1024, true);
    let (mut world, mut users) = fleet(&options, &modules().kit);
    world.approve_plan(modules(), &options).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    let job = settle(&world).remove(0);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    assert_eq!(job.calls, 22, "the calls of a job, and two");
    assert_serves(&world, &mut users, 0, job.target.expect("it was relocated"));
}

/// Moves one canister as a coordinator does, whose user posts just before the freeze. Answers the bytes of state,
/// those over the wire after the seal, and the cycles that source and target burned while fenced, by call.
fn moved(state_kib: u32, precopy: bool, posts: u32) -> (u64, u64, Vec<(&'static str, u128)>) {
    let (world, mut users) = fleet(&options(state_kib, precopy), &modules().kit);
    let (pic, source) = (&world.pic, users.users[0].original);
    let target = pic.create_canister_with_settings(Some(world.operator), None);
    pic.add_cycles(target, 100_000_000_000_000);
    let no_arg = candid::encode_args(()).expect("encodes");
    pic.install_canister(target, modules().kit.clone(), no_arg, Some(world.operator));
    let mut burned = Vec::new();
    fn call<R: CandidType + serde::de::DeserializeOwned>(
        world: &decant_cli::rehearsal::world::World,
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
    let digest: serde_bytes::ByteBuf =
        decant_cli::rehearsal::calls::query(pic, target, "digest", ()).expect("the target serves");
    assert_eq!(
        digest.as_slice(),
        decant_user_model::digest(&users.users[0].model.state()),
        "nothing is lost"
    );
    (seal.used_pages * 65_536, wire_bytes - wire_before, burned)
}

#[test]
fn what_users_write_while_a_source_is_copied_arrives_and_little_is_sent_after_the_seal() {
    let (state_bytes, wire_bytes, _) = moved(4 * 1024, true, 2);
    println!("{wire_bytes} of {state_bytes} bytes after the seal");
    assert!(wire_bytes < state_bytes / 10, "{wire_bytes} of {state_bytes} bytes");
}

/// Design, section 9: `DECANT_PRECOPY_MIB=64 cargo test -p decant-tests --test precopy -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement of some minutes"]
fn figures() {
    let mib: u32 = std::env::var("DECANT_PRECOPY_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(64);
    // A post of 52 KB touches about two pages.
    let [without, with] = [false, true].map(|precopy| moved(mib * 1024, precopy, mib * 16 / 200 + 1));
    let mut sums = Vec::new();
    for (state_bytes, wire_bytes, burned) in [&without, &with] {
        let sum: u128 = burned.iter().map(|(_, cycles)| cycles).sum();
        let parts: Vec<_> = burned.iter().map(|(name, cycles)| (name, cycles / 1_000_000)).collect();
        println!(
            "{state_bytes} bytes, {wire_bytes} sent after the seal, {} M cycles: {parts:?}",
            sum / 1_000_000
        );
        sums.push(sum as f64);
    }
    println!("cycles burned while fenced, with / without: {:.3}", sums[1] / sums[0]);
}
