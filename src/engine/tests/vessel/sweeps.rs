//! Every call of a job failed, lost, repeated and aborted, once, twice and for ever: promise 4 without chance.

use decant_engine::{Effect, Retention, State, Strategy};

use crate::run::{Fault, Run, plans};
use crate::world::{Timers, Trouble};

const SEED: u64 = 42;

type Plan = (Strategy, Retention, Timers);

/// Every plan without a timer, and with one that is copied.
fn timed_plans() -> impl Iterator<Item = Plan> {
    let timers = [Timers::Never, Timers::Kept];
    plans()
        .into_iter()
        .flat_map(move |(strategy, retention)| timers.map(|timers| (strategy, retention, timers)))
}

/// The short ones, for what is squared.
const SHORT: [fn() -> Plan; 4] = [
    || (Strategy::Repack, Retention::None, Timers::Never),
    || (Strategy::RelocateVessel, Retention::None, Timers::Never),
    || (Strategy::Repack, Retention::None, Timers::Kept),
    || (Strategy::RelocateVessel, Retention::None, Timers::Kept),
];

fn new(plan: Plan) -> Run {
    let (strategy, retention, timers) = plan;
    let mut run = Run::new((strategy, retention), Trouble::Nothing, SEED);
    run.world.timers = timers;
    run.world.slowness = 100;
    // Half of them survey.
    run.world.is_known = timers == Timers::Never;
    run
}

fn calm(plan: Plan) -> Run {
    faulty(plan, &[])
}

/// A job with these faults at these calls.
fn faulty(plan: Plan, faults: &[(u32, Fault)]) -> Run {
    let mut run = new(plan);
    run.run(&mut |ticket, _, _| {
        faults.iter().find(|(at, _)| *at == ticket).map_or(Fault::Nothing, |(_, fault)| *fault)
    });
    run
}

fn calls(run: &Run) -> u32 {
    run.job.counters().calls
}

#[test]
fn a_repack_makes_no_more_calls_than_its_protocol_has() {
    let mut run = new((Strategy::Repack, Retention::None, Timers::Never));
    run.world.slowness = 0;
    run.run(&mut |_, _, _| Fault::Nothing);
    let methods: Vec<_> = run.calls.iter().map(|(effect, _)| effect.method()).collect();
    let expected = [
        // Queued, Listing, Recalling: known, so that no survey is needed.
        "canister_status",
        "list_canister_snapshots",
        "nothing",
        // Ready, Still, Saved, Undressing, Undressed, Sealing: a look before each change, or what was acknowledged in the
        // message that sends it.
        "canister_status",
        "stop_canister",
        "canister_status",
        "take_canister_snapshot",
        "read_canister_snapshot_data",
        "canister_status",
        "install_chunked_code",
        "start_canister",
        "decant_seal",
        // Measuring, Owning, Planned, Furnishing, Pouring, Disowning.
        "decant_pour",
        "canister_status",
        "update_settings",
        "upload_canister_snapshot_metadata",
        "upload_canister_snapshot_data",
        "decant_pour",
        "decant_pour",
        "canister_status",
        "update_settings",
        // Halting, Halted, Loaded, Revived, Proving.
        "canister_status",
        "stop_canister",
        "canister_status",
        "load_canister_snapshot",
        "install_chunked_code",
        "start_canister",
        "decant_seal",
        // Resting, Dressing, Dressed, Starting, Serving, and what was left.
        "stop_canister",
        "canister_status",
        "install_chunked_code",
        "canister_status",
        "start_canister",
        "canister_status",
        "delete_canister_snapshot",
        "delete_canister_snapshot",
    ];
    assert_eq!(methods, expected);
    assert!(run.world.accepted_writes > 10, "users write all the while: {}", run.world.accepted_writes);
}

#[test]
fn promise_4_every_call_failed_lost_or_repeated_once_comes_to_the_same_end() {
    for plan in timed_plans() {
        let calm = calm(plan);
        assert!(calm.is_done(), "{:?}", calm.job);
        for at in 1..=calls(&calm) {
            for fault in Fault::HARMLESS {
                let run = faulty(plan, &[(at, fault)]);
                assert_eq!(run.job.state(), &ended(&run, &calm), "{fault:?} at {at} of {plan:?}");
            }
        }
    }
}

