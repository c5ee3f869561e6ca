//! The table decides, and what is not in it is refused.

use super::{Rule, check, differences};
use candid::Principal;
use table::METHODS;

const OWNER: Principal = Principal::from_slice(&[1; 10]);
const STRANGER: Principal = Principal::from_slice(&[2; 10]);

#[derive(Debug, Clone, Copy)]
enum Who {
    Anybody,
    Owner,
}

impl Rule for Who {
    fn allows(self, caller: Principal) -> Result<(), String> {
        match self {
            Self::Anybody => Ok(()),
            Self::Owner if caller == OWNER => Ok(()),
            Self::Owner => Err("not the owner".to_owned()),
        }
    }

    fn may_send(caller: Principal) -> Result<(), String> {
        Self::Owner.allows(caller)
    }
}

#[expect(dead_code, reason = "guards are for exported methods, and these are none")]
mod table {
    use super::Who;

    crate::methods! { Who;
        update change: Owner, 10;
        query look: Anybody, 10;
        update knock: Anybody, 10;
    }
}

#[track_caller]
fn assert_refused(name: &str, caller: Principal, bytes: usize, why: &str) {
    let refusal = check(METHODS, name, caller, bytes).expect_err("it is refused");
    assert!(refusal.contains(why), "{name}: {refusal}");
}

#[test]
fn ingress_is_taken_from_those_whom_the_table_names() {
    for (name, caller) in [("change", OWNER), ("look", OWNER), ("knock", OWNER), ("knock", STRANGER)] {
        assert_eq!(check(METHODS, name, caller, 10), Ok(()), "{name}");
    }
    assert_refused("change", STRANGER, 0, "not the owner");
}

#[test]
fn a_query_is_no_update_for_strangers_though_all_may_ask() {
    assert_refused("look", STRANGER, 0, "not the owner");
}

#[test]
fn an_argument_has_a_size_and_a_caller_is_looked_at_first() {
    assert_refused("change", OWNER, 11, "11 bytes exceed the 10 that change takes");
    assert_refused("change", STRANGER, 11, "not the owner");
}

#[test]
fn what_is_not_in_the_table_takes_no_ingress_from_anybody() {
    assert_refused("timer", OWNER, 0, "timer takes no ingress");
}

#[test]
fn what_an_interface_has_and_the_table_has_not_is_told_and_the_other_way_round() {
    let same = "type A = record { a : nat; };\nservice : (record { a : A; b : nat }) -> {\n  // Changes; all.\n  change : (A)                 -> (variant { Ok; Err : text });\n  look : () -> (record { a : nat; b : nat }) query;\n                  knock : () -> ();\n}\n";
    assert_eq!(differences(METHODS, same), Vec::<String>::new());
    let other = same.replace("knock : () -> ()", "knock : () -> () query; new : () -> ()");
    assert_eq!(
        differences(METHODS, &other),
        [
            "not in the table: (\"knock\", Query)",
            "not in the table: (\"new\", Update)",
            "not exported: (\"knock\", Update)"
        ]
    );
}
