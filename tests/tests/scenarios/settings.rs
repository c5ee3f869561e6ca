//! A target takes over the settings of its source.

use candid::{CandidType, Nat, Principal};
use decant_api::jobs::Outcome;
use decant_cli::rehearsal::Options;
use decant_tests::repack::manage;
use decant_tests::{enrol, fleet, modules, settle};
use serde::Deserialize;

/// Who may read something.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
enum Visibility {
    #[serde(rename = "allowed_viewers")]
    AllowedViewers(Vec<Principal>),
}

#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
struct Variable {
    name: String,
    value: String,
}

/// The settings of a canister but for its controllers, none of them at its default.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
struct Settings {
    memory_allocation: Option<Nat>,
    freezing_threshold: Option<Nat>,
    reserved_cycles_limit: Option<Nat>,
    log_visibility: Option<Visibility>,
    snapshot_visibility: Option<Visibility>,
    wasm_memory_limit: Option<Nat>,
    wasm_memory_threshold: Option<Nat>,
    environment_variables: Option<Vec<Variable>>,
}

#[derive(CandidType)]
struct UpdateSettings {
    canister_id: Principal,
    settings: Settings,
}

#[derive(CandidType)]
struct OfCanister {
    canister_id: Principal,
}

#[derive(CandidType, Deserialize)]
struct Status {
    settings: Settings,
}

#[test]
fn a_target_has_every_setting_of_its_source() {
    let options = Options { canisters: 1, state_kib: 8, ..Options::default() };
    let (world, fleet) = fleet(&options, &modules().kit);
    let viewer = |byte: u8| Some(Visibility::AllowedViewers(vec![Principal::from_slice(&[byte; 10])]));
    let settings = Settings {
        memory_allocation: Some(Nat::from(64_u32 << 20)),
        freezing_threshold: Some(Nat::from(1_234_567_u32)),
        reserved_cycles_limit: Some(Nat::from(7_000_000_000_000_u64)),
        log_visibility: viewer(3),
        snapshot_visibility: viewer(5),
        wasm_memory_limit: Some(Nat::from(1_u32 << 30)),
        wasm_memory_threshold: Some(Nat::from(1_u32 << 20)),
        environment_variables: Some(vec![Variable {
            name: "STAGE".to_owned(),
            value: "rehearsal".to_owned(),
        }]),
    };
    let original = fleet.users[0].original;
    let arg = UpdateSettings { canister_id: original, settings: settings.clone() };
    manage::<()>(&world, original, "update_settings", &arg);
    world.propose(&world.plan(modules(), &options).expect("the plan is made")).expect("the plan is approved");
    enrol(&world, &fleet).expect("the fleet is enrolled");
    let job = settle(&world).remove(0);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    let target = job.target.expect("a job that is done has a target");
    let stands: Status = manage(&world, target, "canister_status", &OfCanister { canister_id: target });
    assert_eq!(stands.settings, settings);
}
