//! The server itself: what only the embedded replica answers, and whom it refuses.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/pages.rs"]
mod pages;

use browser::{Answer, send};
use candid::Principal;
use decant_replica::Replica;
use pages::{Page, page_canister};
use pocket_ic::{PocketIc, PocketIcBuilder};

fn start() -> (Replica, PocketIc) {
    let replica = Replica::start().expect("the replica starts");
    let url = replica.url().parse().expect("it has a URL");
    let pic = PocketIcBuilder::new().with_server_url(url).with_application_subnet().build();
    (replica, pic)
}

/// A live instance with a canister of pages, and the port of its gateway.
fn start_live() -> (Replica, PocketIc, Principal, u16) {
    let (replica, mut pic) = start();
    let port = pic.make_live(None).port().expect("a port");
    pic.stop_progress();
    let canister = pic.create_canister();
    pic.install_canister(canister, page_canister(canister), vec![], None);
    (replica, pic, canister, port)
}

fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(port, "GET", path, headers, b"")
}

/// What a browser sends of a page elsewhere would be taken for our own: names that a name server could point here
/// (DNS rebinding), and origins that are not the server's.
#[test]
fn no_web_page_can_use_the_protocol() {
    let (replica, _pic) = start();
    let port = replica.port();
    let post = |headers: &[(&str, &str)]| {
        send(port, "POST", "/instances", headers, br#"{"subnet_config_set":{"application":[{}]}}"#)
    };
    for headers in [
        &[("Host", "evil.example")][..],
        &[("Host", "localhost"), ("Origin", "http://evil.example"), ("Content-Type", "text/plain")],
        &[("Host", "127.0.0.1"), ("Origin", "null")],
        &[("Host", "localhost"), ("Sec-Fetch-Site", "cross-site")],
    ] {
        let answer = post(headers);
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(!answer.head.to_ascii_lowercase().contains("access-control-allow"), "{answer:?}");
    }
    assert_eq!(get(port, "/instances", &[("Host", "127.0.0.1")]).text(), r#"["Available"]"#, "none was made");
    assert_eq!(post(&[("Host", "[::1]:80")]).status, 201);
    let preflight = [
        ("Host", "localhost"),
        ("Origin", "http://evil.example"),
        ("Access-Control-Request-Method", "DELETE"),
    ];
    assert_eq!(send(port, "OPTIONS", "/instances/0", &preflight, b"").status, 403);
}

/// Interface specification, "HTTP Gateway protocol", without certificates.
#[test]
fn a_page_of_a_canister_is_served_under_its_host_and_by_parameter() {
    let (_replica, _pic, canister, port) = start_live();
    let of_host = get(port, "/hello?x=1", &[("Host", &format!("{canister}.localhost:{port}"))]);
    assert_eq!((of_host.status, of_host.text()), (200, Page::Plain.text().to_owned()));
    assert!(of_host.head.contains("text/html"), "{}", of_host.head);
    for path in [format!("/?canisterId={canister}"), format!("/a?b=c&canisterId={canister}")] {
        assert_eq!(get(port, &path, &[("Host", "127.0.0.1")]).text(), Page::Plain.text());
    }
    let referer = format!("http://localhost:{port}/?canisterId={canister}");
    let asset = get(port, "/style.css", &[("Host", "localhost"), ("Referer", &referer)]);
    assert_eq!(asset.text(), Page::Plain.text());
    let head = send(port, "HEAD", "/", &[("Host", &format!("{canister}.raw.localhost"))], b"");
    let length = format!("content-length: {}", Page::Plain.text().len());
    assert!(head.head.to_ascii_lowercase().contains(&length) && head.body.is_empty(), "{head:?}");
}

/// The same, "upgrade": the canister asks to be called by an update. "streaming_strategy": the rest comes in pieces.
#[test]
fn pages_may_need_an_update_and_come_in_pieces() {
    let (_replica, pic, canister, port) = start_live();
    let host = format!("{canister}.localhost:{port}");
    let own = format!("http://{host}");
    let post = |headers: &[(&str, &str)]| send(port, "POST", "/upgrade", headers, b"body").text();
    assert_eq!(post(&[("Host", &host), ("Origin", &own)]), Page::Updated.text());
    assert_eq!(pages::updates(&pic, canister), 1);
    assert_eq!(get(port, "/stream", &[("Host", &host)]).text(), Page::streamed());
}

/// A page elsewhere can neither read nor change what a canister's page shows; a link to it shows it, and changes nothing.
#[test]
fn pages_of_other_origins_neither_read_nor_change_a_page() {
    let (_replica, pic, canister, port) = start_live();
    let host = format!("{canister}.localhost:{port}");
    let other = format!("http://{}.localhost:{port}", Principal::management_canister());
    for headers in [
        &[("Host", host.as_str()), ("Origin", "http://evil.example")][..],
        &[("Host", &host), ("Origin", &other)],
        &[("Host", &host), ("Origin", "null")],
        &[
            ("Host", &host),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "no-cors"),
            ("Sec-Fetch-Dest", "image"),
        ],
        &[
            ("Host", &host),
            ("Sec-Fetch-Site", "same-site"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "iframe"),
        ],
        &[("Host", "evil.example")],
    ] {
        let answer = get(port, "/upgrade", headers);
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(!answer.head.to_ascii_lowercase().contains("access-control-allow"), "{answer:?}");
    }
    let link = [
        ("Host", host.as_str()),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    assert_eq!(get(port, "/", &link).status, 200);
    assert_eq!(get(port, "/upgrade", &link).status, 403);
    assert_eq!(pages::updates(&pic, canister), 0);
}

#[test]
fn a_gateway_says_what_is_the_matter() {
    let (_replica, pic, canister, port) = start_live();
    let nobody = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 9, 9, 1, 1]);
    let none = get(port, "/", &[("Host", &format!("{nobody}.localhost"))]);
    assert!(none.status == 404 && none.text().contains("canister not found"), "{none:?}");
    let unnamed = get(port, "/", &[("Host", "localhost")]);
    assert!(unnamed.status == 400 && unnamed.text().contains("canisterId"), "{unnamed:?}");
    let host = format!("{canister}.localhost");
    for (path, expected) in
        [("/trap", "http_request: "), ("/rubbish", "not a response of the HTTP gateway protocol")]
    {
        let answer = get(port, path, &[("Host", &host)]);
        assert!(answer.status == 502 && answer.text().contains(expected), "{answer:?}");
    }
    let api = get(port, "/api/v3/canister/aaaaa-aa/query", &[("Host", "localhost")]);
    assert!(api.status == 501 && api.text().contains("PocketIC client"), "{api:?}");
    let large = vec![42; 5 << 20];
    let api = format!("/api/v2/canister/{canister}/read_state");
    for (path, status, expected) in
        [(api.as_str(), 413, "payload_too_large\ndetails: "), ("/", 503, "503 - upstream error")]
    {
        let answer = send(port, "POST", path, &[("Host", &host)], &large);
        assert!(answer.status == status && answer.text().contains(expected), "{answer:?}");
    }
    drop(pic);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "it ends with its instance");
}

