//! What goes wrong before the commit point ends with the source serving, nothing lost, and a reason.

use candid::{CandidType, Principal};
use decant_api::jobs::{JobView, Outcome, Pause};
use decant_api::plan::{Plan, Relocation, Retention, Strategy};
use decant_api::source::{Fence, FreezeArgs, JobArgs, KitStatus, SealProgress};
use decant_api::target::BeginArgs;
use decant_api::{KitError, routes::SwapError};
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Modules, Options};
use decant_tests::repack::wasm;
use decant_tests::{assert_serves, enrol, fleet, modules, pause, restart, settle, settle_with};
use pocket_ic::common::rest::RawEffectivePrincipal;
use serde_bytes::ByteBuf;
use std::time::Duration;

fn small(canisters: u32) -> Options {
    Options { canisters, state_kib: 40, ..Options::default() }
}

/// The build with the kit that can be made to misbehave.
fn kit_with_faults() -> Vec<u8> {
    wasm("user-kit-with-faults")
}

/// What a plan says of its targets.
fn relocation(plan: &mut Plan) -> &mut Relocation {
    match &mut plan.strategy {
        Strategy::Relocate(relocation) => relocation,
        other => panic!("a relocation, not {other:?}"),
    }
}

fn approve(world: &mut World, options: &Options) {
    world.approve_plan(modules(), options).expect("the plan is approved");
}

/// Every job was rolled back with a reason that says so, and every user is served by the original.
fn assert_rolled_back(world: &World, fleet: &mut Fleet, jobs: &[JobView], why: &str) {
    for (position, job) in jobs.iter().enumerate() {
        match &job.outcome {
            Outcome::RolledBack { reason } => {
                assert!(reason.contains(why), "{reason:?} does not tell {why:?}")
            }
            other => panic!("job {} ended {other:?}", job.id),
        }
        let original = fleet.users[position].original;
        assert_serves(world, fleet, position, original);
    }
    assert_eq!(jobs.len(), fleet.users.len());
}

#[test]
fn a_plan_with_a_wrong_module_hash_changes_no_source() {
    let options = small(1);
    let (world, mut users) = fleet(&options, &modules().kit);
    let mut plan = world.plan(modules(), &options).expect("the modules are uploaded");
    relocation(&mut plan).module.hash = ByteBuf::from(vec![7; 32]);
    world.propose(&plan).expect("the validator can't know the hash of the whole");
    enrol(&world, &users).expect("the index enrols");
    let jobs = settle(&world);
    assert_rolled_back(&world, &mut users, &jobs, "not the approved module");
}

#[test]
fn a_plan_whose_chunks_are_not_uploaded_is_refused_at_submission() {
    let options = small(1);
    let (world, _) = fleet(&options, &modules().kit);
    let mut plan = world.plan(modules(), &options).expect("the modules are uploaded");
    relocation(&mut plan).module.chunk_hashes = vec![ByteBuf::from(vec![7; 32])];
    let refused = world.propose(&plan).expect_err("a chunk is missing");
    assert!(format!("{refused:#}").contains("not in the coordinator's chunk store"), "{refused:#}");
}

#[test]
fn a_build_without_the_kit_is_no_source() {
    let options = small(1);
    let (mut world, mut users) = fleet(&options, &modules().managed);
    approve(&mut world, &options);
    enrol(&world, &users).expect("the index enrols");
    let jobs = settle(&world);
    assert_rolled_back(&world, &mut users, &jobs, "kit");
}

#[test]
fn a_source_that_somebody_else_relocates_is_left_alone() {
    let options = small(1);
    let (mut world, mut users) = fleet(&options, &modules().kit);
    approve(&mut world, &options);
    let source = users.users[0].original;
    let args = FreezeArgs { job: 77, reader: world.index };
    let frozen: Result<KitStatus, KitError> =
        update(&world.pic, source, world.operator, "decant_freeze", (args,)).expect("the source answers");
    frozen.expect("a controller may freeze");
    enrol(&world, &users).expect("the index enrols");
    let jobs = settle(&world);
    let thaw = JobArgs { job: 77 };
    let thawed: Result<KitStatus, KitError> =
        update(&world.pic, source, world.operator, "decant_thaw", (thaw,)).expect("the source answers");
    thawed.expect("it is still held by the one who froze it");
    assert_rolled_back(&world, &mut users, &jobs, "already being relocated");
}

