//! What `scripts/proposals` and `scripts/deploy` rely on.

use decant_api::govern::Decision;
use decant_api::jobs::Summary;
use decant_api::plan::{Plan, Retention, Strategy};
use decant_cli::candid_text;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::{Options, world::World};
use decant_cli::repack::EMPTY_MODULE;
use decant_tests::{engine, modules};
use std::fs;
use std::path::Path;

/// The example plans; beside them are other decisions.
fn examples() -> Vec<(String, Plan, Decision)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/proposals/plans");
    let files = fs::read_dir(&directory).expect("there are examples");
    let mut examples: Vec<(String, Plan, Decision)> = files
        .filter_map(|file| {
            let path = file.expect("the directory can be read").path();
            let text = fs::read_to_string(&path).expect("it is text");
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            let decision: Decision =
                candid_text::read_as(&text).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            let Decision::Approve { plan, pace } = decision.clone() else { return None };
            assert!(pace.is_some(), "{name} has a pace");
            Some((name, plan, decision))
        })
        .collect();
    examples.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    examples
}

fn validate(world: &World, decision: &Decision) -> Result<String, String> {
    update(&world.pic, world.coordinator, world.operator, "decant_validate", (decision,))
        .expect("the coordinator answers")
}

#[test]
fn every_example_plan_is_approved_once_its_module_is_in_the_chunk_store() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let examples = examples();
    let names: Vec<&str> = examples.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["relocate", "relocate-vessel", "repack"]);
    for (name, plan, decision) in &examples {
        match (name.as_str(), &plan.strategy) {
            ("relocate", Strategy::Relocate(relocation)) => {
                assert_eq!(relocation.precopy_min_pages, Some(256));
                assert_eq!(plan.retention, Retention::Tombstone);
            }
            ("relocate-vessel", Strategy::RelocateVessel(_)) | ("repack", Strategy::Repack(_)) => {
                assert!(matches!(plan.retention, Retention::Frozen { seconds: 604_800 }));
            }
            (name, strategy) => panic!("{name}: {strategy:?}"),
        }
        assert_eq!(plan.tombstone, None, "{name}: nobody uploads what stays of an original");
        let refused = validate(&world, decision).expect_err("nobody uploaded the module of the examples");
        assert!(refused.contains("is not in the coordinator's chunk store"), "{name}: {refused}");
    }
    world.upload(&EMPTY_MODULE).expect("it is stored");
    for (name, plan, decision) in &examples {
        let rendered = validate(&world, decision).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert!(rendered.contains(&plan.title), "{name}: {rendered}");
        assert!(rendered.contains("10 canaries first"), "{name}: {rendered}");
        // The cycles in hand are told as they are then, and by whoever has no coordinator not at all.
        let is_of_means =
            |line: &str| line.contains("cycles to spend") || line.contains("What the coordinator has");
        let without_means = |text: &str| text.lines().filter(|line| !is_of_means(line)).collect::<String>();
        let elsewhere = decant_words::text(decision, None);
        assert_eq!(without_means(&elsewhere), without_means(&rendered), "{name}: `decant proposal render`");
        let voted = world.decide(decision).expect("it is executed");
        assert_eq!(without_means(&voted), without_means(&rendered), "{name}");
    }
}

/// `scripts/deploy` asks so whose proposals a coordinator executes.
#[test]
fn the_summary_names_governance_and_nobody_else_executes_a_plan() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let summary: Summary =
        query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers");
    assert_eq!(summary.governance, world.governance);
    let (_, plan, decision) = examples().remove(2);
    world.upload(&EMPTY_MODULE).expect("it is stored");
    let payload = candid::encode_one(&decision).expect("a decision encodes");
    let by_operator = world.pic.update_call(world.coordinator, world.operator, "decant_execute", payload);
    let refusal = by_operator.expect_err("an operator of the coordinator executes no plan").reject_message;
    assert!(refusal.contains(&format!("propose it to {}", world.governance)), "{refusal}");
    world.propose(&plan).expect("governance executes the same plan");
}

/// A vote takes days, and tools clear chunk stores.
#[test]
fn a_plan_whose_module_is_gone_when_the_vote_is_over_is_not_executed() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let (_, plan, _) = examples().remove(0);
    world.upload(&EMPTY_MODULE).expect("it is stored");
    let id = world.submit(&plan).expect("it is valid");
    world.pic.clear_chunk_store(world.coordinator, Some(world.operator)).expect("its controller clears it");
    let refusal = world.approve(id).expect_err("it fails").to_string();
    assert!(refusal.contains("is not in the coordinator's chunk store"), "{refusal}");
}
