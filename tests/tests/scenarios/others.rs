//! Others act too: at every state of a job an index upgrades its canister and starts it, users write, somebody stops it for a while,
//! deletes the snapshots, takes the control away or deletes the canister. Nothing that a user wrote is lost but by whoever deleted it,
//! and the canister serves, or its job is parked for a reason that is true. Design, section 6, promises 10 to 12.

use candid::Principal;
use decant_api::jobs::{JobView, Outcome};
use decant_api::plan::{Plan, Relocation, Retention, Strategy};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use decant_tests::dapps::{POSTS, Way, another_build, contents, enrolled, posts, runs, serving, world};
use decant_tests::others::{Act, Beside, beside, states};
use decant_tests::repack::{RunState, job, nothing, snapshots, status, used, wasm};
use decant_tests::settle;
use decant_tests::vessel::{set_controllers, upgrade};

/// Each, and the words of which one is in the reason where a job did not end done.
const ACTS: [(Act, &[&str]); 6] = [
    (Act::Upgrade, &["somebody else acts on it", "not the approved module"]),
    (Act::Serve, &["somebody else acts on it"]),
    (Act::Stop, &["not running", "somebody else acts on it"]),
    (Act::DropSnapshots, &["the snapshot does not exist", "somebody else acts on it"]),
    (Act::TakeControl, &["not authorised"]),
    (Act::Delete, &["the canister does not exist", "not running", "somebody else acts on it"]),
];

/// States that only the job passes which looks at a build and size for all others.
const LOOKING: [&str; 4] = ["recalling", "surveying", "surveyed", "learning"];

/// A world, and a plan of which nobody knows the module yet; its build and the one that an index upgrades to.
struct Stage {
    world: World,
    module: Vec<u8>,
    other_build: Vec<u8>,
    states: Vec<String>,
    next_user: u64,
}

/// A plan for canisters that run one of these modules; with the kit they become canisters of the last.
type PlanOf = fn(&World, &[&[u8]]) -> Plan;

fn repack(world: &World, modules: &[&[u8]]) -> Plan {
    Way::Repack.plan(world, modules.iter().map(|module| used(module, nothing())).collect())
}

fn through_vessels(world: &World, modules: &[&[u8]]) -> Plan {
    Way::Relocate.plan(world, modules.iter().map(|module| used(module, nothing())).collect())
}

fn with_the_kit(world: &World, modules: &[&[u8]]) -> Plan {
    let plan = world.plan(decant_tests::modules(), &Options::default()).expect("the plan is made");
    let Strategy::Relocate(relocation) = plan.strategy else { panic!("a rehearsal relocates") };
    let target = modules.last().expect("there is one");
    let module = world.upload(target).expect("the module is uploaded");
    let hashes = modules.iter().map(|module| used(module, nothing()).hash).collect();
    let relocation = Relocation { module, init_arg: nothing().into(), sources: Some(hashes), ..relocation };
    Plan {
        strategy: Strategy::Relocate(relocation),
        retention: Retention::None,
        max_canisters: 1_000,
        max_in_flight: 200,
        max_cycles: 1_000_000_000_000_000,
        ..plan
    }
}

impl Stage {
    fn new(dapp: &str, plan: PlanOf) -> Self {
        let world = world();
        let [first, module, other_build] = [0, 1, 2].map(|number| another_build(&wasm(dapp), number));
        let plan = plan(&world, &[&first, &module]);
        world.propose(&plan).expect("the plan is approved");
        let canister = serving(&world, 0, &first, nothing());
        let mut states = states(&world, canister);
        // Once its route names another canister, nobody takes it for the user's any more.
        if let Some(switched) = states.iter().position(|state| state == "switching") {
            states.truncate(switched);
        }
        Self { world, module, other_build, states, next_user: 1 }
    }

    /// A canister of a user of its own for each of these acts in each state.
    fn cases<'a>(&mut self, acts: &[Act], states: &'a [String]) -> Vec<(Act, &'a str, Principal)> {
        let mut cases = Vec::new();
        for act in acts {
            for state in states {
                let canister = serving(&self.world, self.next_user, &self.module, nothing());
                self.next_user += 1;
                cases.push((*act, state.as_str(), canister));
            }
        }
        cases
    }
}

fn why(job: &JobView) -> &str {
    match &job.outcome {
        Outcome::RolledBack { reason } | Outcome::Parked { reason } => reason,
        Outcome::Done => "done",
        Outcome::Running => "running",
    }
}

/// The canister that the index takes for the user's.
fn place(world: &World, one: &Beside) -> Principal {
    query(&world.pic, world.index, "decant_resolve", (one.canister,)).expect("the index answers")
}

