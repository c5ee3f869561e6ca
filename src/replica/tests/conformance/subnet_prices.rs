//! What a subnet charges. Developer documentation, "Cycle costs": prices grow by the nodes of a subnet, 13 of an
//! application subnet, 34 of the fiduciary one; dfinity/ic, `subnet_config.rs`: system subnets charge nothing.

use pocket_ic::PocketIcBuilder;
use pocket_ic::common::rest::{CanisterCyclesCostSchedule, ExtendedSubnetConfigSet, SubnetId, SubnetSpec};

use crate::support::canisters::{ask, install_universal_on, number, run};
use crate::support::engine;
use crate::support::script::script;

fn creation_cost(builder: PocketIcBuilder) -> u64 {
    let pic = builder.build();
    let subnet = pic.topology().subnet_configs.keys().next().copied().expect("a subnet");
    let canister = install_universal_on(&pic, subnet);
    number(&ask(&pic, canister, script().cost_create_canister().append_int().reply()))
}

#[test]
fn prices_grow_by_the_nodes_of_the_subnet() {
    let cost = |with: fn(PocketIcBuilder) -> PocketIcBuilder| creation_cost(with(engine::builder()));
    assert_eq!(cost(PocketIcBuilder::with_application_subnet), 500_000_000_000);
    assert_eq!(cost(PocketIcBuilder::with_fiduciary_subnet), 1_307_692_307_692);
    assert_eq!(cost(PocketIcBuilder::with_sns_subnet), 1_307_692_307_692);
    for with in [PocketIcBuilder::with_nns_subnet, PocketIcBuilder::with_system_subnet] {
        assert_eq!(cost(with), 0);
    }
}

fn assert_free(builder: PocketIcBuilder) {
    let pic = builder.build();
    let subnet: SubnetId = pic.topology().subnet_configs.keys().next().copied().expect("a subnet");
    let canister = pic.create_canister_on_subnet(None, None, subnet);
    let before = pic.cycle_balance(canister);
    pic.install_canister(canister, crate::support::canisters::universal().to_vec(), vec![], None);
    run(&pic, canister, script().bump(0).reply());
    pic.advance_time(std::time::Duration::from_secs(365 * 86_400));
    for _ in 0..3 {
        pic.tick();
    }
    run(&pic, canister, script().bump(0).reply());
    assert_eq!(pic.cycle_balance(canister), before);
}

#[test]
fn a_system_subnet_charges_nothing() {
    assert_free(engine::builder().with_system_subnet());
}

/// `SubnetSpec::with_cost_schedule`.
#[test]
fn a_subnet_with_a_free_schedule_charges_nothing() {
    let spec = SubnetSpec::default().with_cost_schedule(CanisterCyclesCostSchedule::Free);
    let config = ExtendedSubnetConfigSet { application: vec![spec], ..Default::default() };
    assert_free(engine::configured(config));
}

/// `PocketIcBuilder::with_benchmarking_application_subnet`: a message there may take as long as it likes.
#[test]
fn a_subnet_for_benchmarks_has_no_instruction_limit_that_a_message_meets() {
    let pic = engine::builder().with_benchmarking_application_subnet().build();
    let subnet = pic.topology().subnet_configs.keys().next().copied().expect("a subnet");
    let canister = install_universal_on(&pic, subnet);
    ask(&pic, canister, script().spin(800_000_000).reply());
}
