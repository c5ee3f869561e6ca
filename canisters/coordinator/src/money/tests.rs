//! Who may start, by which figures.

use super::{
    Account, FLOOR_CYCLES, JOB_CYCLES, MODULE_CYCLES, Prices, check_target, days, learnt, least, needed,
};
use crate::tests::golden_job;
use decant_engine::{
    Digest, FenceView, ImageKind, ImageView, KitView, Known, LayoutView, Limits, Outcome, ReasonCode, Value,
};
use decant_words::LEAST_TARGET;

/// A subnet with 13 nodes.
const PRICES: Prices = Prices { byte: 1_000, creation: 500_000_000_000, waiting: 42_000_000_000 };
const TARGET: u128 = 500_000_000_000 + 400_000_000_000;
/// More than anything takes.
const RICH: u128 = u128::MAX;

fn relocations(max_cycles: u128) -> Account {
    Account {
        max_cycles,
        spent: 0,
        open: 0,
        without_target: 0,
        ready: 0,
        full: 0,
        per_target: Some(400_000_000_000),
    }
}

#[test]
fn a_job_starts_only_if_the_plan_may_spend_what_it_and_those_on_their_way_take() {
    let one = TARGET + JOB_CYCLES;
    assert_eq!(relocations(one).may_start(PRICES, RICH, 0), Ok(one + PRICES.waiting));
    let refusal = relocations(one - 1).may_start(PRICES, RICH, 0).expect_err("a cycle is missing");
    assert!(refusal.text().contains(&one.to_string()), "{refusal:?}");
    let with_one = Account { open: 1, without_target: 1, ..relocations(2 * one) };
    assert_eq!(with_one.may_start(PRICES, RICH, 0), Ok(one + PRICES.waiting));
    assert!(Account { spent: 1, ..with_one }.may_start(PRICES, RICH, 0).is_err(), "what is spent counts");
    // One that has its canister has spent what that took, and may take calls only.
    let served = Account { open: 1, without_target: 0, spent: TARGET, ..relocations(2 * one) };
    assert_eq!(served.may_start(PRICES, RICH, 0), Ok(one + PRICES.waiting));
}

#[test]
fn a_job_starts_only_if_the_coordinator_has_what_it_takes_above_its_floor() {
    let repacks = Account { per_target: None, ..relocations(RICH) };
    let needed = FLOOR_CYCLES + JOB_CYCLES + PRICES.waiting;
    assert_eq!(repacks.may_start(PRICES, needed, 0), Ok(JOB_CYCLES + PRICES.waiting));
    assert!(repacks.may_start(PRICES, needed - 1, 0).is_err());
    let promised = Account { open: 3, ..repacks }.promised(PRICES);
    assert_eq!(promised, 3 * (JOB_CYCLES + PRICES.waiting));
    assert!(repacks.may_start(PRICES, needed, promised).is_err(), "others have a claim on it");
    assert!(repacks.may_start(PRICES, needed + promised, promised).is_ok());
}

#[test]
fn a_creation_leaves_what_the_calls_of_open_jobs_take() {
    let account = Account { open: 2, without_target: 1, ..relocations(TARGET + 2 * JOB_CYCLES) };
    assert!(account.may_spend(TARGET, PRICES, FLOOR_CYCLES + TARGET));
    assert!(!account.may_spend(TARGET + 1, PRICES, RICH), "the plan's bound");
    assert!(!account.may_spend(TARGET, PRICES, FLOOR_CYCLES + TARGET - 1), "the floor");
}

#[test]
fn a_subnet_with_more_nodes_takes_more() {
    let larger = Prices { byte: 2_615, ..PRICES };
    assert!(larger.here(JOB_CYCLES) > JOB_CYCLES * 26 / 10);
    assert_eq!(PRICES.here(JOB_CYCLES), JOB_CYCLES);
}

