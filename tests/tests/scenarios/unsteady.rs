//! A call that failed may have done what it was asked for: nobody knows, whatever its callee says of it (design, section 6,
//! promises 1, 2 and 4).

use decant_api::jobs::{Batch, Command, JobView, Outcome, Which};
use decant_api::plan::Plan;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::update;
use decant_cli::rehearsal::world::World;
use decant_tests::unsteady::{End, install, named, tell};
use decant_tests::{fleet, hand_over, job_of, modules, settle};
use std::time::Duration;

/// What an index that was let down by another canister may quote of the platform.
const QUOTES: [&str; 8] = [
    "Only the controllers of the canister aaaaa-aa can control it.",
    "Canister aaaaa-aa is out of cycles",
    "Canister aaaaa-aa is rate limited because it executed too many instructions",
    "Snapshot 00 is not currently loadable on the specified canister aaaaa-aa",
    "Canister has no update method 'transfer'",
    "Attempted to execute a message, but the canister contains no Wasm module",
    "Canister aaaaa-aa is stopped",
    "IC0503: Error from Canister aaaaa-aa: Canister called `ic0.trap` with message: 'no'",
];
/// Rounds, of ten seconds each, in which a job ends, or is known to go on when its index does.
const ROUNDS: u32 = 200;

fn retry_all(world: &World) {
    let which = Which { plan: None, code: None, after: 0 };
    let batch: Result<Batch, String> =
        update(&world.pic, world.coordinator, world.operator, "decant_all", (Command::Retry, which))
            .expect("the coordinator answers");
    batch.expect("a controller may");
}

#[test]
fn an_index_that_swapped_before_it_failed_names_the_canister_that_serves_whatever_it_quotes() {
    let ends: Vec<End<'_>> = QUOTES.iter().flat_map(|quote| [End::Trap(quote), End::Reject(quote)]).collect();
    let options = Options { canisters: ends.len() as u32, state_kib: 8, in_flight: 20, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    let index = install(&world);
    let plan = world.plan(modules(), &options).expect("the plan is made");
    let routes = Some(vec![world.index, index]);
    let plan = Plan { routes, max_cycles: 1_000_000_000_000_000, ..plan };
    world.propose(&plan).expect("the plan is approved");
    for (source, end) in users.originals().into_iter().zip(ends) {
        tell(&world, index, end);
        hand_over(&world, vec![source]).expect("the index enrols");
        let is_over = |job: &JobView| job.outcome != Outcome::Running || job.state == "rolling back";
        let mut rounds = 0;
        while !job_of(&world, source).is_some_and(|job| is_over(&job)) && rounds < ROUNDS {
            world.pic.advance_time(Duration::from_secs(10));
            world.pic.tick();
            rounds += 1;
        }
        // It is up again.
        tell(&world, index, End::Acknowledged);
        retry_all(&world);
        settle(&world);
        let job = job_of(&world, source).expect("it has a job");
        let serving = match &job.outcome {
            Outcome::Done => job.target.expect("it moved"),
            Outcome::RolledBack { .. } => source,
            other => panic!("{end:?}: {other:?}"),
        };
        println!("{end:?}: {:?}", job.outcome);
        assert_eq!(named(&world, index), Some(serving), "promise 3, {end:?}: {job:?}");
    }
}