#[test]
fn a_save_hook_that_traps_rolls_back() {
    #[derive(CandidType)]
    enum Hook {
        Save,
    }
    let options = small(1);
    let (mut world, mut users) = fleet(&options, &kit_with_faults());
    approve(&mut world, &options);
    let source = users.users[0].original;
    let arg = candid::encode_one(Some(Hook::Save)).expect("encodes");
    world.pic.update_call(source, world.operator, "debug_trap_in", arg).expect("the fault is set");
    enrol(&world, &users).expect("the index enrols");
    let jobs = settle(&world);
    assert_rolled_back(&world, &mut users, &jobs, "trapped");
}

#[test]
fn an_index_that_answers_a_conflict_rolls_back() {
    let options = small(1);
    let (mut world, mut users) = fleet(&options, &modules().kit);
    approve(&mut world, &options);
    pause(&world, Pause::NoJobs);
    enrol(&world, &users).expect("the index enrols");
    let (original, stranger) = (users.users[0].original, world.pic.create_canister());
    let reroute = |from: Principal, to: Principal| {
        let rerouted: Result<(), SwapError> =
            update(&world.pic, world.index, world.operator, "reroute", (from, to))
                .expect("the index answers");
        rerouted.expect("a controller may reroute");
    };
    reroute(original, stranger);
    pause(&world, Pause::Running);
    let jobs = settle(&world);
    reroute(stranger, original);
    assert_rolled_back(&world, &mut users, &jobs, "route");
}

#[test]
fn a_coordinator_that_is_stopped_and_upgraded_again_and_again_still_finishes_every_job() {
    let options = small(4);
    let (mut world, mut users) = fleet(&options, &modules().kit);
    approve(&mut world, &options);
    enrol(&world, &users).expect("the index enrols");
    let mut upgrades = 0;
    let jobs = settle_with(&world, |_| {
        if upgrades == 6 {
            return;
        }
        restart(&world);
        upgrades += 1;
    });
    assert!(upgrades > 0, "the coordinator was never upgraded while jobs ran");
    for (position, job) in jobs.iter().enumerate() {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
        let target = job.target.expect("a done job has a target");
        assert_serves(&world, &mut users, position, target);
        assert!(!world.pic.canister_exists(users.users[position].original));
    }
}

#[test]
fn a_fenced_canister_refuses_updates_with_a_message_and_refuses_to_be_upgraded() {
    let options = small(1);
    let (world, mut users) = fleet(&options, &modules().kit);
    let source = users.users[0].original;
    let args = FreezeArgs { job: 5, reader: world.index };
    let frozen: Result<KitStatus, KitError> =
        update(&world.pic, source, world.operator, "decant_freeze", (args,)).expect("the source answers");
    frozen.expect("a controller may freeze");
    let post = candid::encode_one("too late").expect("encodes");
    let refused =
        world.pic.update_call(source, world.operator, "post", post).expect_err("the fence is closed");
    assert!(refused.reject_message.contains("DECANT-BUSY"), "{refused}");
    assert!(refused.reject_message.contains("retry"), "{refused}");
    let no_arg = candid::encode_args(()).expect("encodes");
    let kit = modules().kit.clone();
    world.pic.upgrade_canister(source, kit, no_arg, Some(world.operator)).expect_err("it is fenced");
    let thaw = JobArgs { job: 5 };
    let thawed: Result<KitStatus, KitError> =
        update(&world.pic, source, world.operator, "decant_thaw", (thaw,)).expect("the source answers");
    thawed.expect("the one who froze may thaw");
    assert_serves(&world, &mut users, 0, source);
}

