//! What only the in-process handle offers: faults, the trace, and the same run from the same seed.

#[path = "support/notes.rs"]
mod notes;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use candid::{CandidType, Nat, Principal, decode_one, encode_args, encode_one};
use decant_replica::error::RejectCode;
use decant_replica::trace::EventKind;
use decant_replica::{Fees, Replica, ReplicaConfig};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{PocketIc, PocketIcBuilder, update_candid};

/// A server of its own for each test, so that its seed and its ids are the same in every run.
fn start() -> (Replica, PocketIc) {
    let replica = Replica::start().expect("the replica starts");
    let url = replica.url().parse().expect("it has a URL");
    let pic = PocketIcBuilder::new().with_server_url(url).with_application_subnet().build();
    (replica, pic)
}

fn canister(pic: &PocketIc) -> Principal {
    let id = pic.create_canister();
    pic.add_cycles(id, 100_000_000_000_000);
    pic.install_canister(id, notes::wasm(), encode_args(()).expect("encodes"), None);
    id
}

fn note(pic: &PocketIc, id: Principal, index: u64) -> Option<String> {
    let (found,) = pocket_ic::query_candid(pic, id, "note", (index,)).expect("a query answers");
    found
}

fn fetch(pic: &PocketIc, method: &str, from: Principal, other: Principal) -> Result<u64, String> {
    let arg = match method {
        "fetch" => encode_args((other, 0u64)),
        _ => encode_args((other, 0u64, 60u32)),
    };
    let reply = pic
        .update_call(from, Principal::anonymous(), method, arg.expect("encodes"))
        .map_err(|rejected| rejected.reject_message)?;
    decode_one::<Result<u64, String>>(&reply).expect("decodes")
}

#[test]
fn a_lost_reply_leaves_the_effect_and_an_unknown_outcome() {
    let (replica, pic) = start();
    let (one, other) = (canister(&pic), canister(&pic));
    replica
        .with_instance(pic.instance_id(), |instance| {
            instance.faults().lose_replies(|call| call.method == "note");
            instance.trace().start();
        })
        .expect("the instance is there");
    let lost = fetch(&pic, "fetch_in_time", one, other).expect_err("the reply is lost");
    assert!(lost.contains("SysUnknown") || lost.contains('6'), "{lost}");
    // A call that waits without bound can't lose its reply (interface specification, "Bounded-wait calls").
    let found = fetch(&pic, "fetch", one, other).expect_err("there is no note");
    assert!(found.contains("has no note"), "{found}");
    let (injected, events) = replica
        .with_instance(pic.instance_id(), |instance| (instance.faults().injected(), instance.trace().stop()))
        .expect("the instance is there");
    assert_eq!(injected, 1);
    let executed =
        events.iter().filter(|event| event.kind == EventKind::Request && event.method == "note").count();
    assert_eq!(executed, 2, "the callee executed both calls");
    assert!(events.iter().any(|event| event.kind == EventKind::Reject(RejectCode::SysUnknown)));
}

#[test]
fn a_transient_reject_keeps_the_call_from_its_callee() {
    let (replica, pic) = start();
    let (one, other) = (canister(&pic), canister(&pic));
    replica
        .with_instance(pic.instance_id(), |instance| {
            instance.trace().start();
            let mut is_first = true;
            instance.faults().reject_transiently(move |call| {
                call.method == "note" && std::mem::replace(&mut is_first, false)
            });
        })
        .expect("the instance is there");
    let rejected = fetch(&pic, "fetch", one, other).expect_err("the call is rejected");
    assert!(rejected.contains("fault injected"), "{rejected}");
    let executed = replica
        .with_instance(pic.instance_id(), |instance| {
            instance
                .trace()
                .events()
                .iter()
                .filter(|event| event.method == "note")
                .filter(|event| event.kind == EventKind::Request)
                .count()
        })
        .expect("the instance is there");
    assert_eq!(executed, 0);
    let found = fetch(&pic, "fetch", one, other).expect_err("the second call goes through");
    assert!(found.contains("has no note"), "{found}");
}

