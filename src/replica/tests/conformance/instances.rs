//! Instances: created with subnets, isolated from each other, deterministic, deleted. The specification
//! leaves them to the implementation; cited is the documentation of the `pocket-ic` crate.

use crate::support::canisters::{install_universal, number, run, slot, stranger};
use crate::support::engine;
use crate::support::http;
use crate::support::script::script;
use crate::support::wait;

/// `PocketIcBuilder`: an instance has the subnets that were asked for.
#[test]
fn an_instance_has_the_subnets_it_was_created_with() {
    let pic = engine::builder()
        .with_nns_subnet()
        .with_sns_subnet()
        .with_system_subnet()
        .with_application_subnet()
        .with_application_subnet()
        .build();
    let topology = pic.topology();
    assert!(topology.get_nns().is_some());
    assert!(topology.get_sns().is_some());
    assert_eq!(topology.get_system_subnets().len(), 1);
    assert_eq!(topology.get_app_subnets().len(), 2);
    assert_eq!(topology.subnet_configs.len(), 5);
}

/// `Topology::get_subnet`: canister ids tell the subnet, so ranges can't overlap (also "Effective canister
/// id").
#[test]
fn canister_ranges_of_subnets_do_not_overlap() {
    let pic = engine::builder().with_nns_subnet().with_application_subnet().with_application_subnet().build();
    let topology = pic.topology();
    let mut ranges: Vec<_> = topology.subnet_configs.values().flat_map(|s| &s.canister_ranges).collect();
    ranges.sort();
    assert!(ranges.len() >= 3);
    assert!(ranges.iter().all(|range| range.start <= range.end));
    assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
}

/// `PocketIc::root_key`: the key of the NNS subnet as opaque bytes, none without such a subnet.
#[test]
fn the_root_key_is_that_of_the_nns_subnet() {
    let with_nns = engine::builder().with_nns_subnet().with_application_subnet().build();
    assert!(with_nns.root_key().is_some_and(|key| !key.is_empty()));
    assert_eq!(engine::pic().root_key(), None);
}

/// `PocketIc`: each instance is an IC of its own, even where ids are equal.
#[test]
fn instances_do_not_see_each_other() {
    let (here, there) = (engine::pic(), engine::pic());
    let canister = install_universal(&here);
    run(&here, canister, script().int(7).set(0).reply());
    assert!(here.canister_exists(canister));
    assert!(!there.canister_exists(canister));

    let twin = install_universal(&there);
    assert_eq!(twin, canister, "both count canister ids from the same start");
    assert_eq!(slot(&there, twin, 0), 0);
    run(&there, twin, script().int(8).set(0).reply());
    assert_eq!(slot(&here, canister, 0), 7);
    assert_eq!(slot(&there, twin, 0), 8);
}

/// `PocketIc`: dropping the handle deletes the instance, and only that one.
#[test]
fn a_deleted_instance_answers_with_an_error_and_the_others_live_on() {
    let (doomed, other) = (engine::pic(), engine::pic());
    let canister = install_universal(&other);
    let path = http::path(&doomed, "read/get_time");
    assert_eq!(http::request(&other, "GET", &path, "").status, 200);
    drop(doomed);
    let gone = http::request(&other, "GET", &path, "");
    assert!((400..500).contains(&gone.status), "{gone:?}");
    assert!(gone.body.contains("message"), "{gone:?}");
    assert_eq!(slot(&other, canister, 0), 0);
}

/// Design, section 8: the same calls give the same run. PocketIC numbers canisters and keeps time likewise.
#[test]
fn the_same_calls_on_fresh_instances_give_the_same_run() {
    let history = || {
        let pic = engine::pic();
        let canister = install_universal(&pic);
        let busy = script().spin(10_000).counter(0).append_int().version().append_int();
        let reply = run(&pic, canister, busy.stable_grow(3).append_int().reply());
        (canister, reply, pic.cycle_balance(canister), pic.get_time())
    };
    assert_eq!(history(), history());
}

/// `PocketIc::auto_progress`: rounds are executed without ticks until it is stopped.
#[test]
fn an_instance_in_auto_progress_executes_rounds_by_itself() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert!(!pic.auto_progress_enabled());
    pic.auto_progress();
    assert!(pic.auto_progress_enabled());
    let message = wait::submit(&pic, canister, script().int(5).append_int().reply());
    assert_eq!(number(&pic.await_call_no_ticks(message).expect("a reply")), 5);
    pic.stop_progress();
    assert!(!pic.auto_progress_enabled());
}

/// `PocketIc::get_subnet`, `PocketIc::get_controllers`: a canister is on one subnet and has its creator as
/// controller.
#[test]
fn a_canister_is_found_with_its_subnet_and_its_controllers() {
    let (pic, [first, second]) = engine::pic_with_two_subnets();
    let user = stranger();
    let canister = pic.create_canister_on_subnet(Some(user), None, second);
    assert_eq!(pic.get_subnet(canister), Some(second));
    assert_eq!(pic.topology().get_subnet(canister), Some(second));
    assert_ne!(first, second);
    assert_eq!(pic.get_controllers(canister), [user]);
}