/// The canister does not take the message at all.
#[track_caller]
fn assert_refused(
    world: &World,
    canister: Principal,
    sender: Principal,
    method: &str,
    args: impl candid::utils::ArgumentEncoder,
) {
    let argument = candid::encode_args(args).expect("the arguments encode");
    assert!(world.pic.submit_call(canister, sender, method, argument).is_err(), "{method} is taken");
}

#[test]
fn strangers_can_neither_start_nor_steer_nor_read_a_transfer() {
    let options = small(1);
    let (mut world, mut users) = fleet(&options, &modules().kit);
    approve(&mut world, &options);
    let stranger = Principal::self_authenticating(b"a stranger");
    let source = users.users[0].original;
    let job = JobArgs { job: 1 };
    let freeze = FreezeArgs { job: 1, reader: stranger };
    assert_refused(&world, source, stranger, "decant_freeze", (freeze,));
    for method in ["decant_seal", "decant_thaw", "decant_recheck", "decant_activate", "decant_import_verify"]
    {
        assert_refused(&world, source, stranger, method, (job,));
    }
    assert_refused(&world, world.coordinator, stranger, "decant_enrol", (vec![source],));
    for method in ["decant_retry", "decant_abort"] {
        assert_refused(&world, world.coordinator, stranger, method, (1_u64,));
    }
    assert_serves(&world, &mut users, 0, source);
}

#[test]
fn a_source_that_the_coordinator_does_not_control_is_left_alone() {
    #[derive(CandidType)]
    struct Settings {
        controllers: Option<Vec<Principal>>,
    }
    #[derive(CandidType)]
    struct UpdateSettings {
        canister_id: Principal,
        settings: Settings,
    }
    let options = small(1);
    let (mut world, mut users) = fleet(&options, &modules().kit);
    approve(&mut world, &options);
    pause(&world, Pause::NoJobs);
    enrol(&world, &users).expect("the index enrols");
    let source = users.users[0].original;
    let settings = Settings { controllers: Some(vec![world.operator]) };
    let arg = candid::encode_one(UpdateSettings { canister_id: source, settings }).expect("encodes");
    let about = RawEffectivePrincipal::CanisterId(source.as_slice().to_vec());
    let management = Principal::management_canister();
    world
        .pic
        .update_call_with_effective_principal(management, about, world.operator, "update_settings", arg)
        .expect("the operator controls it");
    pause(&world, Pause::Running);
    let jobs = settle(&world);
    assert_rolled_back(&world, &mut users, &jobs, "not authorised");
}

#[test]
fn a_coordinator_that_runs_out_of_its_plans_cycles_midway_relocates_some_and_leaves_the_others() {
    let options = small(2);
    let (world, mut users) = fleet(&options, &modules().kit);
    let mut plan = world.plan(modules(), &options).expect("the modules are uploaded");
    // Enough for one fresh canister, not for two.
    plan.max_cycles = 1_500_000_000_000;
    world.propose(&plan).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    let jobs = settle_with(&world, |round| {
        if round > 50 {
            world.pic.advance_time(Duration::from_secs(3_600));
        }
    });
    let done = jobs.iter().filter(|job| job.outcome == Outcome::Done).count();
    assert_eq!(done, 1, "{jobs:?}");
    for (position, job) in jobs.iter().enumerate() {
        let expected = match &job.outcome {
            Outcome::Done => job.target.expect("a done job has a target"),
            Outcome::RolledBack { reason } => {
                assert!(reason.contains("the plan may spend"), "{reason}");
                job.source
            }
            other => panic!("job {} ended {other:?}", job.id),
        };
        assert_serves(&world, &mut users, position, expected);
    }
}

