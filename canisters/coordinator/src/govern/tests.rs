//! What voters read: every field of every decision, and nothing that its proposer could forge.

use super::*;
use crate::tests::{by_vessel, canister, plan};
use decant_api::govern::{Breaker, Canaries, Hours, Pace};
use decant_api::payout::{Payee, Payout};
use decant_api::plan::{ByVessel, ModuleRef, ModuleUse, Recycling, Relocation, Retention, Strategy};
use decant_words::{Hand, check_people, check_title, is_hidden, quoted, text};
use serde_bytes::ByteBuf;

const HAND: Hand = Hand {
    liquid_cycles: 20_000_000_000_000,
    floor_cycles: 1_000_000_000_000,
    job_cycles: 3_000_000_000,
    creation_cycles: 500_000_000_000,
    page_year_cycles: 244_000_000,
};

fn bytes(byte: u8) -> ByteBuf {
    ByteBuf::from([byte; 32])
}

fn module(byte: u8) -> ModuleRef {
    ModuleRef { hash: bytes(byte), chunk_hashes: vec![bytes(byte), bytes(byte + 1)] }
}

fn relocate() -> Plan {
    Plan {
        strategy: Strategy::Relocate(Relocation {
            module: module(1),
            init_arg: ByteBuf::from(b"DIDL\0\0".to_vec()),
            precopy_min_pages: Some(64),
            sources: Some(vec![bytes(9)]),
        }),
        routes: Some(vec![canister(2)]),
        subscribers: Some(vec![canister(3)]),
        tombstone: Some(module(5)),
        ledgers: vec![canister(4)],
        dependents: vec![canister(5)],
        min_reclaimed_pages: 10,
        recycling: None,
        retention: Retention::Frozen { seconds: 60 },
        cycles_per_target: 500_000_000_000,
        ..plan()
    }
}

fn used() -> ModuleUse {
    ModuleUse {
        hash: bytes(7),
        chunk_hashes: vec![bytes(8)],
        upgrade_arg: ByteBuf::from([1]),
        may_lose_heap: false,
    }
}

fn by() -> ByVessel {
    ByVessel { modules: vec![used()], ..by_vessel() }
}

fn repack() -> Plan {
    Plan { strategy: Strategy::Repack(by()), routes: None, ..relocate() }
}

fn pace() -> Pace {
    Pace {
        canaries: Some(Canaries { jobs: 5, soak_seconds: Some(60) }),
        holds_before_fence: false,
        breaker: Some(Breaker { failures: 2, of_last: 4 }),
        hours: Some(Hours { from_minute: 61, to_minute: 125 }),
        max_wait_seconds: Some(600),
    }
}

fn terms() -> Terms {
    Terms { max_canisters: 1, max_cycles: 2, max_in_flight: 3, pace: pace() }
}

