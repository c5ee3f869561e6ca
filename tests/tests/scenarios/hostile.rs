//! Canisters that are asked answer anything at all, or never (design, section 6, promises 2, 4, 6, 8 and 13). Whatever it is:
//! the job rolls back, or says what it met with and goes on when that is over; other jobs go on; users lose nothing; and
//! the coordinator pays no more than it expects a job to take.

use candid::{CandidType, Nat, Principal};
use decant_api::jobs::{Batch, Command, JobView, Outcome, Summary, Which};
use decant_api::plan::{Plan, Strategy};
use decant_api::routes::SwapError;
use decant_api::source::{Fence, KitStatus, LayoutSummary, Seal, SealProgress};
use decant_api::target::PullProgress;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Modules, Options};
use decant_tests::hostile::{Manner, Tied, answering, hostile, nonsense};
use decant_tests::repack::{install, manage, nothing};
use decant_tests::{assert_serves, fleet, hand_over, job_of, modules, settle};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::time::Duration;

/// Rounds, of ten seconds each, in which every job says how it stands.
const ROUNDS: u32 = 2_000;
/// Tries after which a step that goes on for ever counts as one that says what it met with.
const TRIES: u32 = 5;
/// Cycles that the coordinator expects a job's calls to take at most.
const JOB_CYCLES: u128 = 3_000_000_000;
/// Cycles that the installation of a build with the kit takes.
const INSTALLATION_CYCLES: u128 = 20_000_000_000;
/// Bytes by which its heap may grow however much others answer at a time: replies of 2 MB to twenty jobs, and their copies.
const HEAP_BYTES: u64 = 128 << 20;

/// One canister, and what it does.
struct Case {
    name: String,
    method: &'static str,
    manner: Manner,
}

/// Each nonsense at each of these methods, one that never answers, and lies.
fn cases(methods: &[&'static str], tied: Tied, lies: Vec<(&'static str, Manner)>) -> Vec<Case> {
    let mut cases = Vec::new();
    for method in methods {
        let all = nonsense().into_iter().chain([("no answer, ever", Manner::Never(tied))]);
        cases.extend(all.map(|(name, manner)| Case { name: format!("{method}: {name}"), method, manner }));
    }
    for (method, manner) in lies {
        cases.push(Case { name: format!("{method}: a lie"), method, manner });
    }
    cases
}

fn summary(world: &World) -> Summary {
    query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers")
}

fn heap_bytes(world: &World) -> u64 {
    #[derive(CandidType)]
    struct OfCanister {
        canister_id: Principal,
    }
    #[derive(CandidType, Deserialize)]
    struct Metrics {
        wasm_memory_size: Nat,
    }
    #[derive(CandidType, Deserialize)]
    struct Status {
        memory_metrics: Metrics,
    }
    let coordinator = world.coordinator;
    let status: Status =
        manage(world, coordinator, "canister_status", &OfCanister { canister_id: coordinator });
    u64::try_from(&status.memory_metrics.wasm_memory_size.0).expect("it fits")
}

/// Tells a canister what its method does from now on.
fn tell(world: &World, canister: Principal, methods: &[&str], method: &str, manner: &Manner) {
    let told = manner.told(methods, method);
    world.pic.update_call(canister, world.operator, "hostile", told).expect("it is told");
}

fn retry_all(world: &World) {
    let which = Which { plan: None, code: None, after: 0 };
    let batch: Result<Batch, String> =
        update(&world.pic, world.coordinator, world.operator, "decant_all", (Command::Retry, which))
            .expect("the coordinator answers");
    batch.expect("a controller may");
}

/// Whether the job has ended, is parked, or says what a step met with that it goes on trying: behind the commit point, or on
/// the way back.
fn is_told(job: &JobView) -> bool {
    let goes_on = job.committed_nanos.is_some() || job.state == "rolling back";
    job.outcome != Outcome::Running || goes_on && job.trouble.is_some() && job.attempts >= TRIES
}

/// What every scenario here measures.
struct Watched {
    heap_bytes: u64,
    cycles: u128,
}

impl Watched {
    fn begin(world: &World) -> Self {
        Self { heap_bytes: heap_bytes(world), cycles: summary(world).cycles_spent }
    }