#[test]
fn a_change_after_the_seal_is_found_by_the_source_itself() {
    let options = small(1);
    let (world, mut users) = fleet(&options, &kit_with_faults());
    let source = users.users[0].original;
    let args = FreezeArgs { job: 9, reader: world.index };
    let frozen: Result<KitStatus, KitError> =
        update(&world.pic, source, world.operator, "decant_freeze", (args,)).expect("the source answers");
    frozen.expect("a controller may freeze");
    let job = JobArgs { job: 9 };
    let hash = |method: &str| -> Result<SealProgress, KitError> {
        for _ in 0..100 {
            let answered: Result<SealProgress, KitError> =
                update(&world.pic, source, world.operator, method, (job,)).expect("the source answers");
            if !matches!(answered, Ok(SealProgress::Working { .. })) {
                return answered;
            }
        }
        panic!("{method} never ends");
    };
    hash("decant_seal").expect("it is sealed");
    hash("decant_recheck").expect("nothing has changed yet");
    // A byte of the first page behind the header, behind everybody's back.
    let arg = candid::encode_args((65_536u64 + 100, 171u8)).expect("encodes");
    world.pic.update_call(source, world.operator, "debug_corrupt", arg).expect("the byte is written");
    let found = hash("decant_recheck").expect_err("the byte is found");
    assert!(matches!(found, KitError::RootChanged { .. }), "{found}");
    let thawed: Result<KitStatus, KitError> =
        update(&world.pic, source, world.operator, "decant_thaw", (job,)).expect("the source answers");
    thawed.expect("it can be thawed");
    // What users see is on the heap: it was never touched.
    assert_serves(&world, &mut users, 0, source);
}

#[test]
fn a_canister_that_holds_something_is_no_target() {
    let options = small(1);
    let (world, mut users) = fleet(&options, &modules().kit);
    let holder = users.users[0].original;
    let args = BeginArgs { job: 3, source: world.index, bucket_pages: 1 };
    let begun: Result<KitStatus, KitError> =
        update(&world.pic, holder, world.operator, "decant_import_begin", (args,)).expect("it answers");
    assert!(matches!(begun, Err(KitError::NotEmpty { .. })), "{begun:?}");
    assert_serves(&world, &mut users, 0, holder);
}

#[test]
fn a_record_larger_than_a_chunk_is_relocated() {
    let options = small(1);
    let (mut world, mut users) = fleet(&options, &modules().kit);
    let text: String =
        (0..50_000u32).map(|number| format!("{:010}", number.wrapping_mul(2_654_435_761))).collect();
    let user = &mut users.users[0];
    let _: u64 =
        update(&world.pic, user.original, world.operator, "post", (text.clone(),)).expect("it is taken");
    user.model.post(text);
    approve(&mut world, &options);
    enrol(&world, &users).expect("the index enrols");
    let jobs = settle(&world);
    assert_eq!(jobs[0].outcome, Outcome::Done, "{jobs:?}");
    assert_serves(&world, &mut users, 0, jobs[0].target.expect("a done job has a target"));
}

#[test]
fn a_source_that_changes_after_the_seal_rolls_back() {
    let options = small(1);
    let (mut world, mut users) = fleet(&options, &kit_with_faults());
    approve(&mut world, &options);
    let source = users.users[0].original;
    let no_arg = candid::encode_args(()).expect("encodes");
    world
        .pic
        .update_call(source, world.operator, "debug_change_after_the_seal", no_arg)
        .expect("the fault is set");
    enrol(&world, &users).expect("the index enrols");
    let jobs = settle(&world);
    // What was written past the fence is kept: the source serves it.
    users.users[0].model.post("written past the fence".to_owned());
    assert_rolled_back(&world, &mut users, &jobs, "something wrote after the seal");
}

