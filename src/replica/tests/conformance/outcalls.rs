//! HTTP outcalls, which a test answers. Management canister, `http_request`; how nodes agree: documentation of the
//! `pocket-ic` crate, `MockCanisterHttpResponse`.

use std::time::Duration;

use candid::{CandidType, Deserialize, Principal, decode_one, encode_one};
use pocket_ic::PocketIc;
use pocket_ic::common::rest::{
    CanisterHttpHeader, CanisterHttpMethod, CanisterHttpReject, CanisterHttpReply, CanisterHttpRequest,
    CanisterHttpResponse, MockCanisterHttpResponse, RawMessageId,
};

use crate::support::canisters::{install, install_universal, numbers, rejection, wat};
use crate::support::engine;
use crate::support::script::{Call, script};
use crate::support::wait::{answer, submit, until};

/// More than any outcall of these tests costs.
const PLENTY: u64 = 100_000_000_000;

candid::define_function!(TransformFunction : (TransformArgs) -> (HttpResult) query);

#[derive(CandidType, Deserialize)]
struct TransformArgs {
    response: HttpResult,
    #[serde(with = "serde_bytes")]
    context: Vec<u8>,
}

#[derive(CandidType, Deserialize)]
struct Transform {
    function: TransformFunction,
    #[serde(with = "serde_bytes")]
    context: Vec<u8>,
}

#[derive(CandidType, Deserialize)]
enum Method {
    #[serde(rename = "get")]
    Get,
    #[serde(rename = "put")]
    Put,
}

#[derive(CandidType, Deserialize, Debug, PartialEq, Clone)]
struct Header {
    name: String,
    value: String,
}

#[derive(CandidType)]
struct Arg {
    url: String,
    max_response_bytes: Option<u64>,
    method: Method,
    headers: Vec<Header>,
    body: Option<Vec<u8>>,
    transform: Option<Transform>,
    is_replicated: Option<bool>,
}

#[derive(CandidType, Deserialize, Debug, PartialEq, Clone)]
struct HttpResult {
    status: candid::Nat,
    headers: Vec<Header>,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
}

fn get(url: &str) -> Arg {
    Arg {
        url: url.to_owned(),
        max_response_bytes: Some(1_000),
        method: Method::Get,
        headers: Vec::new(),
        body: None,
        transform: None,
        is_replicated: None,
    }
}

/// Has the canister make an outcall, and waits until somebody can answer it.
fn begin(pic: &PocketIc, canister: Principal, arg: Arg) -> (RawMessageId, CanisterHttpRequest) {
    let message =
        submit(pic, canister, script().call(Call::management("http_request", (arg,)).cycles(PLENTY)));
    let outcall = until(pic, "the outcall", |pic| pic.get_canister_http().pop());
    (message, outcall)
}

fn refusal(pic: &PocketIc, canister: Principal, call: Call) -> String {
    rejection(&answer(pic, &submit(pic, canister, script().call(call))).expect("the script replies")).1
}

fn reply(status: u16, body: &[u8]) -> CanisterHttpResponse {
    let headers = vec![CanisterHttpHeader { name: "x".to_owned(), value: "y".to_owned() }];
    CanisterHttpResponse::CanisterHttpReply(CanisterHttpReply { status, headers, body: body.to_vec() })
}

fn mock(outcall: &CanisterHttpRequest, responses: Vec<CanisterHttpResponse>) -> MockCanisterHttpResponse {
    let mut responses = responses.into_iter();
    MockCanisterHttpResponse {
        subnet_id: outcall.subnet_id,
        request_id: outcall.request_id,
        response: responses.next().expect("a response"),
        additional_responses: responses.collect(),
    }
}

/// "This method makes an HTTP request to a given URL and returns the HTTP response".
#[test]
fn a_canister_gets_what_the_test_answers_to_its_outcall() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let arg = Arg {
        headers: vec![Header { name: "a".to_owned(), value: "b".to_owned() }],
        body: Some(b"ask".to_vec()),
        ..get("https://example.com/x?y")
    };
    let (message, outcall) = begin(&pic, canister, arg);
    assert_eq!(Some(outcall.subnet_id), pic.get_subnet(canister));
    assert_eq!(outcall.http_method, CanisterHttpMethod::GET);
    assert_eq!(
        (outcall.url.as_str(), outcall.body.as_slice()),
        ("https://example.com/x?y", b"ask".as_slice())
    );
    assert_eq!((outcall.headers[0].name.as_str(), outcall.headers[0].value.as_str()), ("a", "b"));
    assert_eq!(outcall.max_response_bytes, Some(1_000));
    pic.mock_canister_http_response(mock(&outcall, vec![reply(404, b"not there")]));
    assert!(pic.get_canister_http().is_empty(), "it has its answer");
    let result: HttpResult = decode_one(&answer(&pic, &message).expect("a reply")).expect("a response");
    let headers = vec![Header { name: "x".to_owned(), value: "y".to_owned() }];
    assert_eq!(result, HttpResult { status: 404u64.into(), headers, body: b"not there".to_vec() });
}

