//! Every step of a job failed once, repeated once, its reply lost once: promise 4, without chance.

use candid::Principal;
use decant_engine::{
    Effect, Entry, Event, Job, Limits, Outcome, Phase, PlanEssentials, Reason, ReasonCode, Retention,
    RunState, State, Step, apply, next_step, replay,
};

use crate::canister::{Content, FREEZING_SECONDS};
use crate::coordinator::{plan, precopied, recycling, tombstone_hash};
use crate::prng::Prng;
use crate::world::{Trouble, World, principal};

#[derive(Debug, Clone, Copy)]
enum Fault {
    Nothing,
    /// It did nothing, and says so.
    Transient,
    /// It did nothing, and nobody knows.
    LostBefore,
    /// It did it, and nobody knows.
    LostAfter,
    /// It did it, twice; the second answer counts unless it is a refusal.
    Twice,
    /// It is refused.
    Refused,
    /// An operator aborts while it is under way.
    Abort,
}

struct Run {
    job: Job,
    world: World,
    calls: Vec<Effect>,
}

/// A job of a quiet world, with one fault at one of its calls.
fn run(plan: PlanEssentials, at_call: u32, fault: Fault) -> Run {
    run_with(plan, at_call, fault, None)
}

/// What users did before an operator goes back behind the commit point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Nothing,
    Write,
}

/// The same; an operator wants it back, once, when its source is retained.
fn run_with(plan: PlanEssentials, at_call: u32, fault: Fault, mut reverts: Option<Since>) -> Run {
    let mut prng = Prng::new(42);
    let mut world = World::new(1, 2, Trouble::Nothing, 0);
    let limits = Limits::default();
    let source = world.users[0].source;
    let indexes = vec![principal(2, 0), principal(2, 1)];
    let enrolled = Job::new(1, source, indexes, plan, 1).expect("a job");
    let mut job = enrolled.clone();
    let mut journal: Vec<Entry> = Vec::new();
    let mut calls = Vec::new();
    let mut now_nanos = 2;
    for _ in 0..400 {
        let mut record = |job: &mut Job, event: Event| {
            apply(job, event.clone(), now_nanos).expect("the driver applies what next_step says");
            journal.push(Entry { at_nanos: now_nanos, event });
            assert_eq!(
                &replay(enrolled.clone(), &journal).expect("promise 4"),
                job,
                "promise 4: the same job"
            );
        };
        match next_step(&job, now_nanos, &limits) {
            Step::Call { ticket, effect, .. } => {
                record(&mut job, Event::Started { ticket });
                calls.push(effect.clone());
                let lost = Outcome::Unknown(ReasonCode::ReplyLost.into());
                let mut call = || world.execute(1, &effect, &mut prng);
                let outcome = match if ticket == at_call { fault } else { Fault::Nothing } {
                    Fault::Nothing => call(),
                    Fault::Transient => Outcome::Transient(ReasonCode::Rejected.into()),
                    Fault::LostBefore => lost,
                    Fault::LostAfter => {
                        call();
                        lost
                    }
                    Fault::Twice => {
                        let first = call();
                        match call() {
                            Outcome::Refused(_) => first,
                            second => second,
                        }
                    }
                    Fault::Refused => Outcome::Refused(Reason::new(ReasonCode::Rejected, "once")),
                    Fault::Abort => {
                        let mut asked = job.clone();
                        if apply(&mut asked, Event::AbortRequested, now_nanos).is_ok() {
                            record(&mut job, Event::AbortRequested);
                        }
                        call()
                    }
                };
                record(&mut job, Event::Replied { ticket, outcome });
            }
            Step::Record(event) => record(&mut job, event),
            Step::TakeFromPool => {
                let target = world.create_canister().expect("a canister");
                record(&mut job, Event::TargetTaken { target, is_new: true });
            }
            Step::ReturnToPool { .. } => record(&mut job, Event::TargetReturned),
            Step::Wait { .. } if reverts.is_some() && matches!(job.state(), State::Retaining { .. }) => {
                if reverts.take() == Some(Since::Write) {
                    world.write(&mut prng);
                    world.finish_open_call(&mut prng);
                }
                record(&mut job, Event::RevertRequested);
            }
            Step::HandToPool { source } => {
                assert_is_fresh(&world, source);
                record(&mut job, Event::SourceHandedOver);
            }
            Step::Wait { until_nanos } => now_nanos = until_nanos,
            Step::InFlight { .. } => panic!("the driver replies at once"),
            Step::Finished | Step::Parked => return Run { job, world, calls },
        }
        let open =
            world.canisters.values().filter(|it| it.accepts_writes() && it.content != Content::default());
        assert!(open.count() <= 1, "promise 1: {fault:?} at {at_call}: {:?}", job.state());
        // What follows of a look is sent in the message that received it.
        if !matches!(job.attempt().phase, Phase::Looked { .. }) {
            now_nanos += 1;
        }
    }
    panic!("promise 8: termination: {:?}", job.state());
}