    /// Waits until every job says how it stands; answers them.
    fn until_told(&self, world: &World, sources: &[Principal]) -> Vec<JobView> {
        for _ in 0..ROUNDS {
            let jobs: Vec<JobView> =
                sources.iter().map(|source| job_of(world, *source).expect("it has a job")).collect();
            if jobs.iter().all(is_told) {
                return jobs;
            }
            world.pic.advance_time(Duration::from_secs(10));
            world.pic.tick();
        }
        let silent: Vec<JobView> = sources.iter().filter_map(|source| job_of(world, *source)).collect();
        let silent: Vec<&JobView> = silent.iter().filter(|job| !is_told(job)).collect();
        panic!("after {ROUNDS} rounds these say nothing: {silent:#?}");
    }

    /// Neither its heap nor its cycles went for what others answered; `targets` were created.
    fn end(&self, world: &World, jobs: usize, targets: usize, plan: &Plan) {
        let grown = heap_bytes(world) - self.heap_bytes;
        let created = targets as u128 * (plan.cycles_per_target + 500_000_000_000);
        // One that comes back and goes out again is given what an installation took of it.
        let created = created + jobs.saturating_sub(targets) as u128 * INSTALLATION_CYCLES;
        let spent = summary(world).cycles_spent - self.cycles;
        let calls = spent.saturating_sub(created);
        println!("{jobs} jobs: heap +{grown} bytes, {} cycles a job", calls / jobs as u128);
        assert!(grown <= HEAP_BYTES, "the heap grew by {grown} bytes");
        assert!(calls <= JOB_CYCLES * jobs as u128, "{calls} cycles for the calls of {jobs} jobs");
    }
}

/// A fleet of this many canisters with this module, and a plan for it.
fn planned(canisters: usize, kit: &[u8]) -> (World, Fleet, Plan) {
    let canisters = u32::try_from(canisters).expect("a few");
    let options = Options { canisters, state_kib: 8, in_flight: 20, ..Options::default() };
    let (world, users) = fleet(&options, kit);
    let mut plan = world.plan(modules(), &options).expect("the modules are uploaded");
    plan.max_canisters = 10_000;
    plan.max_cycles = 1_000_000_000_000_000;
    (world, users, plan)
}

fn pool_and_targets(world: &World, jobs: &[JobView]) -> usize {
    let targets: std::collections::BTreeSet<Principal> =
        jobs.iter().filter_map(|job| job.target).chain(summary(world).pool).collect();
    targets.len()
}

/// A kit's status that is none.
fn status(fence: Fence) -> Result<KitStatus, decant_api::KitError> {
    let layout = LayoutSummary::Managed { bucket_pages: 128, memories: 1, used_pages: 1 };
    Ok(KitStatus { kit_version: 1, fence, layout, stable_pages: 129, root: None, bytes_done: 0 })
}

fn seal(byte: u8) -> SealProgress {
    SealProgress::Done(Seal {
        root: ByteBuf::from(vec![byte; 32]),
        used_pages: u64::MAX,
        fingerprint: ByteBuf::from(vec![byte; 8]),
    })
}

const SOURCE: [&str; 8] = [
    "decant_status",
    "decant_freeze",
    "decant_seal",
    "decant_open",
    "decant_recheck",
    "decant_thaw",
    "decant_retire",
    "decant_drain",
];

#[test]
fn whatever_a_source_answers_before_the_commit_point_its_job_rolls_back_and_others_are_done() {
    const HONEST: usize = 5;
    let lies = |tied| {
        let other_version = KitStatus { kit_version: 2, ..status(Fence::Open).expect("a status") };
        let of_root = |bytes: usize| Seal { root: ByteBuf::from(vec![1; bytes]), ..sealed(1) };
        cases(
            &SOURCE[..5],
            tied,
            vec![
                ("decant_status", Manner::say(other_version)),
                ("decant_freeze", Manner::say(Ok::<SealProgress, ()>(seal(1)))),
                ("decant_seal", Manner::say(Ok::<SealProgress, ()>(seal(0)))),
                ("decant_seal", Manner::say(Ok::<SealProgress, ()>(SealProgress::Done(of_root(31))))),
                ("decant_recheck", Manner::say(Ok::<SealProgress, ()>(seal(9)))),
            ],
        )
    };
    let modules_here = hostile(&modules().kit, &SOURCE);
    let count = 5 * (nonsense().len() + 1) + 5;
    let (world, mut users, plan) = planned(count + HONEST, &modules_here);
    let cases = lies(Tied::new(&world));
    assert_eq!(cases.len(), count);
    let (sources, watched, jobs) = told_to_sources(&world, &users, &plan, &cases);
    for (position, job) in jobs.iter().enumerate() {
        let Some(case) = cases.get(position) else {
            assert_eq!(job.outcome, Outcome::Done, "an honest one beside them: {job:?}");
            assert_serves(&world, &mut users, position, job.target.expect("it moved"));
            continue;
        };
        let Outcome::RolledBack { reason } = &job.outcome else { panic!("{}: {job:?}", case.name) };
        println!("{}: {reason}", case.name);
        assert!(job.code.is_some() && !reason.is_empty(), "{}: {job:?}", case.name);
        assert_serves(&world, &mut users, position, sources[position]);
    }
    watched.end(&world, jobs.len(), pool_and_targets(&world, &jobs), &plan);
}

