//! A hundred hours of the replica's life in minutes: instances made and deleted, modules installed once and never
//! again, logs, outcalls, gateways; and after that, modules that mean harm. Resident memory must stay level, and the
//! server alive. Fails otherwise.
//!
//! `scripts/bench life [HOURS]` (100 by default).

#[path = "../tests/support/browser.rs"]
mod browser;
#[path = "../tests/support/pages.rs"]
mod pages;
#[path = "support/resident.rs"]
mod resident;

use browser::send;
use candid::Principal;
use decant_replica::Replica;
use pages::{Page, asking_canister, page_canister, updates};
use pocket_ic::common::rest::{CanisterHttpReject, CanisterHttpResponse, MockCanisterHttpResponse};
use pocket_ic::{PocketIc, PocketIcBuilder};
use resident::resident_bytes;
use std::time::{Duration, Instant};

/// What happens an hour.
const TIMES_AN_HOUR: u32 = 20;

/// Of the hours, that many are to warm up: caches fill, and the allocator finds its size.
const WARM_PART: u32 = 5;

/// Resident memory that may come and go, in bytes: what the allocator keeps of the largest module.
const SLACK_BYTES: u64 = 64 << 20;

const HOUR: Duration = Duration::from_secs(3_600);

fn main() {
    let hours = std::env::args().skip(1).find_map(|arg| arg.parse::<u32>().ok()).unwrap_or(100);
    let replica = Replica::start().expect("the replica starts");
    let resident_at_first = resident_bytes();
    let old = Old::new(&replica);
    let mut warm = 0;
    let begun = Instant::now();
    for hour in 1..=hours {
        for time in 0..TIMES_AN_HOUR {
            young(&replica, hour * TIMES_AN_HOUR + time);
            old.live(hour * TIMES_AN_HOUR + time);
        }
        let resident = resident_bytes();
        if hour <= hours.div_ceil(WARM_PART) {
            warm = resident.max(warm);
        }
        if hour % hours.div_ceil(10) == 0 {
            println!("hour {hour:4}  {:6} MiB  {:5.0} s", resident >> 20, begun.elapsed().as_secs_f64());
        }
    }
    let resident = resident_bytes();
    println!(
        "resident at first {} MiB, warm {} MiB, in the end {} MiB",
        resident_at_first >> 20,
        warm >> 20,
        resident >> 20
    );
    assert!(resident <= warm + SLACK_BYTES, "resident memory grew");

    let harm = Instant::now();
    for (name, module, method) in hostile() {
        let begun = Instant::now();
        let pic = instance(&replica);
        let answer = try_hostile(&pic, module, method);
        let mib = resident_bytes() >> 20;
        println!("{name:42} {:6.1} s {mib:6} MiB  {answer}", begun.elapsed().as_secs_f64());
        drop(pic);
        assert!(instance(&replica).create_canister() != Principal::anonymous(), "the server is alive");
    }
    println!("harm was tried for {:.0} s", harm.elapsed().as_secs_f64());
}

fn instance(replica: &Replica) -> PocketIc {
    let url = replica.url().parse().expect("it has a URL");
    PocketIcBuilder::new().with_server_url(url).with_application_subnet().build()
}

