//! Promise 9: who may call what, method by method of each interface file, and what it costs a canister that somebody else
//! calls. The tables below are the promise; each canister's own table is compared with its interface in its unit tests.

use candid::Principal;
use decant_api::govern::{Decision, Roles};
use decant_api::plan::Plan;
use decant_api::vessel::VesselRole;
use decant_cli::rehearsal::calls::update;
use decant_cli::rehearsal::{Options, world::World};
use decant_tests::repack::{install, nothing, plan, used, wasm};
use decant_tests::vessel::argument;
use decant_tests::{engine, modules};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Bytes of a large argument: a message may have 2 MiB, with its envelope.
const LARGE_BYTES: usize = 1_900_000;
/// Cycles that a refused call of a canister may cost: 5 M for a message, and what its guard executes.
const REFUSAL_CYCLES: u128 = 6_000_000;
/// The same of the kit and of a vessel, which read an argument first: its sender pays 1,000 cycles a byte, a hundred times that.
const READ_CYCLES: u128 = 20_000_000;
/// Ids of the callers.
const ANONYMOUS: &str = "anonymous";
const STRANGER: &str = "a stranger";
const INDEX: &str = "an index";
const OPERATOR: &str = "an operator";
const CONTROLLER: &str = "a controller";
const OBSERVER: &str = "an observer";
const GOVERNANCE: &str = "governance";
const OTHER: &str = "another canister";

/// Callers of ingress.
const USERS: [&str; 6] = [ANONYMOUS, STRANGER, INDEX, OPERATOR, OBSERVER, CONTROLLER];
/// Callers that are canisters.
const CANISTERS: [&str; 2] = [GOVERNANCE, OTHER];

struct Scene {
    world: World,
    index: Principal,
    operator: Principal,
    observer: Principal,
    other: Principal,
}

impl Scene {
    /// A world with a plan whose index is a person, and a canister that calls whatever it is told to.
    fn new() -> Self {
        let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
        let index = Principal::self_authenticating(b"an index");
        let named = plan(&world, vec![used(&wasm("shapes"), nothing())]);
        world.propose(&Plan { indexes: vec![index], ..named }).expect("it is approved");
        let other = install(&world, &modules().governance, nothing());
        let operator = Principal::self_authenticating(b"an operator");
        let observer = Principal::self_authenticating(b"an observer");
        let was = Roles { operators: vec![world.operator], observers: Vec::new() };
        let now = Roles { operators: vec![operator], observers: vec![observer] };
        world.decide(&Decision::Name { was, now }).expect("governance names them");
        let scene = Self { world, index, operator, observer, other };
        scene.await_rest();
        scene
    }

    /// Ticks until the coordinator has done what a decision woke it for: it spends no message any more.
    fn await_rest(&self) {
        const MESSAGE_CYCLES: u128 = 5_000_000;
        let balance = || self.world.pic.cycle_balance(self.world.coordinator);
        for _ in 0..100 {
            let before = balance();
            (0..3).for_each(|_| self.world.pic.tick());
            if before - balance() < MESSAGE_CYCLES {
                return;
            }
        }
        panic!("the coordinator never rests");
    }

    fn principal(&self, caller: &str) -> Principal {
        match caller {
            ANONYMOUS => Principal::anonymous(),
            INDEX => self.index,
            OPERATOR => self.operator,
            OBSERVER => self.observer,
            CONTROLLER => self.world.operator,
            GOVERNANCE => self.world.governance,
            OTHER => self.other,
            other => Principal::self_authenticating(other.as_bytes()),
        }
    }

    /// Sends ingress with arguments small and large, none of them the method's: what comes to decoding is another reject.
    #[track_caller]
    fn assert_ingress_is_free(&self, canister: Principal, caller: &str, method: &str) {
        let before = self.world.pic.cycle_balance(canister);
        for bytes in [10, LARGE_BYTES] {
            let sender = self.principal(caller);
            let sent = self.world.pic.submit_call(canister, sender, method, vec![b'D'; bytes]);
            assert!(sent.is_err(), "{method} takes {bytes} bytes of {caller}");
        }
        assert_eq!(self.world.pic.cycle_balance(canister), before, "{method}: {caller} costs nothing");
    }