/// What nobody answers says so: the platform would wait without end.
#[test]
fn an_update_that_waits_for_an_outcall_says_what_to_do() {
    let (_replica, pic) = start();
    let canister = pic.create_canister();
    pic.install_canister(canister, pages::asking_canister(), vec![], None);
    let ask = || pic.update_call(canister, Principal::anonymous(), "ask", vec![]);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask)).expect_err("the client panics");
    let text = panic.downcast_ref::<String>().expect("a sentence");
    assert!(text.contains("https://example.com/") && text.contains("mock_canister_http_response"), "{text}");
    // A live instance is one whose tests answer nothing.
    pic.auto_progress();
    let message = pic.submit_call(canister, Principal::anonymous(), "ask", vec![]).expect("it is accepted");
    let rejected = pic.await_call_no_ticks(message).expect("the callback replies");
    let text = String::from_utf8_lossy(&rejected).into_owned();
    assert!(text.contains("makes no HTTP outcalls") && text.contains("https://example.com/"), "{text}");
}

#[test]
fn a_subnet_can_be_deleted_with_its_canisters() {
    let (_replica, pic) = start();
    let subnet = pic.topology().get_app_subnets()[0];
    let canister = pic.create_canister();
    assert_eq!(pic.get_subnet_metrics(subnet).expect("it has metrics").num_canisters, 1);
    pic.delete_subnet(subnet);
    assert!(pic.topology().get_app_subnets().is_empty());
    assert!(!pic.canister_exists(canister));
    assert!(pic.get_subnet_metrics(subnet).is_none());
    pic.tick();
}