/// Nothing of a user is left in it.
fn assert_is_fresh(world: &World, source: Principal) {
    let canister = &world.canisters[&source];
    let of_pool = world.canisters.keys().find(|id| world.targets_ever.contains(id) && **id != source);
    assert!(of_pool.is_some() && canister.module.is_none(), "{canister:?}");
    assert_eq!(canister.settings.controllers, [world.coordinator]);
    assert_eq!((canister.content, canister.sealed.as_ref()), (Content::default(), None));
    assert_eq!((canister.run_state, canister.freezing_seconds), (RunState::Running, FREEZING_SECONDS));
}

/// A plan for each end of an original.
fn plans() -> [PlanEssentials; 4] {
    let tombstone = Retention::Tombstone { module_hash: tombstone_hash() };
    let recycled = recycling(plan(Retention::None));
    [plan(Retention::None), plan(Retention::Frozen { seconds: 9 }), plan(tombstone), recycled]
}

fn model(world: &World) -> Content {
    world.users[0].model
}

#[test]
fn promise_4_every_step_failed_lost_or_repeated_once_comes_to_the_same_end() {
    for plan in plans() {
        let calm = run(plan, 0, Fault::Nothing);
        assert!(matches!(calm.job.state(), State::Done { .. }));
        for at_call in 1..=calm.job.counters().calls {
            for fault in [Fault::Transient, Fault::LostBefore, Fault::LostAfter, Fault::Twice] {
                let end = run(plan, at_call, fault);
                assert_eq!(end.job.state(), calm.job.state(), "{fault:?} at {at_call}, {plan:?}");
                assert_eq!(end.job.counters().drained_cycles, calm.job.counters().drained_cycles);
                assert_eq!(end.job.counters().burned_cycles, calm.job.counters().burned_cycles);
                let target = end.job.target().expect("a target");
                assert!(end.world.canisters[&target].content.same_writes(model(&end.world)));
            }
        }
    }
}

#[test]
fn every_step_refused_once_ends_rolled_back_or_after_the_commit_point_done() {
    for plan in plans() {
        let calm = run(plan, 0, Fault::Nothing);
        let mut ends = Vec::new();
        for at_call in 1..=calm.job.counters().calls {
            for fault in [Fault::Refused, Fault::Abort] {
                let end = run(plan, at_call, fault);
                let is_done = matches!(end.job.state(), State::Done { .. });
                let holder = if is_done { end.job.target().expect("a target") } else { end.job.source() };
                let canister = &end.world.canisters[&holder];
                assert!(canister.accepts_writes(), "{fault:?} at {at_call}: who holds the state serves");
                assert!(canister.content.same_writes(model(&end.world)));
                assert!(
                    end.world.routes.values().all(|routes| routes[&0] == holder),
                    "{fault:?} at {at_call}"
                );
                ends.push(is_done);
            }
        }
        let committed = ends.iter().position(|is_done| *is_done).expect("some are done");
        assert!(ends[committed..].iter().all(|is_done| *is_done), "after the commit point none goes back");
        assert_eq!(committed, 2 * 15, "15 calls come before the commit point, two indexes included");
    }
}