#[test]
fn a_canister_that_comes_out_of_quarantine_is_not_created_but_may_lack_cycles() {
    let account = Account { open: 3, without_target: 3, ..relocations(RICH) };
    let promised = |ready| Account { ready, ..account }.promised(PRICES);
    let creation = PRICES.creation;
    assert_eq!(promised(0) - promised(2), 2 * creation);
    assert_eq!(promised(3), promised(9), "none gives more than it has");
    assert_eq!(promised(0) - promised(3), 3 * creation, "what they lack is reserved");
    // With room for one job, and what a canister of the pool may lack, but not for a creation.
    let tight = Account { max_cycles: PRICES.here(JOB_CYCLES) + 400_000_000_000, ..relocations(0) };
    assert!(tight.may_start(PRICES, RICH, 0).is_err());
    assert!(Account { ready: 1, ..tight }.may_start(PRICES, RICH, 0).is_ok());
}

#[test]
fn a_canister_of_the_pool_that_was_paid_and_filled_is_not_paid_again() {
    let account = Account { open: 3, without_target: 3, ..relocations(RICH) };
    let promised = |ready, full| Account { ready, full, ..account }.promised(PRICES);
    assert_eq!(promised(0, 0) - promised(2, 2), 2 * TARGET);
    assert_eq!(promised(2, 0) - promised(2, 1), TARGET - PRICES.creation);
    assert_eq!(promised(3, 3), promised(9, 9), "none gives more than it has");
    // All was spent but what the calls of one more job take.
    let spent = Account { spent: 7 * TARGET, ..relocations(7 * TARGET + JOB_CYCLES) };
    assert!(spent.may_start(PRICES, RICH, 0).is_err());
    assert!(Account { ready: 1, full: 1, ..spent }.may_start(PRICES, RICH, 0).is_ok());
    assert!(Account { ready: 1, ..spent }.may_start(PRICES, RICH, 0).is_err(), "nobody knows what it has");
    assert!(spent.may_start_from_pool(PRICES));
    assert!(!Account { spent: spent.spent + 1, ..spent }.may_start_from_pool(PRICES), "nor for its calls");
}

#[test]
fn nothing_overflows_whatever_a_plan_says() {
    let account = Account {
        max_cycles: RICH,
        spent: RICH,
        open: u64::MAX - 1,
        without_target: u64::MAX - 1,
        ready: 0,
        full: 0,
        per_target: Some(RICH),
    };
    assert_eq!(account.promised(PRICES), RICH);
    assert!(account.may_start(PRICES, RICH - 1, RICH).is_err());
}

#[test]
fn the_least_of_a_plan_is_one_job_and_the_modules_that_it_reads() {
    assert_eq!(least(None, 0, PRICES), JOB_CYCLES);
    assert_eq!(least(Some(400_000_000_000), 2, PRICES), TARGET + JOB_CYCLES + 2 * MODULE_CYCLES);
}

#[test]
fn the_runway_is_told_in_days_where_it_is_known() {
    assert_eq!(days(10_000, 3_000), Some(3));
    assert_eq!(days(10_000, 0), None);
}

#[test]
fn so_many_jobs_at_a_time_need_what_their_calls_prepay() {
    let waiting = PRICES.waiting + JOB_CYCLES;
    assert_eq!(needed(None, 200, PRICES), FLOOR_CYCLES + 200 * waiting);
    assert_eq!(needed(Some(400_000_000_000), 1, PRICES), FLOOR_CYCLES + waiting + TARGET);
    // With that they all start.
    let mut promised = 0;
    for open in 0..200 {
        let account = Account {
            max_cycles: RICH,
            spent: 0,
            open,
            without_target: 0,
            ready: 0,
            full: 0,
            per_target: None,
        };
        promised +=
            account.may_start(PRICES, needed(None, 200, PRICES), promised).expect("it can be carried");
    }
}