/// A module that nobody had before.
fn fresh(number: u32) -> Vec<u8> {
    let filler = "\\00\\01\\02\\03".repeat(25_000);
    wat::parse_str(format!(
        r#"(module
            (import "ic0" "debug_print" (func $print (param i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (memory 4)
            (data (i32.const 0) "a module with number {number}")
            (data (i32.const 64) "{filler}")
            (func (export "canister_update log") (call $print (i32.const 0) (i32.const 32)) (call $reply))
            (func (export "canister_heartbeat") (call $print (i32.const 0) (i32.const 0))))"#
    ))
    .expect("a module in text format")
}

/// An instance that lives as long as a test.
fn young(replica: &Replica, number: u32) {
    let mut pic = instance(replica);
    let canister = pic.create_canister();
    pic.install_canister(canister, fresh(2 * number), vec![], None);
    pic.update_call(canister, Principal::anonymous(), "log", vec![]).expect("it replies");
    pic.take_canister_snapshot(canister, None, None).expect("it is taken");
    if number.is_multiple_of(4) {
        pic.reinstall_canister(canister, page_canister(canister), vec![], None).expect("it is installed");
        let port = pic.make_live(None).port().expect("a port");
        let host = format!("{canister}.localhost");
        let page = send(port, "GET", "/stream", &[("Host", &host)], b"");
        assert!(page.status == 200 && page.head.contains("text/html"), "{page:?}");
        assert_eq!(page.text(), Page::streamed());
    }
}

/// An instance that is there all the time.
struct Old {
    pic: PocketIc,
    asking: Principal,
    logging: Principal,
    page: Principal,
}

impl Old {
    fn new(replica: &Replica) -> Self {
        let pic = instance(replica);
        let [asking, logging, page] = [(); 3].map(|()| pic.create_canister());
        for canister in [asking, logging, page] {
            pic.add_cycles(canister, u128::MAX >> 8);
        }
        pic.install_canister(asking, asking_canister(), vec![], None);
        pic.install_canister(page, page_canister(page), vec![], None);
        pic.install_canister(logging, fresh(1), vec![], None);
        Self { pic, asking, logging, page }
    }

    fn live(&self, number: u32) {
        let pic = &self.pic;
        pic.advance_time(HOUR / TIMES_AN_HOUR);
        pic.reinstall_canister(self.logging, fresh(2 * number + 1), vec![], None).expect("it is installed");
        for _ in 0..20 {
            pic.tick();
        }
        let anonymous = Principal::anonymous();
        let message = pic.submit_call(self.asking, anonymous, "ask", vec![]).expect("it is accepted");
        let outcall = loop {
            match pic.get_canister_http().pop() {
                Some(outcall) => break outcall,
                None => pic.tick(),
            }
        };
        let reject = CanisterHttpReject { reject_code: 2, message: "x".repeat(100_000) };
        pic.mock_canister_http_response(MockCanisterHttpResponse {
            subnet_id: outcall.subnet_id,
            request_id: outcall.request_id,
            response: CanisterHttpResponse::CanisterHttpReject(reject),
            additional_responses: vec![],
        });
        assert_eq!(pic.await_call(message).expect("it replies").len(), 100_000);
        assert_eq!(updates(pic, self.page), 0);
        // Nobody answers this one.
        pic.submit_call(self.asking, anonymous, "ask", vec![]).expect("it is accepted");
        while pic.get_canister_http().is_empty() {
            pic.tick();
        }
    }
}

/// Installs a module that means harm, and calls it; what was answered, in short.
fn try_hostile(pic: &PocketIc, module: Vec<u8>, method: Option<&str>) -> String {
    let canister = pic.create_canister();
    pic.add_cycles(canister, u128::MAX >> 8);
    let effective = pocket_ic::common::rest::RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec());
    let arg = candid::encode_one(Install {
        mode: Mode::Install,
        canister_id: canister,
        wasm_module: module.into(),
        arg: vec![],
    });
    let management = Principal::management_canister();
    let installed = pic.update_call_with_effective_principal(
        management,
        effective,
        Principal::anonymous(),
        "install_code",
        arg.expect("encodes"),
    );
    let answer = match (installed, method) {
        (Err(rejected), _) => Err(rejected),
        (Ok(_), None) => Ok(Vec::new()),
        (Ok(_), Some(method)) => pic.update_call(canister, Principal::anonymous(), method, vec![]),
    };
    answer.map_or_else(
        |rejected| format!("{:?}", rejected.error_code),
        |reply| format!("{} bytes", reply.len()),
    )
}

#[derive(candid::CandidType, candid::Deserialize)]
enum Mode {
    #[serde(rename = "install")]
    Install,
}

#[derive(candid::CandidType)]
struct Install {
    mode: Mode,
    canister_id: Principal,
    wasm_module: serde_bytes::ByteBuf,
    arg: Vec<u8>,
}

/// What a module can do to whoever runs it, worst first.
fn hostile() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let module = |text: String| wat::parse_str(text).expect("a module in text format");
    let with = |body: &str| {
        module(format!(
            r#"(module
                (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
                (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
                (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
                (import "ic0" "debug_print" (func $print (param i32 i32)))
                (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
                (memory 1 65536)
                (func $deep (call $deep))
                (func (export "canister_update harm") {body}))"#
        ))
    };
    let long =
        format!("(local i64) {}", "(local.set 0 (i64.add (local.get 0) (i64.const 1)))".repeat(250_000));
    let many = "(func (local i64) (local.set 0 (i64.const 7)))".repeat(49_000);
    vec![
        (
            "reads 100 GiB of stable memory",
            with(
                "(drop (call $grow (i64.const 1638400))) (call $read (i64.const 0) (i64.const 0) (i64.const 107374182400))",
            ),
            Some("harm"),
        ),
        (
            "writes 100 GiB of stable memory",
            with(
                "(drop (call $grow (i64.const 1638400))) (drop (memory.grow (i32.const 16000))) (loop (call $write (i64.const 0) (i64.const 0) (i64.const 1000000000)) (call $write (i64.const 2000000000) (i64.const 0) (i64.const 1000000000)) (call $write (i64.const 4000000000) (i64.const 0) (i64.const 1000000000)))",
            ),
            Some("harm"),
        ),
        (
            "logs without end",
            with("(loop (call $print (i32.const 0) (i32.const 4096)) (br 0))"),
            Some("harm"),
        ),
        (
            "logs 2 GiB at once",
            with("(drop (memory.grow (i32.const 40000))) (call $print (i32.const 0) (i32.const 2000000000))"),
            Some("harm"),
        ),
        (
            "touches 2.4 GiB of heap",
            with(
                "(local i32) (drop (memory.grow (i32.const 40000))) (loop (i32.store (local.get 0) (i32.const 1)) (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 4096))) (i32.const 2621440000))))",
            ),
            Some("harm"),
        ),
        (
            "replies without end",
            with(
                "(drop (memory.grow (i32.const 16))) (loop (call $append (i32.const 0) (i32.const 1000000)) (br 0))",
            ),
            Some("harm"),
        ),
        ("recurses without end", with("(call $deep)"), Some("harm")),
        ("loops without end", with("(loop (br 0))"), Some("harm")),
        ("a function of 250,000 additions", with(&long), None),
        ("49,000 functions", module(format!("(module {many})")), None),
        ("a table of 10,000,000 elements", module("(module (table 10000000 funcref))".to_owned()), None),
    ]
}