/// Approves the plan, tells each source its case, and enrols all; answers their jobs when there is something to tell of each.
fn told_to_sources(
    world: &World,
    users: &Fleet,
    plan: &Plan,
    cases: &[Case],
) -> (Vec<Principal>, Watched, Vec<JobView>) {
    world.propose(plan).expect("the plan is approved");
    for (user, case) in users.users.iter().zip(cases) {
        tell(world, user.original, &SOURCE, case.method, &case.manner);
    }
    let sources = users.originals();
    let watched = Watched::begin(world);
    hand_over(world, sources.clone()).expect("the index enrols");
    let jobs = watched.until_told(world, &sources);
    (sources, watched, jobs)
}

fn sealed(byte: u8) -> Seal {
    match seal(byte) {
        SealProgress::Done(seal) => seal,
        SealProgress::Working { .. } => panic!("it is done"),
    }
}

#[test]
fn whatever_a_source_answers_behind_the_commit_point_users_are_served_and_the_job_ends_when_that_is_over() {
    let kit = hostile(&modules().kit, &SOURCE);
    let count = 2 * (nonsense().len() + 1) + 1;
    let (world, mut users, plan) = planned(count, &kit);
    let tied = Tied::new(&world);
    let lies = vec![("decant_drain", Manner::say(Ok::<u128, ()>(u128::MAX)))];
    let cases = cases(&SOURCE[6..], tied, lies);
    assert_eq!(cases.len(), count);
    let (sources, watched, jobs) = told_to_sources(&world, &users, &plan, &cases);
    for (position, job) in jobs.iter().enumerate() {
        let name = &cases[position].name;
        println!("{name}: {:?} {:?} {:?}", job.state, job.outcome, job.trouble);
        assert!(job.committed_nanos.is_some(), "{name}: {job:?}");
        if cases[position].method != "decant_retire" {
            assert_serves(&world, &mut users, position, job.target.expect("it moved"));
        }
        if world.pic.canister_exists(sources[position]) {
            tell(&world, sources[position], &SOURCE, "decant_status", &Manner::Honest);
        }
    }
    watched.end(&world, jobs.len(), pool_and_targets(&world, &jobs), &plan);
    tied.release(&world);
    retry_all(&world);
    for (position, job) in settle(&world).iter().enumerate() {
        assert_eq!(job.outcome, Outcome::Done, "{}: {job:?}", cases[position].name);
        assert_serves(&world, &mut users, position, job.target.expect("it moved"));
    }
}

const TARGET: [&str; 4] =
    ["decant_import_begin", "decant_import_pull", "decant_import_verify", "decant_activate"];

/// What a pull answers that is said to be complete, and has not verified what it wrote.
fn pulled() -> Result<PullProgress, ()> {
    Ok(PullProgress {
        is_complete: true,
        done_bytes: 1,
        total_bytes: 1,
        wire_bytes: 1,
        calls: 1,
        verified: None,
    })
}

/// A target that has to be told to verify.
fn never_verifying() -> Vec<u8> {
    answering(&modules().kit, "decant_import_pull", pulled())
}

