//! What is known of a fleet before there is any plan.

use candid::Principal;
use decant_api::assess::{AssessArgs, Assessment};
use decant_api::govern::{Decision, Roles};
use decant_cli::rehearsal::Options;
use decant_tests::{fleet, modules};

#[test]
fn a_fleet_is_assessed_without_a_plan_and_told_to_those_alone_who_may_know() {
    let options = Options { canisters: 3, state_kib: 20, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    let originals: Vec<Principal> = users.users.iter().map(|user| user.original).collect();
    let owners = vec![world.operator, world.coordinator];
    for original in &originals[..2] {
        world.pic.set_controllers(*original, Some(world.operator), owners.clone()).expect("they are set");
    }
    world.pic.stop_canister(originals[1], Some(world.operator)).expect("it stops");
    let ask = |caller: Principal| {
        let args = AssessArgs { canisters: [&originals[..], &[world.coordinator]].concat(), bucket_pages: 1 };
        let argument = candid::encode_one(&args).expect("it encodes");
        world.pic.query_call(world.coordinator, caller, "decant_assess", argument)
    };
    assert!(ask(Principal::anonymous()).is_err(), "figures of canisters are for few");
    let was = Roles { operators: vec![world.operator], observers: Vec::new() };
    let now = Roles { observers: vec![world.index], ..was.clone() };
    world.decide(&Decision::Name { was, now }).expect("governance names an observer");
    assert_eq!(ask(world.index).ok(), ask(world.operator).ok(), "an observer is told what an operator is");
    let told: Vec<Assessment> =
        candid::decode_one(&ask(world.operator).expect("an operator may")).expect("it decodes");
    let refusals = |position: usize| -> Vec<&str> {
        told[position].refusals.iter().map(|refusal| refusal.code.as_str()).collect()
    };
    assert_eq!(refusals(0), Vec::<&str>::new(), "{told:?}");
    let (before, after) =
        (told[0].stable_pages.expect("a figure"), told[0].compact_pages.expect("the kit tells"));
    assert!(told[0].has_kit && before > 100 && after < 20, "{:?}", told[0]);
    let days = |price: &decant_api::assess::Price| price.payback_days.expect("it gives memory back");
    assert!(days(&told[0].in_place) < 30 && days(&told[0].fresh) > 100, "{:?}", told[0]);
    assert_eq!(refusals(1), ["NotRunning"]);
    assert_eq!(refusals(2), ["NotAuthorised"]);
    assert_eq!(refusals(3), ["NotEnrolled"], "the coordinator itself");
}