/// "Cycles to pay for the call must be explicitly transferred"; price: developer documentation, "Cycle costs", for
/// what is asked and for the longest answer, not for the one that comes.
#[test]
fn an_outcall_costs_by_its_request_and_its_longest_response() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let refund = script().refunded().append_int().reply();
    let call = || Call::management("http_request", (get("https://a.example"),)).on_reply(refund.clone());
    let message = submit(&pic, canister, script().call(call().cycles(PLENTY)));
    let outcall = until(&pic, "the outcall", |pic| pic.get_canister_http().pop());
    pic.mock_canister_http_response(mock(&outcall, vec![reply(200, b"")]));
    let [refunded] = numbers(&answer(&pic, &message).expect("a reply"));
    let price = (3_000_000 + 60_000 * 13 + 400 * 17 + 800 * 1_000) * 13;
    assert_eq!(PLENTY - refunded, price);
    let short = Call::management("http_request", (get("https://a.example"),)).cycles(price - 1);
    let text = refusal(&pic, canister, short);
    assert!(text.contains(&format!("{price} cycles are required")), "{text}");
}

/// "The transformation function is executed separately on the corresponding response": the canister gets its result.
#[test]
fn a_transform_function_makes_the_response_that_the_canister_gets() {
    // A query that replies with bytes of its own, and a method that makes the outcall.
    let transformed = HttpResult { status: 7u64.into(), headers: vec![], body: b"transformed".to_vec() };
    let fixed = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let bytes = encode_one(&transformed).expect("encodes");
    let transforming = wat(&format!(
        r#"(module
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_arg_data_size" (func $size (result i32)))
            (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
            (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
            (import "ic0" "call_data_append" (func $data (param i32 i32)))
            (import "ic0" "call_cycles_add" (func $cycles (param i64)))
            (import "ic0" "call_perform" (func $perform (result i32)))
            (import "ic0" "msg_reject_msg_size" (func $why_size (result i32)))
            (import "ic0" "msg_reject_msg_copy" (func $why (param i32 i32 i32)))
            (table funcref (elem $answered $failed))
            (memory 2)
            (data (i32.const 0) "{}")
            (data (i32.const 4096) "http_request")
            (func $answered (param i32)
                (call $copy (i32.const 8192) (i32.const 0) (call $size))
                (call $append (i32.const 8192) (call $size)) (call $reply))
            (func $failed (param i32)
                (call $why (i32.const 8192) (i32.const 0) (call $why_size))
                (call $append (i32.const 8192) (call $why_size)) (call $reply))
            (func (export "canister_update ask")
                (call $new (i32.const 0) (i32.const 0) (i32.const 4096) (i32.const 12)
                    (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
                (call $copy (i32.const 8192) (i32.const 0) (call $size))
                (call $data (i32.const 8192) (call $size))
                (call $cycles (i64.const {PLENTY}))
                (drop (call $perform)))
            (func (export "canister_query transform")
                (call $append (i32.const 0) (i32.const {})) (call $reply)))"#,
        fixed(&bytes),
        bytes.len()
    ));
    let pic = engine::pic();
    let canister = install(&pic, &transforming, &[]);
    let ask = |method: &str| {
        let function = TransformFunction::new(canister, method.to_owned());
        let transform = Some(Transform { function, context: b"context".to_vec() });
        let arg = encode_one(Arg { transform, ..get("https://example.com") }).expect("encodes");
        let message = pic.submit_call(canister, Principal::anonymous(), "ask", arg).expect("it is accepted");
        let outcall = until(&pic, "the outcall", |pic| pic.get_canister_http().pop());
        pic.mock_canister_http_response(mock(&outcall, vec![reply(200, b"raw")]));
        answer(&pic, &message)
    };
    let result: HttpResult = decode_one(&ask("transform").expect("a reply")).expect("a response");
    assert_eq!(result, transformed);
    let why = String::from_utf8(ask("missing").expect("the callback replies")).expect("a sentence");
    assert!(why.contains("missing"), "{why}");
}

/// `additional_responses`: "a fully replicated one is performed by all of them", and more than two thirds must agree.
#[test]
fn nodes_must_agree_on_a_response() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let responses = |differing: usize| {
        let body =
            |node: usize| if node < differing { format!("of node {node}") } else { "the same".to_owned() };
        (0..13).map(|node| reply(200, body(node).as_bytes())).collect::<Vec<_>>()
    };
    let (message, outcall) = begin(&pic, canister, get("https://example.com"));
    pic.mock_canister_http_response(mock(&outcall, responses(4)));
    let result: HttpResult = decode_one(&answer(&pic, &message).expect("a reply")).expect("a response");
    assert_eq!(result.body, b"the same");

    let (message, outcall) = begin(&pic, canister, get("https://example.com"));
    pic.mock_canister_http_response(mock(&outcall, responses(5)));
    let (code, text) = rejection(&answer(&pic, &message).expect("the script replies"));
    assert_eq!(code, 2, "transient");
    let expected = format!("Replicas had different responses. Details: request_id: {}", outcall.request_id);
    assert!(text.starts_with("No consensus could be reached") && text.contains(&expected), "{text}");
}

/// "In the non-replicated mode, the request is made by a single replica".
#[test]
fn an_outcall_of_one_node_needs_no_agreement() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let arg = Arg { is_replicated: Some(false), method: Method::Put, ..get("https://example.com") };
    let (message, outcall) = begin(&pic, canister, arg);
    assert_eq!(outcall.http_method, CanisterHttpMethod::PUT);
    pic.mock_canister_http_response(mock(&outcall, vec![reply(201, b"made")]));
    let result: HttpResult = decode_one(&answer(&pic, &message).expect("a reply")).expect("a response");
    assert_eq!((result.status, result.body), (201u64.into(), b"made".to_vec()));
}

/// `CanisterHttpReject`: what a node could not get.
#[test]
fn an_outcall_can_be_rejected() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let (message, outcall) = begin(&pic, canister, get("https://example.com"));
    let reject = CanisterHttpReject { reject_code: 2, message: "no route".to_owned() };
    pic.mock_canister_http_response(mock(&outcall, vec![CanisterHttpResponse::CanisterHttpReject(reject)]));
    assert_eq!(rejection(&answer(&pic, &message).expect("the script replies")), (2, "no route".to_owned()));
}