#[test]
fn a_trapped_callback_takes_back_what_it_would_have_written() {
    let (replica, pic) = start();
    let (one, other) = (canister(&pic), canister(&pic));
    let _: (u64,) = update_candid(&pic, other, "add", ("over there",)).expect("a note is taken");
    replica
        .with_instance(pic.instance_id(), |instance| {
            instance.faults().trap_callbacks(|call| call.method == "note");
        })
        .expect("the instance is there");
    let trapped = fetch(&pic, "fetch", one, other).expect_err("the callback traps");
    assert!(trapped.contains("fault injected into a callback"), "{trapped}");
    assert_eq!(note(&pic, one, 0), None);
    replica.with_instance(pic.instance_id(), |instance| instance.faults().clear()).expect("it is there");
    assert_eq!(fetch(&pic, "fetch", one, other), Ok(0));
}

#[test]
fn a_hook_can_change_the_instance_between_two_messages() {
    let (replica, pic) = start();
    let (one, other) = (canister(&pic), canister(&pic));
    let _: (u64,) = update_candid(&pic, other, "add", ("over there",)).expect("a note is taken");
    let seen = Arc::new(AtomicU64::new(0));
    let counter = seen.clone();
    replica
        .with_instance(pic.instance_id(), move |instance| {
            instance.faults().before_messages(move |instance, call| {
                // Between the caller's message and the callee's: the callee runs out of cycles.
                if call.method == "note" && !call.is_response {
                    counter.fetch_add(1, Ordering::Relaxed);
                    instance.freeze(call.callee).expect("the callee exists");
                }
            });
        })
        .expect("the instance is there");
    let frozen = fetch(&pic, "fetch", one, other).expect_err("the callee is frozen");
    assert!(frozen.contains("out of cycles"), "{frozen}");
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    replica.with_instance(pic.instance_id(), |instance| instance.faults().clear()).expect("it is there");
    pic.add_cycles(other, 10_000_000_000_000);
    assert_eq!(fetch(&pic, "fetch", one, other), Ok(0));
}

#[test]
fn a_hook_can_upgrade_a_canister_between_its_call_and_the_callback() {
    let (replica, pic) = start();
    let (one, other) = (canister(&pic), canister(&pic));
    let _: (u64,) = update_candid(&pic, other, "add", ("over there",)).expect("a note is taken");
    let wasm = notes::wasm();
    let result = Arc::new(Mutex::new(None));
    let stored = result.clone();
    replica
        .with_instance(pic.instance_id(), move |instance| {
            instance.faults().before_messages(move |instance, call| {
                if call.method == "note" && call.is_response {
                    let arg = encode_args(()).expect("encodes");
                    let upgraded = instance.upgrade(call.caller, &wasm, &arg);
                    *stored.lock().expect("nobody panicked") = Some(upgraded);
                }
            });
        })
        .expect("the instance is there");
    // The new code does not know the future that waits: the callback finds nothing, the caller gets an error.
    let interrupted = fetch(&pic, "fetch", one, other);
    assert!(interrupted.is_err(), "{interrupted:?}");
    assert_eq!(result.lock().expect("nobody panicked").take(), Some(Ok(())));
    replica.with_instance(pic.instance_id(), |instance| instance.faults().clear()).expect("it is there");
    assert_eq!(fetch(&pic, "fetch", one, other), Ok(0));
}

