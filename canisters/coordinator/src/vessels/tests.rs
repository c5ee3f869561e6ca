//! Which vessel stays of a source, whichever was carried when its job was enrolled.

use super::called;
use crate::carried;
use crate::store::{self, KnownModule};
use crate::tests::{canister, golden_job};
use decant_engine::{Digest, Retention};

#[test]
fn a_tombstone_is_known_as_its_own_by_a_job_that_was_enrolled_with_another_vessel() {
    let job = golden_job("entombing");
    let Retention::Tombstone { module_hash: enrolled } = job.plan().retention else { panic!("a tombstone") };
    let own = job.source_left().and_then(|left| left.module).expect("it ran a module");
    let (earlier, others) = (Digest([8; 32]), Digest([9; 32]));
    store::keep_module(&earlier, &KnownModule::default());
    let of_source = |module, pages| called(&job, job.source(), module, pages);
    assert_ne!(carried::hash(), enrolled);
    assert_eq!(of_source(carried::hash(), 0), enrolled);
    assert_eq!(of_source(earlier, 0), enrolled, "installed before an upgrade, and the reply lost");
    assert_eq!(of_source(carried::hash(), 1), carried::hash(), "a vessel with a state is none");
    assert_eq!(of_source(own, 0), own);
    assert_eq!(of_source(others, 0), others);
    assert_eq!(called(&job, canister(9), carried::hash(), 0), carried::hash(), "another canister");
    let draining = golden_job("draining");
    assert_eq!(called(&draining, draining.source(), carried::hash(), 0), carried::hash());
}

#[test]
fn a_source_that_runs_a_vessel_is_no_tombstone_before_it_is_made_one() {
    let job = golden_job("entombing");
    let ran = job.source_left().and_then(|left| left.module).expect("it ran a module");
    store::keep_module(&ran, &KnownModule::default());
    assert_eq!(called(&job, job.source(), ran, 0), ran);
}
