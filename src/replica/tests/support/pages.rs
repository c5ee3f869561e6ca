//! Canisters with pages, as text.

use candid::{CandidType, Principal, encode_one};
use pocket_ic::PocketIc;

candid::define_function!(Callback : (Token) -> (Chunk) query);

#[derive(CandidType, candid::Deserialize)]
struct Token {
    part: u32,
}

#[derive(CandidType, candid::Deserialize)]
struct Chunk {
    body: serde_bytes::ByteBuf,
    token: Option<Token>,
}

#[derive(CandidType)]
enum Strategy {
    Callback { callback: Callback, token: Token },
}

#[derive(CandidType)]
struct Response {
    status_code: u16,
    headers: Vec<(String, String)>,
    body: serde_bytes::ByteBuf,
    upgrade: Option<bool>,
    streaming_strategy: Option<Strategy>,
}

/// What the canister answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Plain,
    Updated,
    First,
    Second,
    Last,
}

impl Page {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Plain => "<!DOCTYPE html><title>plain</title>a plain page",
            Self::Updated => "made by an update",
            Self::First => "first, ",
            Self::Second => "second, ",
            Self::Last => "last",
        }
    }

    /// All pieces of the page that comes in pieces.
    pub(crate) fn streamed() -> String {
        [Self::First, Self::Second, Self::Last].map(Self::text).concat()
    }

    fn response(self, upgrade: Option<bool>, streaming_strategy: Option<Strategy>) -> Vec<u8> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        encode_one(Response {
            status_code: 200,
            headers: vec![
                header("Content-Type", "text/html"),
                header("Content-Length", "1"),
                header("a b", "c"),
            ],
            body: self.text().as_bytes().to_vec().into(),
            upgrade,
            streaming_strategy,
        })
        .expect("encodes")
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A canister that answers by the path: `/upgrade` asks for an update, `/stream` comes in three pieces, `/trap` traps,
/// `/rubbish` is no response, and everything else is a plain page. `updates` answers how many updates there were.
pub(crate) fn page_canister(id: Principal) -> Vec<u8> {
    let callback = Callback::new(id, "more".to_owned());
    let strategy = Strategy::Callback { callback, token: Token { part: 2 } };
    let piece = |page: Page, token: Option<Token>| {
        encode_one(Chunk { body: page.text().as_bytes().to_vec().into(), token }).expect("encodes")
    };
    // At multiples of 4 KiB, in this order.
    let answers = [
        Page::Plain.response(None, None),
        Page::Plain.response(Some(true), None),
        Page::Updated.response(None, None),
        Page::First.response(None, Some(strategy)),
        piece(Page::Second, Some(Token { part: 3 })),
        piece(Page::Last, None),
        b"DIDL\0\x01\x7d\x05".to_vec(),
    ];
    let data: String = answers
        .iter()
        .enumerate()
        .map(|(place, bytes)| format!("(data (i32.const {}) \"{}\")\n", place * 4096, escaped(bytes)))
        .collect();
    let answer = |place: usize| {
        format!("(call $answer (i32.const {}) (i32.const {}))", place * 4096, answers[place].len())
    };
    // The path stands in the argument as it is, and four bytes tell it; the part is the last number of the token.
    let case = |path: &str, then: &str| {
        let word = i32::from_le_bytes(path.as_bytes()[..4].try_into().expect("four bytes"));
        format!("(if (call $has (i32.const {word})) (then {then} (return)))")
    };
    wat::parse_str(format!(
        r#"(module
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_arg_data_size" (func $size (result i32)))
            (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
            (memory 3)
            {data}
            (global $updates (mut i32) (i32.const 0))
            (func $answer (param i32 i32) (call $append (local.get 0) (local.get 1)) (call $reply))
            ;; Whether the argument holds these four bytes.
            (func $has (param $word i32) (result i32)
                (local $at i32)
                (call $copy (i32.const 65536) (i32.const 0) (call $size))
                (loop $next
                    (if (i32.eq (i32.load (i32.add (i32.const 65536) (local.get $at))) (local.get $word))
                        (then (return (i32.const 1))))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $next (i32.lt_u (i32.add (local.get $at) (i32.const 3)) (call $size))))
                (i32.const 0))
            (func (export "canister_query http_request")
                {} {} {} {}
                {})
            (func (export "canister_update http_request_update")
                (global.set $updates (i32.add (global.get $updates) (i32.const 1)))
                {})
            (func (export "canister_query more")
                (call $copy (i32.const 65536) (i32.const 0) (call $size))
                (if (i32.eq (i32.load (i32.sub (i32.add (i32.const 65536) (call $size)) (i32.const 4))) (i32.const 2))
                    (then {} (return)))
                {})
            (func (export "canister_query updates")
                (i32.store (i32.const 65536) (global.get $updates))
                (call $answer (i32.const 65536) (i32.const 4))))"#,
        case("/upgrade", &answer(1)),
        case("/stream", &answer(3)),
        case("/trap", "unreachable"),
        case("/rubbish", &answer(6)),
        answer(0),
        answer(2),
        answer(4),
        answer(5),
    ))
    .expect("a module in text format")
}

/// How many updates a canister of pages made.
pub(crate) fn updates(pic: &PocketIc, canister: Principal) -> u32 {
    let reply = pic.query_call(canister, Principal::anonymous(), "updates", vec![]).expect("it replies");
    u32::from_le_bytes(reply.try_into().expect("four bytes"))
}

#[derive(CandidType, candid::Deserialize)]
enum Method {
    #[serde(rename = "get")]
    Get,
}

#[derive(CandidType)]
struct Outcall {
    url: String,
    max_response_bytes: Option<u64>,
    method: Method,
    headers: Vec<Header>,
}

#[derive(CandidType)]
struct Header {
    name: String,
    value: String,
}

/// A canister whose method `ask` makes an HTTP outcall, and replies with the message of its reject.
pub(crate) fn asking_canister() -> Vec<u8> {
    let arg = Outcall {
        url: "https://example.com/".to_owned(),
        max_response_bytes: Some(1_000),
        method: Method::Get,
        headers: Vec::new(),
    };
    let arg = encode_one(arg).expect("encodes");
    wat::parse_str(format!(
        r#"(module
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_reject_msg_size" (func $size (result i32)))
            (import "ic0" "msg_reject_msg_copy" (func $copy (param i32 i32 i32)))
            (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
            (import "ic0" "call_data_append" (func $data (param i32 i32)))
            (import "ic0" "call_cycles_add" (func $cycles (param i64)))
            (import "ic0" "call_perform" (func $perform (result i32)))
            (table funcref (elem $replied $rejected))
            (memory 4)
            (data (i32.const 0) "{}")
            (data (i32.const 4096) "http_request")
            (func $replied (param i32) unreachable)
            (func $rejected (param i32)
                (call $copy (i32.const 8192) (i32.const 0) (call $size))
                (call $append (i32.const 8192) (call $size)) (call $reply))
            (func (export "canister_update ask")
                (call $new (i32.const 0) (i32.const 0) (i32.const 4096) (i32.const 12)
                    (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
                (call $data (i32.const 0) (i32.const {}))
                (call $cycles (i64.const 100000000000))
                (drop (call $perform))))"#,
        escaped(&arg),
        arg.len()
    ))
    .expect("a module in text format")
}