#[test]
fn a_method_of_the_management_canister_that_is_not_offered_is_refused_by_its_name() {
    let docs = include_str!("../../../docs/replica.md");
    let (_, table) = docs.split_once("| not offered | instead |\n|---|---|\n").expect("the docs list them");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .map_while(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "))
        .collect();
    assert!(rows.len() > 10, "{rows:?}");
    let (_replica, pic) = start();
    let id = canister(&pic);
    for (method, instead) in rows {
        let effective = RawEffectivePrincipal::CanisterId(id.as_slice().to_vec());
        let refused = pic
            .query_call_with_effective_principal(
                Principal::management_canister(),
                effective,
                Principal::anonymous(),
                method,
                encode_args(()).expect("encodes"),
            )
            .expect_err("it is not offered");
        let expected = format!("The management method {method} is not supported by this replica: {instead}");
        assert_eq!(refused.reject_message, expected);
    }
}

#[test]
fn the_trace_tells_who_called_whom_with_how_many_bytes_for_how_much() {
    let (replica, pic) = start();
    let (one, other) = (canister(&pic), canister(&pic));
    replica.with_instance(pic.instance_id(), |instance| instance.trace().start()).expect("it is there");
    let _ = fetch(&pic, "fetch", one, other);
    let events =
        replica.with_instance(pic.instance_id(), |instance| instance.trace().stop()).expect("it is there");
    let steps: Vec<_> =
        events.iter().map(|event| (event.kind, event.caller, event.callee, event.method.as_str())).collect();
    assert_eq!(
        steps,
        [
            (EventKind::Request, Principal::anonymous(), one, "fetch"),
            (EventKind::Request, one, other, "note"),
            (EventKind::Reply, other, one, "note"),
        ]
    );
    let call = events.iter().find(|event| event.kind == EventKind::Request && event.callee == other);
    let call = call.expect("the call is in the trace");
    assert_eq!(call.request_bytes, ("note".len() + encode_one(0u64).expect("encodes").len()) as u64);
    assert!(call.instructions > 1_000 && call.cycles > 5_000_000, "{call:?}");
}

/// Everything that a run leaves: ids, balances, stable memory, random bytes and the trace.
fn run_and_digest(schedule_seed: Option<u64>) -> Vec<u8> {
    let config = ReplicaConfig { schedule_seed, ..ReplicaConfig::default() };
    let replica = Replica::start_with(config).expect("the replica starts");
    let url = replica.url().parse().expect("it has a URL");
    let pic = PocketIcBuilder::new().with_server_url(url).with_application_subnet().build();
    let (one, other) = (canister(&pic), canister(&pic));
    replica.with_instance(pic.instance_id(), |instance| instance.trace().start()).expect("it is there");
    let _: (u64,) = update_candid(&pic, other, "add", ("over there",)).expect("a note is taken");
    let fetched = fetch(&pic, "fetch", one, other);
    pic.advance_time(std::time::Duration::from_secs(3_600));
    pic.tick();
    let random = pic
        .update_call(one, Principal::anonymous(), "random", encode_args(()).expect("encodes"))
        .expect("random bytes");
    // What comes in one round, the order of which nobody promises.
    let messages: Vec<_> = [one, other, one, other]
        .into_iter()
        .map(|id| {
            let arg = encode_one("at the same time").expect("encodes");
            pic.submit_call(id, Principal::anonymous(), "add", arg).expect("it is taken")
        })
        .collect();
    for message in messages {
        pic.await_call(message).expect("a reply");
    }
    let events =
        replica.with_instance(pic.instance_id(), |instance| instance.trace().stop()).expect("it is there");
    let mut digest = format!(
        "{one} {other} {fetched:?} {} {} {} {events:?}",
        pic.cycle_balance(one),
        pic.cycle_balance(other),
        pic.get_time().as_nanos_since_unix_epoch(),
    )
    .into_bytes();
    digest.extend(random);
    digest.extend(pic.get_stable_memory(one));
    digest
}

#[test]
fn the_same_seed_and_the_same_calls_give_the_same_run_byte_for_byte() {
    assert!(run_and_digest(None) == run_and_digest(None));
    assert!(run_and_digest(Some(7)) == run_and_digest(Some(7)));
}

#[test]
fn another_schedule_seed_gives_another_run() {
    let runs: std::collections::BTreeSet<Vec<u8>> = (0..8).map(|seed| run_and_digest(Some(seed))).collect();
    assert!(runs.len() > 1, "eight seeds, and every order is the same");
}

/// The status line and body that the server answers to a request with that JSON.
fn request(replica: &Replica, line: &str, json: &str) -> String {
    use std::io::{Read, Write};
    let url = replica.url();
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
    let length = json.len();
    let head = "host: localhost\r\nconnection: close\r\ncontent-type: application/json";
    write!(stream, "{line} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{json}")
        .expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers text");
    answer
}

#[test]
fn endpoints_that_are_not_implemented_answer_with_an_error_that_names_them() {
    let (replica, pic) = start();
    let instance = format!("/instances/{}", pic.instance_id());
    for (method, path, name) in [
        ("POST", format!("{instance}/api/v2/canister/aaaaa-aa/call"), "api/v2"),
        ("POST", "/verify_signature".to_owned(), "verify_signature"),
        ("GET", "/read_graph/1/2".to_owned(), "read_graph"),
    ] {
        let answer = request(&replica, &format!("{method} {path}"), "");
        assert!(answer.starts_with("HTTP/1.1 501"), "{path}: {answer}");
        assert!(answer.contains(name), "{path}: {answer}");
    }
}

#[test]
fn a_call_can_be_executed_in_one_request() {
    use base64::Engine;
    let (replica, pic) = start();
    let id = canister(&pic);
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let json = format!(
        r#"{{"sender":"{}","canister_id":"{}","effective_principal":"None","method":"add","payload":"{}"}}"#,
        encode(Principal::anonymous().as_slice()),
        encode(id.as_slice()),
        encode(&encode_one("in one request").expect("encodes")),
    );
    let path = format!("POST /instances/{}/update/execute_ingress_message", pic.instance_id());
    let answer = request(&replica, &path, &json);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#"{"Ok":"#), "{answer}");
    assert_eq!(note(&pic, id, 0).as_deref(), Some("in one request"));
}

/// The argument of `update_settings` with settings of our choice.
#[derive(CandidType)]
struct Update<S> {
    canister_id: Principal,
    settings: S,
}

#[derive(CandidType)]
struct UnknownSetting {
    minimum_wage: Option<Nat>,
}

/// Candid drops what it does not know, and so does a real server; a rehearsal would take it for applied.
#[test]
fn an_unknown_setting_is_refused() {
    let (_replica, pic) = start();
    let canister_id = canister(&pic);
    let update = |minimum_wage: Option<Nat>| {
        let arg =
            encode_one(Update { canister_id, settings: UnknownSetting { minimum_wage } }).expect("encodes");
        let effective = RawEffectivePrincipal::CanisterId(canister_id.as_slice().to_vec());
        pic.update_call_with_effective_principal(
            Principal::management_canister(),
            effective,
            Principal::anonymous(),
            "update_settings",
            arg,
        )
    };
    let reject = update(Some(1_u8.into())).expect_err("it is not known");
    assert!(reject.reject_message.contains("is not supported by this replica"), "{reject}");
    update(None).expect("nothing was set");
}

#[test]
fn checkpoints_can_come_every_round() {
    let (replica, pic) = start();
    let (from, onto) = (canister(&pic), canister(&pic));
    let snapshot = pic.take_canister_snapshot(from, None, None).expect("a snapshot is taken").id;
    pic.load_canister_snapshot(onto, None, snapshot.clone()).expect_err("its pages are in no checkpoint yet");
    replica
        .with_instance(pic.instance_id(), |instance| instance.set_checkpoint_rounds(1))
        .expect("the instance is there");
    pic.tick();
    pic.load_canister_snapshot(onto, None, snapshot).expect("after a checkpoint it is loaded");
}

/// dfinity/ic #10292: 10,000 cycles a second for a canister, 317,500 a GiB and second where it was 127,000.
#[test]
fn a_replica_charges_the_fees_of_the_year_that_it_is_told_and_by_default_the_newer_ones() {
    const DAY_SECONDS: u128 = 86_400;
    let burned_per_day = |config: ReplicaConfig| -> u128 {
        let replica = Replica::start_with(config).expect("the replica starts");
        let url = replica.url().parse().expect("it has a URL");
        let pic = PocketIcBuilder::new().with_server_url(url).with_application_subnet().build();
        let id = pic.create_canister();
        pic.set_stable_memory(id, vec![7; 64 << 20], pocket_ic::common::rest::BlobCompression::NoCompression);
        let status = pic.canister_status(id, None).expect("the controller may ask");
        status.idle_cycles_burned_per_day.0.try_into().expect("it fits")
    };
    let of_2025 = burned_per_day(ReplicaConfig { fees: Fees::Of2025, ..ReplicaConfig::default() });
    let of_2026 = burned_per_day(ReplicaConfig::default());
    // A sixteenth of a GiB, of which the history of the canister is less than a hundred thousandth.
    let is_about = |found: u128, expected: u128| (expected..expected + expected / 100_000).contains(&found);
    assert!(is_about(of_2025, 127_000 * DAY_SECONDS / 16), "{of_2025}");
    assert!(is_about(of_2026, (317_500 + 16 * 10_000) * DAY_SECONDS / 16), "{of_2026}");
}