#[test]
fn whatever_a_target_answers_users_are_served_by_the_original_or_by_it_when_that_is_over() {
    let count = 4 * (nonsense().len() + 1) + 2;
    let (world, mut users, plan) = planned(count, &modules().kit);
    let tied = Tied::new(&world);
    let lies = vec![
        ("decant_import_pull", Manner::say(pulled())),
        ("decant_import_verify", Manner::say(Ok::<SealProgress, ()>(seal(3)))),
    ];
    let cases = cases(&TARGET, tied, lies);
    assert_eq!(cases.len(), count);
    let options = Options { canisters: 1, ..Options::default() };
    let with = |kit: &[u8]| {
        let modules = Modules { kit: hostile(kit, &TARGET), ..modules().clone() };
        let mut of_case = world.plan(&modules, &options).expect("the modules are uploaded");
        (of_case.max_canisters, of_case.max_cycles) = (1, plan.max_cycles);
        of_case
    };
    let (mut verified_by_pull, mut to_be_verified) = (with(&modules().kit), with(&never_verifying()));
    let sources = users.originals();
    let watched = Watched::begin(&world);
    for (source, case) in sources.iter().zip(&cases) {
        let of_case = match case.method {
            "decant_import_verify" => &mut to_be_verified,
            _ => &mut verified_by_pull,
        };
        let Strategy::Relocate(relocation) = &mut of_case.strategy else { panic!("it relocates") };
        relocation.init_arg = ByteBuf::from(case.manner.told(&TARGET, case.method));
        world.propose(of_case).expect("the plan is approved");
        hand_over(&world, vec![*source]).expect("the index enrols");
    }
    let jobs = watched.until_told(&world, &sources);
    for (position, job) in jobs.iter().enumerate() {
        let case = &cases[position];
        println!("{}: {:?} {:?} {:?}", case.name, job.state, job.outcome, job.trouble);
        if case.method != "decant_activate" {
            assert!(matches!(job.outcome, Outcome::RolledBack { .. }), "{}: {job:?}", case.name);
            assert_serves(&world, &mut users, position, sources[position]);
        } else if job.outcome != Outcome::Done {
            let target = job.target.expect("it has one");
            tell(&world, target, &TARGET, case.method, &Manner::Honest);
        }
    }
    watched.end(&world, jobs.len(), pool_and_targets(&world, &jobs), &plan);
    tied.release(&world);
    retry_all(&world);
    for (position, job) in settle(&world).iter().enumerate() {
        if cases[position].method == "decant_activate" {
            assert_eq!(job.outcome, Outcome::Done, "{}: {job:?}", cases[position].name);
            assert_serves(&world, &mut users, position, job.target.expect("it moved"));
        }
    }
}

#[test]
fn whatever_a_source_answers_on_the_way_back_that_goes_on_and_it_serves_when_that_is_over() {
    let kit = hostile(&modules().kit, &SOURCE);
    let count = nonsense().len() + 1;
    let (world, mut users, _) = planned(count, &kit);
    let tied = Tied::new(&world);
    let cases = cases(&["decant_thaw"], tied, Vec::new());
    // A target that traps where it is to be verified turns every job back.
    let with_hostile = Modules { kit: hostile(&never_verifying(), &TARGET), ..modules().clone() };
    let options = Options { canisters: 100, in_flight: 20, ..Options::default() };
    let mut plan = world.plan(&with_hostile, &options).expect("the modules are uploaded");
    let Strategy::Relocate(relocation) = &mut plan.strategy else { panic!("it relocates") };
    relocation.init_arg = ByteBuf::from(Manner::Trap.told(&TARGET, "decant_import_verify"));
    let (sources, watched, jobs) = told_to_sources(&world, &users, &plan, &cases);
    for (job, case) in jobs.iter().zip(&cases) {
        println!("{}: {:?} {:?} {:?}", case.name, job.state, job.outcome, job.trouble);
        assert_eq!(job.committed_nanos, None, "{}: {job:?}", case.name);
        tell(&world, job.source, &SOURCE, case.method, &Manner::Honest);
    }
    watched.end(&world, jobs.len(), pool_and_targets(&world, &jobs), &plan);
    tied.release(&world);
    retry_all(&world);
    for (position, job) in settle(&world).iter().enumerate() {
        assert!(matches!(job.outcome, Outcome::RolledBack { .. }), "{}: {job:?}", cases[position].name);
        assert_serves(&world, &mut users, position, sources[position]);
    }
}

/// What an index answers that swaps: one that says so and does not, lies.
const LIE: &str = "decant_swap: an Ok of nothing";
const INDEX: [&str; 2] = ["decant_swap", "decant_ended"];