/// `get_canister_http`: an outcall waits for a minute.
#[test]
fn an_outcall_that_nobody_answers_times_out() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let (message, _) = begin(&pic, canister, get("https://example.com"));
    pic.advance_time(Duration::from_secs(59));
    pic.tick();
    assert_eq!(pic.get_canister_http().len(), 1);
    pic.advance_time(Duration::from_secs(2));
    pic.tick();
    assert!(pic.get_canister_http().is_empty());
    let (code, text) = rejection(&answer(&pic, &message).expect("the script replies"));
    assert_eq!((code, text.as_str()), (2, "Canister http request timed out"));
}

/// "An error will be returned when the request or response is larger than the maximal size", and the other limits.
#[test]
fn outcalls_beyond_the_limits_are_refused() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let of = |arg: Arg| Call::management("http_request", (arg,)).cycles(PLENTY);
    let header = |name: usize, value: usize| Header { name: "n".repeat(name), value: "v".repeat(value) };
    for (arg, expected) in [
        (Arg { max_response_bytes: Some(2_000_001), ..get("https://a") }, "max_response_bytes expected"),
        (get(&format!("https://{}", "a".repeat(8_185))), "url size 8193 exceeds 8192"),
        (
            Arg { headers: vec![header(1, 1); 65], ..get("https://a") },
            "number of all http headers 65 exceeds 64",
        ),
        (Arg { headers: vec![header(8_193, 1)], ..get("https://a") }, "header name 8193 exceeds 8192"),
        (Arg { headers: vec![header(1, 8_193)], ..get("https://a") }, "header value 8193 exceeds 8192"),
        (Arg { headers: vec![header(1, 8_191); 7], ..get("https://a") }, "exceeds 49152"),
    ] {
        let text = refusal(&pic, canister, of(arg));
        assert!(text.contains(expected), "{text}");
    }
    let (message, outcall) = begin(&pic, canister, get("https://example.com"));
    pic.mock_canister_http_response(mock(&outcall, vec![reply(200, &[0; 1_001])]));
    let (code, text) = rejection(&answer(&pic, &message).expect("the script replies"));
    assert!(code == 1 && text.contains("size limit of 1000 bytes"), "{code} {text}");
}

/// "it cannot be called by external users via ingress messages".
#[test]
fn users_make_no_outcalls() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let effective = pocket_ic::common::rest::RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec());
    let arg = encode_one(get("https://example.com")).expect("encodes");
    let management = Principal::management_canister();
    let refused = pic
        .update_call_with_effective_principal(
            management,
            effective,
            Principal::anonymous(),
            "http_request",
            arg,
        )
        .expect_err("only canisters may");
    assert!(
        refused.reject_message.contains("Only canisters can call ic00 method http_request"),
        "{refused:?}"
    );
}
