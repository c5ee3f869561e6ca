//! Dapps as they are in the field embed the kit: a `pre_upgrade` that takes the state off the heap, a `post_upgrade` that
//! erases what it has read. Design, section 6, promise 10.

use candid::Principal;
use decant_api::jobs::{JobView, Outcome, Pause};
use decant_api::plan::{Plan, Strategy};
use decant_api::routes::SwapError;
use decant_api::source::{FreezeArgs, JobArgs, KitStatus, SealProgress};
use decant_api::{KitError, plan};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::update;
use decant_cli::rehearsal::world::World;
use decant_tests::dapps::{Flavour, POSTS, enrolled, flavours, post, posts, routed, runs, world};
use decant_tests::repack::{install, nothing, refusal, status, wasm};
use decant_tests::vessel::upgrade;
use decant_tests::{modules, pause, route, settle};

/// The user whose canister it is.
const USER: u64 = 1;

fn taker(world: &World, flavour: Flavour) -> Principal {
    serving(world, "taker", candid::encode_one(Some(flavour)).expect("a flavour encodes"))
}

/// A canister of the user with posts.
fn serving(world: &World, module: &str, argument: Vec<u8>) -> Principal {
    let canister = routed(world, USER, &wasm(module), argument);
    for text in POSTS {
        post(world, canister, text);
    }
    canister
}

/// A plan to relocate canisters of that module.
fn relocation(world: &World, module: &str, init_arg: Vec<u8>) -> Plan {
    let plan = world.plan(modules(), &Options::default()).expect("the plan is made");
    let Strategy::Relocate(relocation) = plan.strategy else { panic!("a rehearsal relocates") };
    let module = world.upload(&wasm(module)).expect("the module is uploaded");
    let relocation = plan::Relocation { module, init_arg: init_arg.into(), ..relocation };
    Plan { strategy: Strategy::Relocate(relocation), retention: plan::Retention::None, ..plan }
}

fn takers(world: &World) -> Plan {
    relocation(world, "taker", candid::encode_one(None::<Flavour>).expect("nothing encodes"))
}

fn relocate(world: &World, canister: Principal) -> JobView {
    let id = enrolled(world, &[canister])[0];
    settled(world, id)
}

fn settled(world: &World, id: u64) -> JobView {
    settle(world).into_iter().find(|job| job.id == id).expect("the job is there")
}

fn reroute(world: &World, from: Principal, to: Principal) {
    let rerouted: Result<(), SwapError> =
        update(&world.pic, world.index, world.operator, "reroute", (from, to)).expect("the index answers");
    rerouted.expect("a controller may reroute");
}

/// Freezes and seals by hand, as a coordinator would.
fn seal(world: &World, canister: Principal) -> Result<SealProgress, String> {
    let args = FreezeArgs { job: 7, reader: world.index };
    let frozen: Result<KitStatus, KitError> =
        update(&world.pic, canister, world.operator, "decant_freeze", (args,)).expect("it answers");
    frozen.expect("a controller may freeze");
    let args = candid::encode_one(JobArgs { job: 7 }).expect("the argument encodes");
    let reply = world
        .pic
        .update_call(canister, world.operator, "decant_seal", args)
        .map_err(|trap| trap.reject_message)?;
    let sealed: Result<SealProgress, KitError> = candid::decode_one(&reply).expect("the reply decodes");
    sealed.map_err(|error| error.to_string())
}

fn thaw(world: &World, canister: Principal) {
    let thawed: Result<KitStatus, KitError> =
        update(&world.pic, canister, world.operator, "decant_thaw", (JobArgs { job: 7 },))
            .expect("it answers");
    thawed.expect("who froze it may thaw it");
}