fn sweep(name: &str, dapp: &str, plan: PlanOf) {
    let mut stage = Stage::new(dapp, plan);
    let states = stage.states.clone();
    println!("{name}: {states:?}");
    let acts = ACTS.map(|(act, _)| act);
    let (looking, others): (Vec<String>, Vec<String>) =
        states.iter().cloned().partition(|state| LOOKING.contains(&state.as_str()));
    let cases = stage.cases(&acts, &others);
    let mut all = beside(&stage.world, &cases, &stage.other_build);
    for one in &all {
        assert_nothing_is_lost(&stage, one);
    }
    // One at a time, each with a build that nobody has looked at.
    let alone = acts.iter().flat_map(|act| looking.iter().map(move |state| (*act, state)));
    for ((act, state), build) in alone.zip(3..) {
        stage.module = another_build(&wasm(dapp), build);
        let plan = plan(&stage.world, &[&stage.module]);
        stage.world.propose(&plan).expect("the plan is approved");
        let cases = stage.cases(&[act], std::slice::from_ref(state));
        let one = beside(&stage.world, &cases, &stage.other_build).remove(0);
        assert_nothing_is_lost(&stage, &one);
        all.push(one);
    }
    for one in &all {
        println!("{:?} when {}: {}", one.act, one.state, why(&job(&stage.world, one.job)));
    }
    let is_deleted = |one: &&Beside| one.act == Act::Delete && !stage.world.pic.canister_exists(one.canister);
    assert!(all.iter().filter(is_deleted).count() * 2 > states.len(), "most are deleted");
}

fn assert_nothing_is_lost(stage: &Stage, one: &Beside) {
    let world = &stage.world;
    let name = format!("{:?} when {}", one.act, one.state);
    let ended = job(world, one.job);
    if ended.outcome != Outcome::Done {
        let (_, words) = ACTS.iter().find(|(act, _)| *act == one.act).expect("every act has words");
        assert!(words.iter().any(|word| why(&ended).contains(word)), "{name}: {ended:?}");
    }
    // Whose deletion met a canister that ran again is whole.
    if one.act == Act::Delete && !world.pic.canister_exists(one.canister) {
        return;
    }
    if one.act == Act::TakeControl {
        if world.pic.canister_exists(one.canister) {
            set_controllers(world, one.canister, vec![world.operator, world.index, world.coordinator]);
        }
        if matches!(ended.outcome, Outcome::Parked { .. }) {
            let retried: Result<(), String> =
                update(&world.pic, world.coordinator, world.operator, "decant_retry", (one.job,))
                    .expect("it answers");
            retried.expect("a parked job is retried");
            settle(world);
        }
    }
    let ended = job(world, one.job);
    let place = place(world, one);
    let mut expected: Vec<String> =
        POSTS.iter().map(|text| (*text).to_owned()).chain(one.written.iter().cloned()).collect();
    let stands = status(world, place);
    let build = if one.is_upgraded { &stage.other_build } else { &stage.module };
    let is_own = stands.module_hash == Some(used(build, nothing()).hash);
    if !(is_own && stands.status == RunState::Running) {
        // Whoever stopped it, or its job, starts it.
        let is_stopped = one.act == Act::Stop && is_own;
        let is_parked = matches!(ended.outcome, Outcome::Parked { .. });
        assert!(is_stopped || is_parked, "{name}: {ended:?}, {stands:?}");
        // What an operator does who reads the reason: the state is where it was saved.
        if !is_own {
            upgrade(world, place, build, nothing());
        }
        world.pic.start_canister(place, Some(world.operator)).expect("it starts");
    }
    let mut held = posts(world, place);
    held.sort();
    expected.sort();
    assert_eq!(held, expected, "{name}: {ended:?}");
    let stands = status(world, place);
    assert_eq!(stands.module_hash, Some(used(build, nothing()).hash), "{name}");
    if !matches!(ended.outcome, Outcome::Parked { .. }) {
        assert!(snapshots(world, place).is_empty(), "{name}: snapshots of the job are left");
    }
}

#[test]
fn whatever_others_do_at_whatever_state_of_a_repack_no_write_is_lost() {
    sweep("repack", "eraser", repack);
}

#[test]
fn whatever_others_do_at_whatever_state_of_a_relocation_through_vessels_no_write_is_lost() {
    sweep("through vessels", "eraser", through_vessels);
}

#[test]
fn whatever_others_do_at_whatever_state_of_a_relocation_with_the_kit_no_write_is_lost() {
    sweep("with the kit", "taker", with_the_kit);
}

#[test]
fn a_job_that_is_aborted_at_any_state_leaves_its_canister_bit_for_bit_as_it_was() {
    for (way, plan) in [("repack", repack as PlanOf), ("through vessels", through_vessels)] {
        let mut stage = Stage::new("eraser", plan);
        let states = stage.states.clone();
        let cases = stage.cases(&[Act::Abort], &states);
        let before: Vec<_> = cases.iter().map(|(_, _, canister)| contents(&stage.world, *canister)).collect();
        let mut rolled_back = 0;
        for (one, before) in beside(&stage.world, &cases, &stage.other_build).iter().zip(before) {
            let (world, ended) = (&stage.world, job(&stage.world, one.job));
            let name = format!("{way:?} when {}: {ended:?}", one.state);
            match &ended.outcome {
                Outcome::RolledBack { reason } => {
                    assert!(reason.contains("aborted by an operator"), "{name}");
                    assert_eq!(contents(world, one.canister), before, "{name}");
                    assert_eq!(runs(world, one.canister), (1, 1), "{name}");
                    assert_eq!(posts(world, one.canister), POSTS, "{name}");
                    rolled_back += 1;
                }
                // It came too late.
                Outcome::Done => assert_eq!(runs(world, place(world, one)), (2, 2), "{name}"),
                _ => panic!("{name}"),
            }
        }
        assert!(rolled_back > 10, "{way:?}: {rolled_back}");
        let again = enrolled(&stage.world, &[cases[0].2])[0];
        settle(&stage.world);
        assert_eq!(job(&stage.world, again).outcome, Outcome::Done, "{way:?}");
    }
}