#[test]
fn the_page_says_what_the_coordinator_needs() {
    const T: u128 = 1_000_000_000_000;
    const B: u128 = 1_000_000_000;
    let page = include_str!("../../../../docs/deploy.md");
    let (waiting, creation) = (PRICES.waiting / B, PRICES.creation / B);
    let target = 500 * B;
    let relocations = needed(Some(target), 10, PRICES);
    let ten_at_once = FLOOR_CYCLES + 10 * (creation * B + target + JOB_CYCLES + PRICES.waiting);
    let tera = |cycles: u128| format!("{}.{:02} T", cycles / T, cycles % T / (10 * B));
    for figure in [
        format!("| a floor | {} T |", FLOOR_CYCLES / T),
        format!("| each job at a time | {} B | {waiting} B are prepaid", (JOB_CYCLES + PRICES.waiting) / B),
        format!("its calls spend {} B at most", JOB_CYCLES / B),
        format!("| {creation} B, and `cycles_per_target` ({} B at least) |", LEAST_TARGET / B),
        format!("| each module that is read out of a snapshot | {} B at most |", MODULE_CYCLES / B),
        format!("{} to be approved, {} that ten go at a time", tera(relocations), tera(ten_at_once)),
        format!("1,000 repacks, ten at a time: {} to be approved", tera(needed(None, 10, PRICES))),
    ] {
        assert!(page.contains(&figure), "docs/deploy.md has not: {figure}");
    }
}

#[test]
fn what_a_plan_gives_a_target_must_pay_for_its_module_and_for_each_byte_of_its_state() {
    const PREPAID: u128 = Limits::UPGRADE_PREPAID_CYCLES;
    // 1 MiB is 16 pages.
    let needed = PREPAID + 1_048_576 * 1_000;
    assert_eq!(check_target(Some(needed), PREPAID, (16, true), PRICES), Ok(()));
    let refusal =
        check_target(Some(needed - 1), PREPAID, (16, true), PRICES).expect_err("a cycle is missing");
    assert!(refusal.contains(&needed.to_string()) && refusal.contains("cycles_per_target"), "{refusal}");
    let larger = Prices { byte: 2_615, ..PRICES };
    assert!(
        check_target(Some(needed), larger.here(PREPAID), (16, true), larger).is_err(),
        "a subnet with more nodes"
    );
    assert!(
        check_target(Some(needed), 2 * PREPAID, (16, true), PRICES).is_err(),
        "a module that prepays twice as much"
    );
    assert!(check_target(Some(350_000_000_000), PREPAID, (16_384, true), PRICES).is_err(), "1 GiB");
    assert_eq!(check_target(None, PREPAID, (16_384, true), PRICES), Ok(()), "none is created");
    // With the kit what the installation prepaid is back when the target pulls: 160 MiB cost 168 B.
    assert_eq!(check_target(Some(350_000_000_000), PREPAID, (2_560, false), PRICES), Ok(()));
    assert!(check_target(Some(350_000_000_000), PREPAID, (16_384, false), PRICES).is_err(), "1 GiB");
    assert!(
        check_target(Some(u128::MAX - 1), u128::MAX, (u64::MAX, true), PRICES).is_err(),
        "nothing overflows"
    );
}

#[test]
fn what_a_target_pays_for_is_known_before_users_wait() {
    let kit = |layout| {
        let fence = FenceView::Open;
        Outcome::Done(Value::Kit(KitView {
            kit_version: 1,
            fence,
            layout,
            stable_pages: 300,
            has_root: false,
        }))
    };
    let managed = kit(LayoutView::Managed { memories: 2, used_pages: 7 });
    assert_eq!(learnt(&golden_job("inspected"), &managed), Some((None, 7)));
    assert_eq!(learnt(&golden_job("inspected"), &kit(LayoutView::Raw)), Some((None, 300)));
    assert_eq!(learnt(&golden_job("confirming"), &managed), None, "its target, which has it");
    let image = Outcome::Done(Value::Image(ImageView {
        stable_pages: 300,
        kind: ImageKind::Managed { bucket_pages: 128, used_pages: 7, compact_pages: 9 },
        timer_nanos: None,
        version: None,
        nested_pages: 0,
    }));
    assert_eq!(learnt(&golden_job("surveyed"), &image), Some((None, 7)));
    assert_eq!(learnt(&golden_job("measuring"), &image), None, "users wait");
    let known = Outcome::Done(Value::Known(Some(Known {
        has_pre_upgrade: true,
        may_lose_heap: false,
        prepaid_cycles: 600,
        vessel_hash: Digest([1; 32]),
    })));
    let learning = golden_job("learning");
    assert_eq!(learnt(&learning, &known), Some((Some(600), learning.counters().used_pages)));
    assert_eq!(learnt(&learning, &Outcome::Refused(ReasonCode::Gone.into())), None);
}