#[test]
fn a_canister_that_takes_its_state_to_save_it_answers_queries_while_sealed_and_serves_after_a_thaw() {
    let world = world();
    for flavour in flavours() {
        let canister =
            install(&world, &wasm("taker"), candid::encode_one(Some(flavour)).expect("it encodes"));
        POSTS.iter().for_each(|text| {
            post(&world, canister, text);
        });
        let sealed = seal(&world, canister);
        assert!(matches!(sealed, Ok(SealProgress::Done(_))), "{flavour:?}: {sealed:?}");
        assert_eq!(posts(&world, canister), POSTS, "{flavour:?}: while sealed");
        thaw(&world, canister);
        assert_eq!(post(&world, canister, "four"), 4, "{flavour:?}");
        upgrade(&world, canister, &wasm("taker"), nothing());
        assert_eq!(posts(&world, canister).len(), 4, "{flavour:?}: after an upgrade");
    }
}

#[test]
fn it_serves_after_a_roll_back_and_is_relocated_whole_at_the_second_try() {
    for flavour in flavours() {
        let world = world();
        let canister = taker(&world, flavour);
        world.propose(&takers(&world)).expect("the plan is approved");
        // Before the job asks for the route, somebody else has it.
        let stranger = world.pic.create_canister();
        pause(&world, Pause::NoJobs);
        let id = enrolled(&world, &[canister])[0];
        reroute(&world, canister, stranger);
        pause(&world, Pause::Running);
        let job = settled(&world, id);
        assert!(refusal(&job).contains("route"), "{job:?}");
        reroute(&world, stranger, canister);
        assert_eq!(posts(&world, canister), POSTS, "{flavour:?}: after the roll-back");
        assert_eq!(post(&world, canister, "four"), 4, "{flavour:?}");
        let job = relocate(&world, canister);
        assert_eq!(job.outcome, Outcome::Done, "{flavour:?}: {job:?}");
        let target = job.target.expect("a done job has a target");
        assert_eq!(route(&world, USER), target);
        assert_eq!(posts(&world, target).len(), 4, "{flavour:?}: every post has moved");
        upgrade(&world, target, &wasm("taker"), nothing());
        assert_eq!(posts(&world, target).len(), 4, "{flavour:?}: and survives an upgrade");
    }
}

#[test]
fn a_load_that_forgets_what_save_took_is_refused_and_the_canister_has_everything() {
    let world = world();
    let flavour = Flavour { is_option: false, has_fingerprint: true, forgets: true };
    let canister = taker(&world, flavour);
    world.propose(&takers(&world)).expect("the plan is approved");
    let job = relocate(&world, canister);
    assert!(refusal(&job).contains("load does not bring back all that save takes; nothing was done: repack it, or relocate it through vessels"), "{job:?}");
    assert_eq!(posts(&world, canister), POSTS);
    assert_eq!(post(&world, canister, "four"), 4);
}

#[test]
fn a_load_that_erases_what_it_read_is_refused_and_the_canister_has_everything() {
    let world = world();
    let canister = serving(&world, "eraser", nothing());
    world.propose(&relocation(&world, "eraser", nothing())).expect("the plan is approved");
    let job = relocate(&world, canister);
    assert!(refusal(&job).contains("load changes or erases what it reads; nothing was done: repack it, or relocate it through vessels"), "{job:?}");
    assert_eq!(posts(&world, canister), POSTS);
    assert_eq!(post(&world, canister, "four"), 4);
    upgrade(&world, canister, &wasm("eraser"), nothing());
    assert_eq!(posts(&world, canister).len(), 4);
    assert_eq!(runs(&world, canister), (1, 1), "what was tried is taken back: one upgrade ran");
}

#[test]
fn what_is_refused_has_changed_nothing_not_even_stable_memory() {
    let world = world();
    let canister = install(&world, &wasm("eraser"), nothing());
    POSTS.iter().for_each(|text| {
        post(&world, canister, text);
    });
    let before = status(&world, canister).stable_pages();
    let refused = seal(&world, canister).expect_err("they are no pair");
    assert!(refused.contains("vessel"), "the way is named: {refused}");
    assert_eq!(status(&world, canister).stable_pages(), before);
    assert_eq!(posts(&world, canister), POSTS, "queries answer while it is frozen");
    thaw(&world, canister);
    assert_eq!(post(&world, canister, "four"), 4);
}
