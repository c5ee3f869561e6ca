//! What no client of the `pocket-ic` crate sends, and the server must survive: an error, never a panic, never
//! another instance's data. HTTPS interface, "HTTPS Interface": malformed requests are answered with an HTTP
//! error.

use std::io::{Read, Write};
use std::net::Shutdown;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use candid::Principal;
use pocket_ic::PocketIc;

use crate::support::canisters::{OWNER, deleted, install_universal, number, run, slot};
use crate::support::engine;
use crate::support::http::{self, connect, path, request};
use crate::support::script::script;

/// Clients that call at once.
const CLIENTS: usize = 64;

/// Asserts that the server answers with an error that says something.
#[track_caller]
fn assert_refused(pic: &PocketIc, method: &str, path: &str, body: &str) {
    let response = request(pic, method, path, body);
    assert!((400..500).contains(&response.status), "{method} {path}: {response:?}");
    // That a path or a method does not exist needs no words.
    assert!(
        !response.body.is_empty() || matches!(response.status, 404 | 405),
        "{method} {path}: {response:?}"
    );
}

/// Asserts that the server and the canister still work.
#[track_caller]
fn assert_alive(pic: &PocketIc, canister: Principal) {
    run(pic, canister, script().reply());
}

fn canister_id_json(canister: &[u8]) -> String {
    format!(r#"{{"canister_id":"{}"}}"#, BASE64_STANDARD.encode(canister))
}

/// A body that is not JSON, or not the JSON that the endpoint takes.
#[test]
fn malformed_json_is_refused() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let deep = "[".repeat(100_000);
    let wrong = [
        "",
        "{",
        "null",
        "[]",
        "\"text\"",
        "{}",
        "{\"canister_id\":7}",
        "{\"canister_id\":\"not base64!\"}",
        "{\"canister_id\":\"AAAA\", \"canister_id\":\"AAAA\"}",
        "\u{0}\u{1}",
        deep.as_str(),
    ];
    for body in wrong {
        for endpoint in ["read/get_cycles", "update/submit_ingress_message", "read/query", "update/set_time"]
        {
            assert_refused(&pic, "POST", &path(&pic, endpoint), body);
        }
        assert_refused(&pic, "POST", "/instances", body);
    }
    assert_alive(&pic, canister);
}

/// An instance that does not exist, or is not even a number.
#[test]
fn an_unknown_instance_is_refused() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let body = canister_id_json(canister.as_slice());
    for instance in ["999999", "18446744073709551615", "18446744073709551616", "-1", "x", "%00"] {
        assert_refused(&pic, "POST", &format!("/instances/{instance}/read/get_cycles"), &body);
        assert_refused(&pic, "GET", &format!("/instances/{instance}/read/get_time"), "");
    }
    assert_alive(&pic, canister);
}

/// A canister that does not exist, on no subnet, or whose id is no principal.
#[test]
fn an_unknown_canister_is_refused() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let gone = deleted(&pic);
    for id in [gone.as_slice(), &[0; 10], &[7; 29], &[7; 100]] {
        let body = canister_id_json(id);
        for endpoint in ["read/get_cycles", "read/get_stable_memory", "read/get_controllers"] {
            assert_refused(&pic, "POST", &path(&pic, endpoint), &body);
        }
    }
    assert_alive(&pic, canister);
}

/// An endpoint that does not exist.
#[test]
fn an_unknown_endpoint_is_refused() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    for endpoint in ["read/nonsense", "update/nonsense", "nonsense"] {
        assert_refused(&pic, "POST", &path(&pic, endpoint), "{}");
        assert_refused(&pic, "GET", &path(&pic, endpoint), "");
    }
    assert_refused(&pic, "GET", "/nonsense", "");
    assert_refused(&pic, "PATCH", &path(&pic, "update/tick"), "{}");
    assert_alive(&pic, canister);
}

/// A subnet configuration that asks for nothing.
#[test]
fn an_instance_without_subnets_is_refused() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let empty = r#"{"subnet_config_set":{"nns":null,"sns":null,"ii":null,"fiduciary":null,"bitcoin":null,
        "test_threshold_keys":null,"system":[],"application":[],"cloud_engine":[],
        "verified_application":[]}}"#;
    assert_refused(&pic, "POST", "/instances", empty);
    assert_alive(&pic, canister);
}

/// Something that is not HTTP.
#[test]
fn noise_on_the_line_harms_nobody() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    for noise in [&b"\0\0\0\0\r\n\r\n"[..], b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", &[0xFF; 70_000]]
    {
        let mut stream = connect(&pic);
        let _closed = stream.write_all(noise);
        let _closed = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _closed = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_alive(&pic, canister);
}

/// Clients that hang up: before the head is complete, in the middle of the body, before the answer.
#[test]
fn clients_that_hang_up_harm_nobody() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let body = canister_id_json(canister.as_slice());
    let head = http::head("POST", &path(&pic, "read/get_cycles"), body.len());
    let whole = [head.as_bytes(), body.as_bytes()].concat();
    let cuts = [1, head.len() / 2, head.len(), head.len() + 1, whole.len() - 1, whole.len()];
    for cut in cuts {
        for _ in 0..10 {
            let mut stream = connect(&pic);
            stream.write_all(&whole[..cut]).expect("the part is sent");
            drop(stream);
        }
    }
    let promised = http::head("POST", &path(&pic, "read/get_cycles"), usize::MAX / 4);
    let mut stream = connect(&pic);
    stream.write_all(promised.as_bytes()).expect("the head is sent");
    let _refused = stream.write_all(&[b' '; 100_000]);
    drop(stream);
    assert_alive(&pic, canister);
}

/// 64 clients at once on two instances: every message is executed once, where it belongs.
#[test]
fn sixty_four_clients_at_once_are_all_served() {
    let pics = [engine::pic(), engine::pic()];
    let canisters = pics.each_ref().map(install_universal);
    let rounds = 3;
    let replies: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let client = |n: usize| {
            let (pic, canister) = (&pics[n % 2], canisters[n % 2]);
            let (url, instance) = (pic.get_server_url(), pic.instance_id());
            scope.spawn(move || {
                let own = PocketIc::new_from_existing_instance(url, instance, Some(300_000));
                let count = || script().bump(0).get(0).append_int().reply().bytes();
                let call = |_| own.update_call(canister, OWNER, "run", count()).expect("a reply");
                (0..rounds).map(|round| number(&call(round))).collect()
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        clients.into_iter().map(|client| client.join().expect("the client is served")).collect()
    });
    let each = CLIENTS / 2 * rounds;
    for n in 0..2 {
        let mut counts: Vec<u64> = replies.iter().skip(n).step_by(2).flatten().copied().collect();
        counts.sort_unstable();
        assert_eq!(counts, (1..=each as u64).collect::<Vec<_>>());
        assert_eq!(slot(&pics[n], canisters[n], 0), each as u64);
    }
}