#[test]
fn promise_4_a_pre_copy_failed_lost_repeated_or_refused_once_comes_to_the_same_end() {
    let faults =
        [Fault::Transient, Fault::LostBefore, Fault::LostAfter, Fault::Twice, Fault::Refused, Fault::Abort];
    for simple in plans() {
        let plan = precopied(simple);
        let calm = run(plan, 0, Fault::Nothing);
        let methods: Vec<_> = calm.calls.iter().map(Effect::method).collect();
        assert_eq!(
            methods[4..8],
            ["decant_import_begin", "decant_offer", "decant_import_precopy", "decant_freeze"]
        );
        assert_eq!(methods.len(), run(simple, 0, Fault::Nothing).calls.len() + 2);
        for (at_call, fault) in (1..=8).flat_map(|call| faults.map(|fault| (call, fault))) {
            let end = run(plan, at_call, fault);
            let is_back = match fault {
                Fault::Abort => true,
                // A freeze can't be done without, a pre-copy can.
                Fault::Refused => !matches!(at_call, 6 | 7),
                _ => false,
            };
            let source = &end.world.canisters.get(&end.job.source());
            match is_back {
                true => {
                    assert!(matches!(end.job.state(), State::RolledBack { .. }), "{fault:?} at {at_call}");
                    let source = source.expect("the source exists");
                    assert!(source.accepts_writes() && source.offer.is_none(), "{fault:?} at {at_call}");
                }
                false => assert_eq!(end.job.state(), calm.job.state(), "{fault:?} at {at_call}"),
            }
        }
    }
}

/// Who serves at the end, with all that users wrote, and where every route leads: the source, or the target.
fn serves_from_source(end: &Run) -> bool {
    let is_back = matches!(end.job.state(), State::RolledBack { .. });
    let holder = if is_back { end.job.source() } else { end.job.target().expect("a target") };
    let canister = &end.world.canisters[&holder];
    assert!(canister.accepts_writes() && canister.content.same_writes(model(&end.world)), "{:?}", end.job);
    assert!(end.world.routes.values().all(|routes| routes[&0] == holder), "{:?}", end.job);
    is_back
}

#[test]
fn promises_1_2_3_and_4_hold_when_each_step_of_a_revert_is_failed_lost_repeated_or_refused() {
    let frozen = PlanEssentials { has_asset_checks: true, ..plan(Retention::Frozen { seconds: 100_000 }) };
    for since in [Since::Nothing, Since::Write] {
        let calm = run_with(frozen, 0, Fault::Nothing, Some(since));
        assert_eq!(serves_from_source(&calm), since == Since::Nothing);
        let is_of_revert = |effect: &Effect| effect.method() == "decant_activate";
        let activated = calm.calls.iter().position(is_of_revert).expect("the target serves") as u32 + 1;
        for at_call in activated + 1..=calm.job.counters().calls {
            for fault in [Fault::Transient, Fault::LostBefore, Fault::LostAfter, Fault::Twice] {
                let end = run_with(frozen, at_call, fault, Some(since));
                assert_eq!(end.job.state(), calm.job.state(), "{fault:?} at {at_call}, {since:?}");
                serves_from_source(&end);
            }
        }
        // What is refused before the routes are swapped back is taken back; from then on it is asked again.
        let of_way_back = calm.calls.iter().skip(activated as usize).map(Effect::method);
        let of_revert = of_way_back.take_while(|method| *method != "decant_swap").count() as u32;
        for at_call in activated + 1..=activated + of_revert {
            let end = run_with(frozen, at_call, Fault::Refused, Some(since));
            assert!(!serves_from_source(&end), "at {at_call}, {since:?}");
        }
        if since == Since::Nothing {
            for at_call in activated + of_revert + 1..=calm.job.counters().calls {
                let end = run_with(frozen, at_call, Fault::Refused, Some(since));
                assert!(serves_from_source(&end), "at {at_call}");
            }
        }
    }
}

#[test]
fn a_relocation_makes_no_more_calls_than_its_protocol_has() {
    let methods = |plan| {
        let end = run(plan, 0, Fault::Nothing);
        end.calls.iter().map(Effect::method).collect::<Vec<_>>()
    };
    let expected = [
        "canister_status",
        "decant_status",
        "update_settings",
        "install_chunked_code",
        "decant_import_begin",
        "decant_freeze",
        "stop_canister",
        "canister_status",
        "start_canister",
        "decant_seal",
        "decant_import_pull",
        "decant_import_verify",
        "decant_recheck",
        "decant_swap",
        "decant_swap",
        "decant_retire",
        "decant_activate",
        "canister_status",
        "update_settings",
        "decant_drain",
        "stop_canister",
        "canister_status",
        "delete_canister",
    ];
    assert_eq!(methods(plan(Retention::None)), expected);
    let emptied =
        ["uninstall_code", "canister_status", "update_settings", "canister_status", "start_canister"];
    let recycled = [&expected[..expected.len() - 1], &emptied].concat();
    assert_eq!(methods(recycling(plan(Retention::None))), recycled, "instead of its deletion");
}
