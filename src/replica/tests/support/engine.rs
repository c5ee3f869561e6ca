//! Decides which engine runs the tests: the real PocketIC server or the embedded replica.

use std::sync::OnceLock;

use decant_replica::Replica;
use pocket_ic::common::rest::{ExtendedSubnetConfigSet, SubnetId};
use pocket_ic::{PocketIc, PocketIcBuilder};

/// The embedded replica, once per test process.
static REPLICA: OnceLock<Replica> = OnceLock::new();

/// A builder without subnets. With `POCKET_IC_BIN` set the client starts that server, otherwise it is pointed
/// at the embedded replica.
pub(crate) fn builder() -> PocketIcBuilder {
    on_engine(PocketIcBuilder::new())
}

/// A builder with these subnets.
pub(crate) fn configured(subnets: ExtendedSubnetConfigSet) -> PocketIcBuilder {
    on_engine(PocketIcBuilder::new_with_config(subnets))
}

fn on_engine(builder: PocketIcBuilder) -> PocketIcBuilder {
    if std::env::var_os("POCKET_IC_BIN").is_some() {
        return builder;
    }
    let replica = REPLICA.get_or_init(|| Replica::start().expect("the embedded replica starts"));
    builder.with_server_url(replica.url().parse().expect("the replica has a URL"))
}

/// An instance with one application subnet.
pub(crate) fn pic() -> PocketIc {
    builder().with_application_subnet().build()
}

/// An instance with two application subnets, and these in the order of their canister ids.
pub(crate) fn pic_with_two_subnets() -> (PocketIc, [SubnetId; 2]) {
    two_subnets(builder())
}

/// The same of another builder.
pub(crate) fn two_subnets(builder: PocketIcBuilder) -> (PocketIc, [SubnetId; 2]) {
    let pic = builder.with_application_subnet().with_application_subnet().build();
    let topology = pic.topology();
    let mut subnets = topology.get_app_subnets();
    subnets.sort_by_key(|subnet| topology.subnet_configs[subnet].canister_ranges.iter().min().cloned());
    (pic, subnets.try_into().expect("two application subnets"))
}