/// How the calm job ended, with the root that this one has: users wrote other things meanwhile.
fn ended(run: &Run, calm: &Run) -> State {
    match (calm.job.state(), run.job.state()) {
        (State::Done { .. }, State::Done { root }) => State::Done { root: *root },
        (other, _) => other.clone(),
    }
}

#[test]
fn every_call_refused_or_aborted_once_ends_rolled_back_or_after_the_commit_point_done() {
    for plan in timed_plans() {
        let calm = calm(plan);
        let is_commit = |call: &(Effect, bool)| match plan.0 {
            Strategy::Repack => matches!(call.0, Effect::Start { .. }),
            _ => matches!(call.0, Effect::Swap { .. }),
        };
        let commit = calm.calls.iter().rposition(is_commit).expect("a commit point") as u32;
        // The last call that can go back: the look, or two of the timer, before the start; the last swap.
        let commit = if plan.0 == Strategy::Repack { commit } else { commit + 1 };
        let is_timing = |at: u32| {
            let dressed = calm.calls.iter().rposition(|(it, _)| matches!(it, Effect::Upgrade { .. }));
            at as usize > dressed.expect("it is dressed") + 2 && at <= commit && plan.0 == Strategy::Repack
        };
        for at in 1..=calls(&calm) {
            for fault in Fault::HARMFUL {
                let run = faulty(plan, &[(at, fault)]);
                assert!(run.job.state().is_ended(), "{fault:?} at {at} of {plan:?}: {:?}", run.job);
                // What can't be known of a timer does not hold a job up.
                let is_done = at > commit || fault == Fault::Refused && is_timing(at);
                assert_eq!(run.is_done(), is_done, "{fault:?} at {at} of {plan:?}: {:?}", run.job);
            }
        }
    }
}

#[test]
fn two_faults_at_any_two_calls_end_the_job_and_lose_nothing() {
    let mut runs = 0_u32;
    for plan in SHORT.map(|plan| plan()) {
        let first_calls = calls(&calm(plan));
        for first in 1..=first_calls {
            for fault in Fault::all() {
                let one = (first, fault);
                for second in first + 1..=calls(&faulty(plan, &[one])) {
                    for other in Fault::all() {
                        let mut run = faulty(plan, &[one, (second, other)]);
                        runs += 1;
                        run.mend();
                    }
                }
            }
        }
    }
    println!("{runs} pairs");
    assert!(runs > 10_000);
}

#[test]
fn promise_8_a_call_that_never_works_rolls_back_parks_or_waits_and_moves_on_when_mended() {
    for plan in timed_plans() {
        let calm = calm(plan);
        for at in 1..=calls(&calm) {
            for fault in [Fault::Transient, Fault::Refused, Fault::LostBefore, Fault::LostAfter, Fault::Crash]
            {
                for way_back in [false, true] {
                    let mut run = new(plan);
                    let mut stuck = None;
                    run.run(&mut |ticket, _, job| {
                        // The call of that state, for ever; or after an abort there, the first call back.
                        if way_back && ticket == at {
                            return Fault::Abort;
                        }
                        if ticket == at + u32::from(way_back) {
                            stuck = Some(job.state().clone());
                        }
                        if stuck.as_ref() == Some(job.state()) { fault } else { Fault::Nothing }
                    });
                    run.mend();
                }
            }
        }
    }
}

#[test]
fn promise_8_every_undo_that_never_works_waits_and_moves_on_by_itself_when_mended() {
    let mut waited = 0;
    for plan in SHORT.map(|plan| plan()) {
        let forth = calls(&calm(plan));
        for at in 1..=forth {
            let back = calls(&faulty(plan, &[(at, Fault::Refused)]));
            for undo in at + 1..=back {
                let mut run = new(plan);
                let mut stuck = None;
                run.run(&mut |ticket, _, job| {
                    if ticket == at {
                        return Fault::Refused;
                    }
                    if ticket == undo {
                        stuck = Some(job.state().clone());
                    }
                    if stuck.as_ref() == Some(job.state()) { Fault::Refused } else { Fault::Nothing }
                });
                let is_back = run.job.state().stage() == decant_engine::Stage::RollingBack;
                assert!(
                    !(is_back && run.job.state().is_parked()),
                    "the way back needs nobody: {:?}",
                    run.job
                );
                waited += u32::from(run.is_stuck());
                run.mend();
            }
        }
    }
    assert!(waited > 20, "{waited}");
}