#[test]
fn what_was_written_to_a_retired_source_parks_the_job_and_nothing_is_deleted() {
    let options = small(1);
    let (world, mut users) = fleet(&options, &kit_with_faults());
    let mut plan = world.plan(modules(), &options).expect("the modules are uploaded");
    plan.retention = Retention::Frozen { seconds: 3_600 };
    world.propose(&plan).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    let source = users.users[0].original;
    let mut is_written = false;
    let settled = settle_with(&world, |round| {
        // While it is drained of open calls it is stopped, and answers nobody.
        let status = query::<KitStatus>(&world.pic, source, "decant_status", ());
        let is_retired = status.is_ok_and(|status| matches!(status.fence, Fence::Moved { .. }));
        if !is_written && is_retired {
            // A byte of the first page behind the header: no fence stops it.
            let arg = candid::encode_args((65_536u64 + 100, 171u8)).expect("encodes");
            world.pic.update_call(source, world.operator, "debug_corrupt", arg).expect("the byte is written");
            is_written = true;
        }
        if round > 100 {
            // The coordinator waits two minutes for a reply, and that is some rounds.
            world.pic.advance_time(Duration::from_secs(15));
        }
    });
    assert!(is_written, "the source was never retired");
    let parked = |job: &JobView| match &job.outcome {
        Outcome::Parked { reason } => {
            for part in ["lowering", "wrote after the seal", "nothing is deleted", "decant_retry(1)"] {
                assert!(reason.contains(part), "{reason:?} does not tell {part:?}");
            }
        }
        other => panic!("job {} ended {other:?}", job.id),
    };
    parked(&settled[0]);
    let target = settled[0].target.expect("it was relocated");
    assert_serves(&world, &mut users, 0, target);
    assert!(world.pic.canister_exists(source), "it holds what the target lacks");
    // Looking again does not help.
    let retry = || {
        let retried: Result<(), String> =
            update(&world.pic, world.coordinator, world.operator, "decant_retry", (1u64,))
                .expect("it answers");
        retried.expect("the job is parked");
        settle(&world)
    };
    parked(&retry()[0]);
    assert!(world.pic.canister_exists(source));
}

#[test]
fn a_message_that_nobody_counted_makes_the_recheck_hash_everything() {
    let options = small(1);
    let (world, users) = fleet(&options, &kit_with_faults());
    let source = users.users[0].original;
    let job = JobArgs { job: 9 };
    let call = |method: &str| -> Result<SealProgress, KitError> {
        update(&world.pic, source, world.operator, method, (job,)).expect("the source answers")
    };
    let args = FreezeArgs { job: 9, reader: world.index };
    let frozen: Result<KitStatus, KitError> =
        update(&world.pic, source, world.operator, "decant_freeze", (args,)).expect("the source answers");
    frozen.expect("a controller may freeze");
    let sealed = call("decant_seal").expect("a small state is sealed at once");
    let burned = |between: &dyn Fn()| {
        between();
        let before = world.pic.cycle_balance(source);
        assert_eq!(call("decant_recheck"), Ok(sealed.clone()));
        before - world.pic.cycle_balance(source)
    };
    let calm = burned(&|| ());
    // Messages of the kit, of whoever sends them, messages that fail, and users' that the fence refuses.
    let counted = burned(&|| {
        let stranger = Principal::self_authenticating(b"a stranger");
        assert_refused(&world, source, stranger, "decant_recheck", (job,));
        let arg = candid::encode_args((u64::MAX, 171u8)).expect("encodes");
        world.pic.update_call(source, world.operator, "debug_corrupt", arg).expect_err("it traps");
        let post = candid::encode_one("too late").expect("encodes");
        world.pic.update_call(source, world.operator, "post", post).expect_err("the fence is closed");
    });
    // Of all else nobody here vouches that it changed nothing, not even of a start of what runs.
    let disturbed = burned(&|| {
        world.pic.start_canister(source, Some(world.operator)).expect("a controller may start it");
    });
    let least = calm + (disturbed - calm) / 2;
    assert!(disturbed > calm && counted < least, "{calm}, {counted}, {disturbed} cycles");
}

#[test]
fn a_target_that_is_not_empty_rolls_back() {
    let options = small(1);
    let (world, mut users) = fleet(&options, &modules().kit);
    let with_faults = Modules { kit: kit_with_faults(), ..modules().clone() };
    let mut plan = world.plan(&with_faults, &options).expect("the modules are uploaded");
    relocation(&mut plan).init_arg =
        ByteBuf::from(candid::encode_one("leave stable memory dirty").expect("encodes"));
    world.propose(&plan).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    let jobs = settle(&world);
    assert_rolled_back(&world, &mut users, &jobs, "not empty");
}
