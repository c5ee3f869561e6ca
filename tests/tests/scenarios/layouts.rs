//! Stable memory as it is laid out in the field: behind other pages, in a memory of a manager, and with something behind it.
//! Moved as the plan says, or refused with what it is; used on afterwards.

use candid::{CandidType, Principal};
use decant_api::jobs::{JobView, Outcome};
use decant_api::plan::{Plan, Relocation, Retention, Strategy};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use decant_tests::dapps::{Way, enrolled, routed, saying, used_without_heap, world};
use decant_tests::repack::{job, refusal, status, wasm};
use decant_tests::vessel::upgrade;
use decant_tests::{modules, settle};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// How a canister of `regions` lays its stable memory out.
#[derive(Debug, Clone, Copy, CandidType)]
struct Spec {
    prefix_pages: u64,
    bucket_pages: u16,
    is_nested: bool,
    behind_page: Option<u64>,
    opens_at_init: bool,
}

/// A manager at page 0 in large buckets, and nothing besides.
const PLAIN: Spec =
    Spec { prefix_pages: 0, bucket_pages: 128, is_nested: false, behind_page: None, opens_at_init: false };
/// An archive of an ICRC-1 ledger, the archive of Internet Identity: page 0 is a cell.
const ARCHIVE: Spec = Spec { prefix_pages: 1, ..PLAIN };
/// A station of Orbit: 48 pages are a cell's.
const STATION: Spec = Spec { prefix_pages: 48, bucket_pages: 16, ..PLAIN };
/// stable-fs: memory 254 of the manager holds a manager.
const FILES: Spec = Spec { is_nested: true, ..PLAIN };
/// Something lives behind the manager.
const BEHIND: Spec = Spec { behind_page: Some(400), ..PLAIN };

/// What it says of itself.
#[derive(Debug, PartialEq, Eq, CandidType, Deserialize)]
struct Notes {
    before: String,
    filling_bytes: u64,
    entries: Vec<String>,
    nested: Vec<String>,
    behind: String,
}

fn argument(spec: Spec) -> Vec<u8> {
    candid::encode_one(spec).expect("a specification encodes")
}

/// The argument of one whose `init` leaves stable memory alone, as a target's must.
pub(crate) fn opened_later() -> Vec<u8> {
    argument(PLAIN)
}

/// A canister of a user with two notes, that was not moved yet.
pub(crate) fn noted(world: &World, user: u64) -> Principal {
    regions(world, user, PLAIN)
}

/// The argument of one whose `init` opens its memories.
pub(crate) fn opened_at_init() -> Vec<u8> {
    argument(Spec { opens_at_init: true, ..PLAIN })
}

pub(crate) fn note(world: &World, canister: Principal, text: &str) {
    let _: u64 = update(&world.pic, canister, world.operator, "note", (text,)).expect("it is noted");
}

fn notes(world: &World, canister: Principal) -> Notes {
    query(&world.pic, canister, "notes", ()).expect("the canister answers")
}

/// A canister with two notes.
fn regions(world: &World, user: u64, spec: Spec) -> Principal {
    let canister = routed(world, user, &wasm("regions"), argument(spec));
    ["one", "two"].iter().for_each(|text| note(world, canister, text));
    canister
}

fn plan(world: &World, way: Way, spec: Spec, manager_page: Option<u64>) -> Plan {
    let plan = way.plan(world, vec![used_without_heap(&wasm("regions"), argument(spec))]);
    saying(plan, |by| by.manager_page = manager_page)
}

fn run(world: &World, plan: &Plan, canister: Principal) -> JobView {
    world.propose(plan).expect("the plan is approved");
    let id = enrolled(world, &[canister])[0];
    settle(world);
    job(world, id)
}

/// All is there, is used on, and survives an upgrade.
fn assert_goes_on(world: &World, canister: Principal, spec: Spec, before: &Notes) {
    assert_eq!(&notes(world, canister), before, "{spec:?}");
    for number in 0..200 {
        note(world, canister, &format!("{number} {}", "long ".repeat(200)));
    }
    note(world, canister, "last");
    upgrade(world, canister, &wasm("regions"), argument(spec));
    let after = notes(world, canister);
    assert_eq!(after.entries.len(), before.entries.len() + 201, "{spec:?}");
    assert_eq!(after.entries[..2], before.entries[..], "{spec:?}");
    let has = |is_there: bool, text: &str| if is_there { text.to_owned() } else { String::new() };
    assert_eq!(after.before, has(spec.prefix_pages > 0, "last"), "{spec:?}");
    assert_eq!(after.filling_bytes, before.filling_bytes, "{spec:?}");
    assert_eq!(after.nested.len(), if spec.is_nested { after.entries.len() } else { 0 }, "{spec:?}");
}

