//! The interface file says what is exported. After a change: `DECANT_WRITE_DID=1 cargo test -p decant-coordinator`. What several tests begin with stands here too.

use candid::Principal;
use decant_api::plan::{ByVessel, ModuleUse, Plan, Retention, Strategy};
use decant_engine::Job;
use serde_bytes::ByteBuf;

#[test]
fn the_interface_file_says_what_is_exported() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("coordinator.did");
    let exported = super::__export_service();
    if std::env::var_os("DECANT_WRITE_DID").is_some() {
        std::fs::write(&path, format!("{exported}\n")).expect("the file can be written");
    }
    let written = std::fs::read_to_string(&path).expect("the file is there");
    assert_eq!(written.trim(), exported.trim(), "write coordinator.did anew: DECANT_WRITE_DID=1");
}

#[test]
fn every_method_is_in_the_table_of_those_who_may_call_it() {
    let differences = decant_kit::access::differences(super::access::METHODS, &super::__export_service());
    assert_eq!(differences, Vec::<String>::new());
}

/// A canister of that number.
pub(crate) const fn canister(number: u8) -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, number, 1, 1])
}

/// What a plan by vessel says at least.
pub(crate) fn by_vessel() -> ByVessel {
    let module = ModuleUse {
        hash: ByteBuf::from([7; 32]),
        chunk_hashes: Vec::new(),
        upgrade_arg: ByteBuf::new(),
        may_lose_heap: false,
    };
    ByVessel {
        modules: vec![module],
        growth_percent: 0,
        may_drop_tail: false,
        rolls_back_on_lost_timer: None,
        manager_page: None,
    }
}

/// A plan for relocations that names [`canister`] 1 as its index.
pub(crate) fn plan() -> Plan {
    Plan {
        title: "Test".to_owned(),
        strategy: Strategy::RelocateVessel(by_vessel()),
        indexes: vec![canister(1)],
        routes: None,
        subscribers: None,
        tombstone: None,
        bucket_pages: 1,
        min_reclaimed_pages: 0,
        retention: Retention::None,
        recycling: None,
        ledgers: Vec::new(),
        dependents: Vec::new(),
        max_canisters: 10,
        max_in_flight: 10,
        max_cycles: 1,
        cycles_per_target: 0,
    }
}

/// Job 1 of plan 1 in that state, as the engine keeps it; there some numbers are the largest that there are.
pub(crate) fn golden_job(label: &str) -> Job {
    let kept = [
        include_str!("../../../src/engine/tests/golden/relocate.txt"),
        include_str!("../../../src/engine/tests/golden/vessel.txt"),
    ];
    let mut lines = kept.into_iter().flat_map(str::lines);
    let hex = lines.find_map(|line| line.strip_prefix("job\t")?.strip_prefix(label)?.strip_prefix('\t'));
    let largest = ["61691b", &"f".repeat(16)].concat();
    let hex = hex.expect("a job in every state").replace(&largest, "616901");
    let digits = hex.as_bytes().chunks(2);
    let body =
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex"));
    let stored: Vec<u8> = [1, 0].into_iter().chain(body).collect();
    <Job as crate::store::Record>::decode(&stored).expect("it is read")
}