/// What voters read without the digest, which changes with everything.
fn words(decision: &Decision) -> String {
    text(decision, Some(&HAND))
        .lines()
        .filter(|line| !line.contains("The plan has the SHA-256"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A change of one field, by its name.
type Change<T> = (&'static str, fn(&mut T));

/// One change of each field that a plan of any strategy has.
fn plan_changes() -> Vec<Change<Plan>> {
    vec![
        ("title", |it| it.title = "Other".to_owned()),
        ("indexes", |it| it.indexes.push(canister(9))),
        ("subscribers", |it| it.subscribers = Some(vec![canister(9)])),
        ("no subscribers", |it| it.subscribers = None),
        ("tombstone", |it| it.tombstone = None),
        ("tombstone.hash", |it| it.tombstone.as_mut().expect("one").hash = bytes(77)),
        ("tombstone.chunk_hashes", |it| it.tombstone.as_mut().expect("one").chunk_hashes.swap(0, 1)),
        ("bucket_pages", |it| it.bucket_pages = 2),
        ("min_reclaimed_pages", |it| it.min_reclaimed_pages = 11),
        ("retention", |it| it.retention = Retention::Frozen { seconds: 61 }),
        ("retention none", |it| it.retention = Retention::None),
        ("ledgers", |it| it.ledgers = vec![canister(9)]),
        ("no ledgers", |it| it.ledgers.clear()),
        ("dependents", |it| it.dependents = vec![canister(9)]),
        ("no dependents", |it| it.dependents.clear()),
        ("max_canisters", |it| it.max_canisters += 1),
        ("max_in_flight", |it| it.max_in_flight += 1),
        ("max_cycles", |it| it.max_cycles += 1),
        ("cycles_per_target", |it| it.cycles_per_target += 1),
    ]
}

fn relocation_changes() -> Vec<Change<Relocation>> {
    vec![
        ("module.hash", |it| it.module.hash = bytes(77)),
        ("module.chunk_hashes", |it| it.module.chunk_hashes.swap(0, 1)),
        ("init_arg", |it| it.init_arg = ByteBuf::from(b"DIDL\0\x01".to_vec())),
        ("precopy_min_pages", |it| it.precopy_min_pages = Some(65)),
        ("no precopy", |it| it.precopy_min_pages = None),
        ("sources", |it| it.sources = Some(vec![bytes(9), bytes(10)])),
        ("no sources", |it| it.sources = None),
    ]
}

fn vessel_changes() -> Vec<Change<ByVessel>> {
    vec![
        ("modules", |it| it.modules.push(ModuleUse { hash: bytes(70), ..used() })),
        ("hash", |it| it.modules[0].hash = bytes(70)),
        ("chunk_hashes", |it| it.modules[0].chunk_hashes = vec![bytes(70)]),
        ("no chunk_hashes", |it| it.modules[0].chunk_hashes.clear()),
        ("upgrade_arg", |it| it.modules[0].upgrade_arg = ByteBuf::from([2])),
        ("may_lose_heap", |it| it.modules[0].may_lose_heap = true),
        ("growth_percent", |it| it.growth_percent = 1),
        ("may_drop_tail", |it| it.may_drop_tail = true),
        ("rolls_back", |it| it.rolls_back_on_lost_timer = Some(true)),
        ("rolls_back not", |it| it.rolls_back_on_lost_timer = Some(false)),
        ("manager_page", |it| it.manager_page = Some(1)),
    ]
}

fn pace_changes() -> Vec<Change<Pace>> {
    vec![
        ("canaries", |it| it.canaries = None),
        ("canaries.jobs", |it| it.canaries = Some(Canaries { jobs: 6, soak_seconds: Some(60) })),
        ("canaries.soak_seconds", |it| it.canaries = Some(Canaries { jobs: 5, soak_seconds: Some(61) })),
        ("no soak_seconds", |it| it.canaries = Some(Canaries { jobs: 5, soak_seconds: None })),
        ("holds_before_fence", |it| it.holds_before_fence = true),
        ("breaker", |it| it.breaker = None),
        ("breaker.failures", |it| it.breaker = Some(Breaker { failures: 3, of_last: 4 })),
        ("breaker.of_last", |it| it.breaker = Some(Breaker { failures: 2, of_last: 5 })),
        ("hours", |it| it.hours = None),
        ("hours.from", |it| it.hours = Some(Hours { from_minute: 62, to_minute: 125 })),
        ("max_wait_seconds", |it| it.max_wait_seconds = Some(601)),
        ("no max_wait_seconds", |it| it.max_wait_seconds = None),
        ("hours.to", |it| it.hours = Some(Hours { from_minute: 61, to_minute: 126 })),
    ]
}

/// A decision, and each that differs from it in one field.
fn all() -> Vec<(&'static str, Decision, Decision)> {
    let mut all = Vec::new();
    let approve = |plan: Plan| Decision::Approve { plan, pace: Some(pace()) };
    for base in [relocate(), repack(), Plan { strategy: Strategy::RelocateVessel(by()), ..relocate() }] {
        for (name, change) in plan_changes() {
            let mut changed = base.clone();
            change(&mut changed);
            all.push((name, approve(base.clone()), approve(changed)));
        }
        let changed = Plan { retention: Retention::Tombstone, ..base.clone() };
        if !matches!(base.strategy, Strategy::Repack(_)) {
            all.push(("retention tombstone", approve(base.clone()), approve(changed)));
            let routes = Some(vec![canister(2), canister(8)]);
            all.push(("routes", approve(base.clone()), approve(Plan { routes, ..base.clone() })));
            all.push(("no routes", approve(base.clone()), approve(Plan { routes: None, ..base.clone() })));
            for retention in [Retention::None, Retention::Frozen { seconds: 60 }] {
                let recycling = |quarantine_seconds| {
                    let recycling = Some(Recycling { quarantine_seconds });
                    approve(Plan { recycling, retention, ..base.clone() })
                };
                let deleting = approve(Plan { retention, ..base.clone() });
                all.push(("recycling", deleting, recycling(600)));
                all.push(("quarantine", recycling(600), recycling(601)));
            }
        }
        for (name, change) in vessel_changes() {
            let mut changed = base.clone();
            match &mut changed.strategy {
                Strategy::Repack(by) | Strategy::RelocateVessel(by) => change(by),
                _ => continue,
            }
            all.push((name, approve(base.clone()), approve(changed)));
        }
    }
    for (name, change) in relocation_changes() {
        let mut changed = relocate();
        let Strategy::Relocate(relocation) = &mut changed.strategy else { panic!("a relocation") };
        change(relocation);
        all.push((name, approve(relocate()), approve(changed)));
    }
    for (name, change) in pace_changes() {
        let mut changed = pace();
        change(&mut changed);
        all.push((name, approve(relocate()), Decision::Approve { plan: relocate(), pace: Some(changed) }));
        let by_default = |was: Pace, now: Pace| {
            let (was, now) = (Terms { pace: was, ..terms() }, Terms { pace: now, ..terms() });
            Decision::Change { plan: 1, was, now }
        };
        all.push((name, by_default(pace(), pace()), by_default(changed, pace())));
        all.push((name, by_default(pace(), pace()), by_default(pace(), changed)));
    }
    all.push(("no pace", approve(relocate()), Decision::Approve { plan: relocate(), pace: None }));
    let end = |plan: u64, title: &str| Decision::End { plan, title: title.to_owned() };
    all.push(("plan", end(1, "Title"), end(2, "Title")));
    all.push(("title", end(1, "Title"), end(1, "title")));
    let change = |plan: u64, was: Terms, now: Terms| Decision::Change { plan, was, now };
    all.push(("plan", change(1, terms(), terms()), change(2, terms(), terms())));
    let bounds: [fn(&mut Terms); 3] =
        [|it| it.max_canisters += 1, |it| it.max_cycles += 1, |it| it.max_in_flight += 1];
    for bound in bounds {
        let mut changed = terms();
        bound(&mut changed);
        all.push(("was", change(1, terms(), terms()), change(1, changed.clone(), terms())));
        all.push(("now", change(1, terms(), terms()), change(1, terms(), changed)));
    }
    let roles = |operator: u8, observer: u8| Roles {
        operators: vec![canister(operator)],
        observers: vec![canister(observer)],
    };
    let name = |was: Roles, now: Roles| Decision::Name { was, now };
    for (was, now) in [
        (roles(9, 2), roles(1, 2)),
        (roles(1, 9), roles(1, 2)),
        (roles(1, 2), roles(9, 2)),
        (roles(1, 2), roles(1, 9)),
    ] {
        all.push(("roles", name(roles(1, 2), roles(1, 2)), name(was, now)));
    }
    let pay = |cycles: u128, to: Payee| Decision::Pay(Payout { cycles, to });
    let account = |ledger: u8, owner: u8, subaccount: Option<ByteBuf>| Payee::Account {
        ledger: canister(ledger),
        owner: canister(owner),
        subaccount,
    };
    let base = pay(5, account(1, 2, Some(bytes(3))));
    for changed in [
        pay(6, account(1, 2, Some(bytes(3)))),
        pay(5, account(9, 2, Some(bytes(3)))),
        pay(5, account(1, 9, Some(bytes(3)))),
        pay(5, account(1, 2, Some(bytes(9)))),
        pay(5, account(1, 2, None)),
        pay(5, Payee::Canister(canister(2))),
    ] {
        all.push(("payout", base.clone(), changed));
    }
    all
}

#[test]
fn every_field_of_every_decision_changes_what_voters_read() {
    let all = all();
    assert!(all.len() > 140, "{} changes", all.len());
    for (name, before, after) in all {
        assert_ne!(words(&before), words(&after), "{name}: {}", words(&before));
    }
}

#[test]
fn no_title_hides_or_forges_a_word() {
    let refused = [
        "Safe\n\nNothing is deleted.<!--",
        "a\u{202e}b",
        "a\u{200b}b",
        "a\u{e0041}b",
        "**bold**",
        "`code`",
        "[link](x)",
        "<b>",
        "a|b",
        "# head",
        "a&lt;b",
        "a\\b",
        "http://x",
        "\u{5d0}\u{5d1} 100",
        " space",
        "~~x~~",
    ];
    for title in refused {
        let refusal = check_title(title).expect_err(title);
        assert!(refusal.starts_with("title: "), "{refusal}");
        let shown = quoted(title);
        assert!(!shown.contains(['\n', '<', '>', '`', '*', '[', '\u{202e}']), "{shown}: of earlier builds");
    }
    for title in ["Repack the user canisters, wave 2 (1,000)", "Für alle: 50 % weniger", "小さくする"] {
        assert_eq!(check_title(title), Ok(()), "{title}");
    }
}

/// The signs of Markdown and HTML that our own words have: those that head a text, and no other.
#[test]
fn what_is_rendered_is_the_same_as_markdown_and_as_plain_text() {
    for (name, _, decision) in all() {
        let shown = text(&decision, Some(&HAND));
        let mut lines = shown.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("# ")), "{name}: {shown}");
        for line in lines {
            let is_plain = |letter: char| !"<>&*_`[]|~\\!#".contains(letter) && !is_hidden(letter);
            let line = line.replace("post_upgrade", "").replace("cycles_per_target", "");
            assert!(line.chars().all(is_plain), "{name}: {line}");
            assert!(!line.starts_with([' ', '-', '+', '=']), "{name}: no list, no code, no rule: {line}");
        }
    }
}

#[test]
fn nobody_everybody_and_the_same_twice_get_no_role() {
    for named in [
        vec![Principal::anonymous()],
        vec![Principal::management_canister()],
        vec![canister(1), canister(1)],
        (0..21).map(canister).collect(),
    ] {
        assert!(check_people("operators", &named).is_err(), "{named:?}");
    }
    assert_eq!(check_people("operators", &[]), Ok(()), "governance alone operates then");
}

#[test]
fn a_decision_is_refused_if_what_it_changes_is_not_there_any_more() {
    let there = Roles { operators: vec![canister(1)], observers: Vec::new() };
    store::set_roles(there.clone());
    let now = Roles { observers: vec![canister(2)], ..there.clone() };
    assert_eq!(check(&Decision::Name { was: there.clone(), now: now.clone() }), Ok(()));
    store::set_roles(now.clone());
    let others = Roles { observers: vec![canister(3)], ..now };
    let refusal = check(&Decision::Name { was: there, now: others }).expect_err("others are there");
    assert!(refusal.contains("the roles are others now"), "{refusal}");
    let id = store::add_plan(relocate());
    let ended = |title: &str| check(&Decision::End { plan: id, title: title.to_owned() });
    assert_eq!(ended(&relocate().title), Ok(()));
    assert!(ended("Another").is_err());
    store::change_course(id, |course| course.has_ended = true);
    assert!(ended(&relocate().title).expect_err("it is ended").contains("is ended"));
    let was = Terms { max_canisters: 99, ..terms() };
    let id = store::add_plan(relocate());
    let refusal = check(&Decision::Change { plan: id, was, now: terms() }).expect_err("they are others");
    assert!(refusal.contains("other terms now"), "{refusal}");
}

#[test]
fn a_pace_that_makes_no_sense_is_refused() {
    let refused = [
        Pace { canaries: Some(Canaries { jobs: 0, soak_seconds: None }), ..Pace::default() },
        Pace { canaries: Some(Canaries { jobs: 1, soak_seconds: Some(u64::MAX) }), ..Pace::default() },
        Pace { breaker: Some(Breaker { failures: 0, of_last: 1 }), ..Pace::default() },
        Pace { breaker: Some(Breaker { failures: 3, of_last: 2 }), ..Pace::default() },
        Pace { breaker: Some(Breaker { failures: 3, of_last: 129 }), ..Pace::default() },
        Pace { hours: Some(Hours { from_minute: 1, to_minute: 1 }), ..Pace::default() },
        Pace { hours: Some(Hours { from_minute: 1_440, to_minute: 1 }), ..Pace::default() },
    ];
    let plan = Plan { strategy: Strategy::Repack(by_vessel()), ..plan() };
    let at = |pace: Pace| decant_words::check(&Decision::Approve { plan: plan.clone(), pace: Some(pace) });
    for pace in refused {
        assert!(at(pace).is_err(), "{pace:?}");
    }
    assert_eq!(at(pace()), Ok(()));
}