    /// Lets a canister call with arguments small and large.
    #[track_caller]
    fn assert_call_is_cheap(&self, canister: Principal, caller: &str, method: &str) {
        for bytes in [10, LARGE_BYTES] {
            let before = self.world.pic.cycle_balance(canister);
            let answer = self.call(self.principal(caller), canister, method, vec![b'D'; bytes]);
            let spent = before - self.world.pic.cycle_balance(canister);
            let refusal = answer.expect_err("it is refused");
            assert!(!refusal.contains("decode"), "{method} decodes {bytes} bytes of {caller}: {refusal}");
            assert!(spent <= REFUSAL_CYCLES, "{method}: {bytes} bytes of {caller} cost {spent} cycles");
        }
    }

    /// The stand-in for governance calls a validator of anybody's choice: any method of any canister.
    fn call(
        &self,
        caller: Principal,
        target: Principal,
        method: &str,
        payload: Vec<u8>,
    ) -> Result<u64, String> {
        self.world.submit_to(caller, target, [method, method], payload).expect("the caller answers")
    }
}

/// The methods of an interface file, and whether they are queries.
fn methods(interface: &str) -> BTreeMap<String, bool> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(interface);
    let text = fs::read_to_string(&path).expect("the interface file is there");
    let service = text.lines().skip_while(|line| !line.starts_with("service"));
    let lines = service.filter(|line| line.contains(" : (") && !line.starts_with("service"));
    let named = lines.map(|line| {
        let (name, kind) = line.split_once(" : ").expect("a method has a type");
        (name.trim().to_owned(), kind.ends_with("query;"))
    });
    named.collect()
}

#[track_caller]
fn assert_names(table: &BTreeMap<&str, &[&str]>, methods: &BTreeMap<String, bool>) {
    let named: Vec<&str> = table.keys().copied().collect();
    let exported: Vec<&str> = methods.keys().map(String::as_str).collect();
    assert_eq!(named, exported, "the promise says of each method who may call it");
}

#[test]
fn whoever_may_not_call_a_method_of_the_coordinator_is_refused_before_anything_is_decoded() {
    let anybody = [&USERS[..], &CANISTERS[..]].concat();
    // Being a controller gives no right of its own.
    let known: &[&str] = &[INDEX, OPERATOR, OBSERVER, GOVERNANCE];
    let operators: &[&str] = &[OPERATOR, GOVERNANCE];
    let table = BTreeMap::from([
        ("decant_abort", operators),
        ("decant_all", operators),
        ("decant_assess", &[OPERATOR, OBSERVER, GOVERNANCE]),
        ("decant_delete_pooled", operators),
        ("decant_enrol", &[INDEX]),
        ("decant_events", known),
        ("decant_evidence", &anybody),
        ("decant_execute", &[GOVERNANCE]),
        ("decant_job", &anybody),
        ("decant_job_of", &anybody),
        ("decant_jobs", known),
        ("decant_pause", operators),
        ("decant_pool", known),
        ("decant_plan", known),
        ("decant_release", operators),
        ("decant_render", known),
        ("decant_resolve", &anybody),
        ("decant_retry", operators),
        ("decant_revert", operators),
        ("decant_roles", known),
        ("decant_skip", operators),
        ("decant_summary", known),
        ("decant_tempo", operators),
        ("decant_validate", operators),
        ("decant_withdraw", &[INDEX]),
        ("http_request", &[]),
    ]);
    let scene = Scene::new();
    let methods = methods("canisters/coordinator/coordinator.did");
    assert_names(&table, &methods);
    for (method, callers) in table {
        // A query that the subnet executes is paid by the canister: not for users whom it does not know.
        let users = if methods[method] { known } else { callers };
        for caller in USERS.iter().filter(|caller| !users.contains(caller)) {
            scene.assert_ingress_is_free(scene.world.coordinator, caller, method);
        }
        for caller in CANISTERS.iter().filter(|caller| !callers.contains(caller)) {
            scene.assert_call_is_cheap(scene.world.coordinator, caller, method);
        }
    }
    // What the coordinator calls of itself is for nobody else.
    let timer = "<ic-cdk internal> timer_executor";
    for caller in USERS {
        scene.assert_ingress_is_free(scene.world.coordinator, caller, timer);
    }
}