/// A snapshot as the directory that icp-cli and dfx write, there and back.
#[test]
fn a_snapshot_is_written_to_a_directory_and_read_back() {
    let (_replica, pic) = start();
    let canister = pic.create_canister();
    pic.install_canister(canister, page_canister(canister), vec![], None);
    pic.set_stable_memory(
        canister,
        vec![7; 3_000_000],
        pocket_ic::common::rest::BlobCompression::NoCompression,
    );
    pic.stop_canister(canister, None).expect("it stops");
    let taken = pic.take_canister_snapshot(canister, None, None).expect("it is taken");
    let directory =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("snapshot-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    pic.canister_snapshot_download(canister, Principal::anonymous(), taken.id, directory.clone());
    let bytes = |name: &str| std::fs::read(directory.join(name)).expect("the file is there");
    assert_eq!(bytes("wasm_module.bin"), page_canister(canister));
    let stable = bytes("stable_memory.bin");
    assert_eq!((stable.len(), &stable[2_999_998..3_000_002]), (46 * 65_536, &[7, 7, 0, 0][..]));
    let metadata = String::from_utf8(bytes("metadata.json")).expect("text");
    assert!(
        metadata.contains("\"stable_memory_size\": 3014656") && metadata.contains("taken_from_canister"),
        "{metadata}"
    );

    let twin = pic.create_canister();
    pic.install_canister(twin, pages::asking_canister(), vec![], None);
    let uploaded = pic.canister_snapshot_upload(twin, Principal::anonymous(), None, directory.clone());
    pic.stop_canister(twin, None).expect("it stops");
    pic.load_canister_snapshot(twin, None, uploaded).expect("it is loaded");
    pic.start_canister(twin, None).expect("it starts");
    assert_eq!(pages::updates(&pic, twin), 0, "it runs the other's code");
    assert_eq!(pic.get_stable_memory(twin), stable);
    std::fs::remove_dir_all(&directory).expect("it was there");
}

/// Sends cycles to another canister of the first eight bytes of its argument, with what a management call costs; burns some.
const SPENDER: &str = r#"(module
    (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
    (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "msg_cycles_accept128" (func $accept (param i64 i64 i32)))
    (import "ic0" "cycles_burn128" (func $burn (param i64 i64 i32)))
    (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "ic0" "call_cycles_add128" (func $add (param i64 i64)))
    (import "ic0" "call_perform" (func $perform (result i32)))
    (memory 1)
    (table 1 funcref)
    (elem (i32.const 0) $done)
    (data (i32.const 200) "take")
    (func $done (param i32) (call $reply))
    (func $take (call $accept (i64.const 0) (i64.const 40000000000) (i32.const 300)) (call $reply))
    (func $spend
        (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
        (call $burn (i64.const 0) (i64.const 7000000007) (i32.const 300))
        (call $call_new (i32.const 0) (call $arg_size) (i32.const 200) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
        (call $add (i64.const 0) (i64.const 100000000001))
        (drop (call $perform)))
    (func $trap (call $spend) unreachable)
    (export "canister_update take" (func $take))
    (export "canister_update spend" (func $spend))
    (export "canister_update trap" (func $trap))
    (export "memory" (memory 0)))"#;

/// Interface specification, "State tree, Subnet information": cycles consumed by all current and deleted canisters.
#[test]
fn what_canisters_hold_and_what_was_consumed_is_what_there_was_to_the_cycle() {
    let (_replica, pic) = start();
    let subnet = pic.topology().get_app_subnets()[0];
    let module = wat::parse_str(SPENDER).expect("a module");
    let canisters = [(); 3].map(|()| pic.create_canister());
    let mut held_before: u128 = canisters.iter().map(|id| pic.cycle_balance(*id)).sum();
    let consumed = || pic.get_subnet_metrics(subnet).expect("it has metrics").consumed_cycles_total;
    let consumed_before = consumed();
    for id in canisters {
        held_before += 10_000_000_000_000;
        pic.add_cycles(id, 10_000_000_000_000);
        pic.install_canister(id, module.clone(), vec![], None);
    }
    let [first, second, last] = canisters;
    let call = |method: &str, to: Principal| {
        pic.update_call(first, Principal::anonymous(), method, to.as_slice().to_vec())
    };
    let check = |what: &str| {
        let held: u128 =
            canisters.iter().filter(|id| pic.canister_exists(**id)).map(|id| pic.cycle_balance(*id)).sum();
        let consumed = consumed() - consumed_before;
        assert!(consumed > 0, "{what}");
        assert_eq!(held + consumed, held_before, "{what}");
        consumed
    };
    let installed = check("installations");
    // 7 B are burned and 40 B accepted; the rest comes back, and so does what was prepaid.
    call("spend", second).expect("it answers");
    let spent = check("a call with cycles");
    assert!(spent - installed > 7_000_000_007, "{spent}");
    assert_eq!(pic.cycle_balance(second).cmp(&pic.cycle_balance(last)), std::cmp::Ordering::Greater);
    call("trap", second).expect_err("it traps");
    call("none", second).expect_err("there is no such method");
    call("spend", Principal::from_slice(&[9; 10])).expect("a call of nobody is answered");
    check("calls that fail");
    pic.upgrade_canister(second, b"no module".to_vec(), vec![], None).expect_err("it does not compile");
    pic.upgrade_canister(second, module, vec![], None).expect("it is upgraded");
    pic.take_canister_snapshot(second, None, None).expect("a snapshot is taken");
    for _ in 0..5 {
        pic.advance_time(std::time::Duration::from_secs(100_000));
        pic.tick();
    }
    let before = check("half a week of memory");
    let left = pic.cycle_balance(last);
    pic.stop_canister(last, None).expect("it stops");
    pic.delete_canister(last, None).expect("it is deleted");
    assert!(check("a deletion") - before >= left, "what was in it is gone");
}