#[test]
fn a_manager_behind_other_pages_is_found_and_moved_with_them_when_the_plan_says_where_it_is() {
    for (spec, page, user) in [(ARCHIVE, 1, 1), (STATION, 48, 2)] {
        let world = world();
        for (way, user) in Way::BOTH.into_iter().zip([user, user + 10]) {
            let canister = regions(&world, user, spec);
            let before = notes(&world, canister);
            assert!(before.filling_bytes >= 64_000 * page, "every page before the manager is in use");
            let stood = status(&world, canister);
            let refused = run(&world, &plan(&world, way, spec, None), canister);
            let found = format!("one begins at page {page} of {canister}");
            assert!(refusal(&refused).contains(&found), "{refused:?}");
            assert_eq!(refused.fenced_nanos, None, "it was never stopped");
            let elsewhere = run(&world, &plan(&world, way, spec, Some(page + 1)), canister);
            assert!(refusal(&elsewhere).contains(&found), "{elsewhere:?}");
            let moved = run(&world, &plan(&world, way, spec, Some(page)), canister);
            assert_eq!(moved.outcome, Outcome::Done, "{way:?}: {moved:?}");
            let place = moved.target.unwrap_or(canister);
            let stands = status(&world, place);
            assert_eq!(stands.stable_pages(), 1 + moved.used_pages, "promise 7");
            assert!(stands.stable_pages() < stood.stable_pages(), "{stands:?}");
            assert_goes_on(&world, place, spec, &before);
        }
    }
}

#[test]
fn voters_read_where_the_manager_begins_and_that_what_lies_before_it_is_kept() {
    let world = world();
    let at = |page| world.propose(&plan(&world, Way::Repack, STATION, page)).expect("the plan is approved");
    assert!(at(Some(48)).contains("the MemoryManager begins at page 48, and what lies before it is kept"));
    assert!(!at(None).contains("MemoryManager begins"));
    let refused = world.propose(&plan(&world, Way::Repack, STATION, Some(1 << 32)));
    let why = refused.expect_err("no stable memory is so large").to_string();
    assert!(why.contains("manager_page"), "{why}");
}

#[test]
fn a_manager_in_a_memory_is_moved_with_all_that_it_holds() {
    let world = world();
    for (way, user) in Way::BOTH.into_iter().zip([1, 2]) {
        let canister = regions(&world, user, FILES);
        let before = notes(&world, canister);
        assert_eq!(before.nested, ["one", "two"]);
        let moved = run(&world, &plan(&world, way, FILES, None), canister);
        assert_eq!(moved.outcome, Outcome::Done, "{way:?}: {moved:?}");
        // An operator reads what only its own code could give back.
        let is_told = moved.nested_pages.is_some();
        assert_eq!(is_told, way == Way::Repack, "{moved:?}");
        assert_goes_on(&world, moved.target.unwrap_or(canister), FILES, &before);
    }
}

#[test]
fn a_manager_in_a_memory_is_not_moved_by_itself_and_its_canister_grows_on() {
    // Three memories of a bucket lie before the one that holds a manager.
    const INNER_PAGE: u64 = 1 + 3 * 128;
    let world = world();
    for (way, user) in Way::BOTH.into_iter().zip([1, 2]) {
        let canister = regions(&world, user, FILES);
        let before = notes(&world, canister);
        let refused = run(&world, &plan(&world, way, FILES, Some(INNER_PAGE)), canister);
        let inside = "page 385 lies inside of the MemoryManager at page 0, which ends at page 513";
        assert!(refusal(&refused).contains(inside), "{way:?}: {refused:?}");
        assert_eq!(refused.fenced_nanos, None, "it was never stopped");
        assert_goes_on(&world, canister, FILES, &before);
    }
}

#[test]
fn what_lives_behind_the_manager_is_refused_by_name_and_lives_on() {
    let world = world();
    let canister = regions(&world, 1, BEHIND);
    let before = notes(&world, canister);
    assert_eq!(before.behind, "two");
    let kit = world.plan(modules(), &Options::default()).expect("the plan is made");
    let Strategy::Relocate(relocation) = kit.strategy else { panic!("a rehearsal relocates") };
    let module = world.upload(&wasm("regions")).expect("the module is uploaded");
    let init_arg = ByteBuf::from(argument(BEHIND));
    let strategy = Strategy::Relocate(Relocation { module, init_arg, ..relocation });
    let kit = Plan { strategy, retention: Retention::None, ..kit };
    let plans = [kit, plan(&world, Way::Repack, BEHIND, None), plan(&world, Way::Relocate, BEHIND, None)];
    for plan in plans {
        let refused = run(&world, &plan, canister);
        assert!(refusal(&refused).contains("StableCell at page 400"), "{refused:?}");
        assert!(refusal(&refused).contains("behind the last bucket"), "{refused:?}");
        assert_eq!(refused.fenced_nanos, None, "it never stopped serving");
        assert_eq!(notes(&world, canister), before);
    }
    note(&world, canister, "three");
    assert_eq!(notes(&world, canister).behind, "three");
}