#[test]
fn whoever_may_not_call_a_method_of_an_index_is_refused_before_anything_is_decoded() {
    let anybody = [&USERS[..], &CANISTERS[..]].concat();
    // Of an index its controllers are.
    let operators: &[&str] = &[CONTROLLER];
    let table = BTreeMap::from([
        ("decant_ended", &[] as &[&str]),
        ("decant_resolve", &anybody),
        ("decant_swap", &[]),
        ("ended", operators),
        ("register", operators),
        ("relocate", operators),
        ("reroute", operators),
        ("route", &anybody),
        ("routes", operators),
    ]);
    let scene = Scene::new();
    let methods = methods("canisters/index/index.did");
    assert_names(&table, &methods);
    for (method, callers) in table {
        let users = if methods[method] { operators } else { callers };
        for caller in USERS.iter().filter(|caller| !users.contains(caller)) {
            scene.assert_ingress_is_free(scene.world.index, caller, method);
        }
        for caller in CANISTERS.iter().filter(|caller| !callers.contains(caller)) {
            scene.assert_call_is_cheap(scene.world.index, caller, method);
        }
    }
}

#[test]
fn what_strangers_send_to_the_kit_and_to_a_vessel_costs_their_canister_nothing_and_calls_of_canisters_little()
{
    let scene = Scene::new();
    let kit = install(&scene.world, &modules().kit, nothing());
    let role = VesselRole::Moved { to: scene.world.index };
    let vessel = install(&scene.world, &wasm("vessel"), argument(role));
    for (canister, interface) in
        [(kit, "canisters/user/user_kit.did"), (vessel, "canisters/vessel/vessel.did")]
    {
        let methods = methods(interface);
        assert!(methods.keys().filter(|name| name.starts_with("decant_")).count() >= 10, "{methods:?}");
        for method in methods.keys().filter(|name| name.starts_with("decant_")) {
            for caller in [ANONYMOUS, STRANGER, INDEX] {
                scene.assert_ingress_is_free(canister, caller, method);
            }
            // What anybody may ask is a query; the rest is refused, after the argument was read.
            for bytes in [10, LARGE_BYTES] {
                let before = scene.world.pic.cycle_balance(canister);
                let answer = scene.call(scene.other, canister, method, vec![b'D'; bytes]);
                let spent = before - scene.world.pic.cycle_balance(canister);
                assert!(
                    answer.is_err() || methods[method],
                    "{method} takes {bytes} bytes of another canister"
                );
                assert!(
                    spent <= READ_CYCLES,
                    "{method}: {bytes} bytes of another canister cost {spent} cycles"
                );
            }
        }
    }
}

#[test]
fn a_stranger_may_ask_as_a_query_what_only_those_who_are_known_may_send() {
    let scene = Scene::new();
    let named = plan(&scene.world, vec![used(&wasm("shapes"), nothing())]);
    let decision = Decision::Approve { plan: named, pace: None };
    let argument = candid::encode_one(&decision).expect("a decision encodes");
    let ask = |method: &str, argument: Vec<u8>| {
        scene.world.pic.query_call(scene.world.coordinator, Principal::anonymous(), method, argument)
    };
    let rendered = ask("decant_render", argument.clone()).expect("it is rendered");
    let rendered: Result<String, String> = candid::decode_one(&rendered).expect("it decodes");
    let submitted: Result<String, String> =
        update(&scene.world.pic, scene.world.coordinator, scene.operator, "decant_validate", (&decision,))
            .expect("the coordinator answers");
    // The cycles in hand are told as they are then.
    let without_means = |text: Result<String, String>| -> String {
        let text = text.expect("it is rendered");
        text.lines().filter(|line| !line.contains("cycles to spend")).collect()
    };
    assert_eq!(without_means(rendered), without_means(submitted), "people read what voters will");
    assert!(ask("decant_summary", nothing()).is_ok());
    assert!(ask("decant_validate", argument).is_err(), "a validation makes a call");
}
