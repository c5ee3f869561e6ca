//! What indexes are answered. What jobs made of a canister (moved, a target) is told by scenarios.

use super::{Asked, BATCH, enrol, withdraw};
use crate::store;
use crate::tests::{canister, plan};
use candid::Principal;
use decant_api::plan::Plan;
use decant_api::routes::{EnrolError, WithdrawError};
use decant_engine::State;

const INDEX: Principal = canister(1);
const OTHER_INDEX: Principal = canister(2);
const OWN: Principal = canister(3);
const GOVERNANCE: Principal = canister(4);
const USER: Principal = canister(100);

fn asked(index: Principal) -> Asked {
    Asked { index, own: OWN, now_nanos: 5 }
}

#[test]
fn each_canister_is_answered_for_and_asking_again_gives_the_same_job() {
    store::add_plan(plan());
    let canisters = [USER, Principal::anonymous(), canister(101), USER];
    let answers = enrol(&asked(INDEX), &canisters);
    assert_eq!(answers, [Ok(1), Err(EnrolError::NoCanister), Ok(2), Ok(1)]);
    assert_eq!(enrol(&asked(INDEX), &canisters), answers, "a reply may be lost");
    assert_eq!(store::plan(1).expect("the plan is there").used.enrolled, 2, "each counts once");
}

#[test]
fn what_can_t_be_moved_is_refused_at_once_with_a_code() {
    store::set_governance(GOVERNANCE);
    store::add_plan(Plan { routes: Some(vec![OTHER_INDEX]), ..plan() });
    store::put_in_pool(canister(50), &store::Pooled::default());
    let person = Principal::self_authenticating(b"a person");
    let refused = [
        (OWN, EnrolError::Coordinator),
        (GOVERNANCE, EnrolError::Governance),
        (INDEX, EnrolError::Index),
        (OTHER_INDEX, EnrolError::Index),
        (canister(50), EnrolError::Pool),
        (Principal::management_canister(), EnrolError::NoCanister),
        (Principal::anonymous(), EnrolError::NoCanister),
        (person, EnrolError::NoCanister),
    ];
    for (canister, why) in refused {
        assert_eq!(enrol(&asked(INDEX), &[canister]), [Err(why)], "{canister}");
    }
    assert_eq!(store::plan(1).expect("the plan is there").used.enrolled, 0);
}

#[test]
fn every_index_that_the_plan_says_is_swapped_and_otherwise_the_one_that_enrols() {
    let job_of = |canister| store::job_of(canister).and_then(store::job).expect("it has a job");
    store::add_plan(plan());
    enrol(&asked(INDEX), &[USER]);
    assert_eq!(job_of(USER).indexes(), [INDEX]);
    store::add_plan(Plan { routes: Some(vec![OTHER_INDEX, INDEX]), ..plan() });
    enrol(&asked(INDEX), &[canister(101)]);
    assert_eq!(job_of(canister(101)).indexes(), [OTHER_INDEX, INDEX]);
}

#[test]
fn a_plan_takes_its_canisters_and_one_call_takes_a_thousand() {
    store::add_plan(Plan { max_canisters: 1, ..plan() });
    let answers = enrol(&asked(INDEX), &[USER, canister(101)]);
    assert_eq!(answers, [Ok(1), Err(EnrolError::PlanUsedUp { max_canisters: 1 })]);
    store::add_plan(Plan { max_canisters: 10_000, ..plan() });
    let many: Vec<Principal> = (0..=BATCH as u64)
        .map(|number| {
            let mut id = [9; 10];
            id[..8].copy_from_slice(&number.to_be_bytes());
            id[9] = 1;
            Principal::from_slice(&id)
        })
        .collect();
    let answers = enrol(&asked(INDEX), &many);
    assert!(answers[..BATCH].iter().all(Result::is_ok));
    assert_eq!(answers[BATCH], Err(EnrolError::TooMany { limit: BATCH as u64 }));
}

#[test]
fn what_is_taken_back_from_the_line_has_ended_and_leaves_its_place_to_another() {
    store::add_plan(Plan { max_canisters: 1, ..plan() });
    store::add_plan(Plan { indexes: vec![OTHER_INDEX], ..plan() });
    enrol(&asked(INDEX), &[USER]);
    let refused = withdraw(&asked(OTHER_INDEX), &[USER, canister(101)]);
    assert_eq!(refused, [Err(WithdrawError::OtherIndex { job: 1 }), Err(WithdrawError::NotEnrolled)]);
    for _ in 0..2 {
        assert_eq!(withdraw(&asked(INDEX), &[USER]), [Ok(1)], "and again the same");
    }
    let job = store::job(1).expect("the job is there");
    assert!(matches!(job.state(), State::RolledBack { .. }), "{:?}", job.state());
    assert_eq!(enrol(&asked(INDEX), &[canister(101)]), [Ok(2)]);
}

#[test]
fn whom_no_plan_names_enrols_nothing() {
    store::add_plan(plan());
    let answers = enrol(&asked(OTHER_INDEX), &[USER]);
    assert!(matches!(answers[..], [Err(EnrolError::Plan { plan: 0, .. })]), "{answers:?}");
    assert_eq!(store::job_of(USER), None);
}