#[test]
fn whatever_an_index_answers_users_are_served_and_a_job_that_it_holds_up_ends_when_that_is_over() {
    let count = 2 * (nonsense().len() + 1);
    let (world, mut users, plan) = planned(count, &modules().kit);
    let tied = Tied::new(&world);
    let cases = cases(&INDEX, tied, Vec::new());
    assert_eq!(cases.len(), count);
    world.propose(&plan).expect("the plan is approved");
    let module = hostile(&modules().index, &INDEX);
    let upgraded = world.pic.upgrade_canister(world.index, module, nothing(), Some(world.operator));
    upgraded.expect("the index keeps its routes");
    let sources = users.originals();
    let watched = Watched::begin(&world);
    for (position, (source, case)) in sources.iter().zip(&cases).enumerate() {
        tell(&world, world.index, &INDEX, case.method, &case.manner);
        hand_over(&world, vec![*source]).expect("the index enrols");
        let job = watched.until_told(&world, &[*source]).remove(0);
        println!("{}: {:?} {:?} {:?}", case.name, job.state, job.outcome, job.trouble);
        tell(&world, world.index, &INDEX, case.method, &Manner::Honest);
        retry_all(&world);
        settle(&world);
        let job = job_of(&world, *source).expect("it has a job");
        let serving = match &job.outcome {
            Outcome::Done => job.target.expect("it moved"),
            Outcome::RolledBack { .. } if case.method == "decant_swap" => *source,
            other => panic!("{}: {other:?}", case.name),
        };
        if case.name == LIE {
            // The index of a plan is believed. The state is where the coordinator says, and nowhere else.
            let at: Principal = query(&world.pic, world.coordinator, "decant_resolve", (*source,))
                .expect("the coordinator answers");
            assert_eq!(at, serving);
            let rerouted: Result<(), SwapError> =
                update(&world.pic, world.index, world.operator, "reroute", (*source, serving))
                    .expect("the index answers");
            rerouted.expect("and so its routes are mended by hand");
        }
        assert_serves(&world, &mut users, position, serving);
    }
    let jobs = settle(&world);
    watched.end(&world, jobs.len(), pool_and_targets(&world, &jobs), &plan);
    tied.release(&world);
}

#[test]
fn whatever_a_ledger_answers_no_original_is_deleted_before_it_says_that_there_is_nothing() {
    const LEDGER: [&str; 1] = ["icrc1_balance_of"];
    let count = nonsense().len() + 1;
    let (world, mut users, plan) = planned(count, &modules().kit);
    let tied = Tied::new(&world);
    let cases = cases(&LEDGER, tied, Vec::new());
    let module = hostile(&modules().index, &LEDGER);
    let sources = users.originals();
    let watched = Watched::begin(&world);
    let mut ledgers = Vec::new();
    for (source, case) in sources.iter().zip(&cases) {
        let argument =
            candid::encode_one(Coordinator { coordinator: world.coordinator }).expect("it encodes");
        let ledger = install(&world, &module, argument);
        tell(&world, ledger, &LEDGER, case.method, &case.manner);
        world.propose(&Plan { ledgers: vec![ledger], ..plan.clone() }).expect("the plan is approved");
        hand_over(&world, vec![*source]).expect("the index enrols");
        ledgers.push(ledger);
    }
    let jobs = watched.until_told(&world, &sources);
    for (position, job) in jobs.iter().enumerate() {
        println!("{}: {:?} {:?} {:?}", cases[position].name, job.state, job.outcome, job.trouble);
        assert!(world.pic.canister_exists(job.source), "{}: {job:?}", cases[position].name);
        assert_serves(&world, &mut users, position, job.target.expect("it moved"));
        let none = Manner::say(Nat::from(0_u8));
        tell(&world, ledgers[position], &LEDGER, "icrc1_balance_of", &none);
    }
    watched.end(&world, jobs.len(), pool_and_targets(&world, &jobs), &plan);
    tied.release(&world);
    retry_all(&world);
    for (position, job) in settle(&world).iter().enumerate() {
        assert_eq!(job.outcome, Outcome::Done, "{}: {job:?}", cases[position].name);
        assert!(!world.pic.canister_exists(job.source), "{}", cases[position].name);
    }
}

/// What an index is told when it is installed.
#[derive(CandidType)]
struct Coordinator {
    coordinator: Principal,
}

#[test]
fn a_module_that_is_told_nothing_is_itself() {
    let kit = hostile(&modules().kit, &SOURCE);
    let (world, mut users, plan) = planned(1, &kit);
    world.propose(&plan).expect("the plan is approved");
    hand_over(&world, users.originals()).expect("the index enrols");
    let job = settle(&world).remove(0);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    assert_serves(&world, &mut users, 0, job.target.expect("it moved"));
}
