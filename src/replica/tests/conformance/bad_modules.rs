//! Modules that can't be installed. Canister interface, "Canister module format" and "WebAssembly module
//! requirements".

use std::fmt::Write as _;
use std::io::Write as _;

use candid::Principal;
use flate2::Compression;
use flate2::write::GzEncoder;
use pocket_ic::{PocketIc, RejectCode, RejectResponse};

use crate::support::canisters::{OWNER, assert_reject_code, install_universal, slot, universal, wat};
use crate::support::engine;
use crate::support::management::{self, Mode, install_code};

/// Asserts that `module` is refused, both by an empty canister and as an upgrade, and that this changes
/// nothing.
#[track_caller]
fn assert_refused(pic: &PocketIc, module: &[u8]) -> RejectResponse {
    let empty = pic.create_canister();
    let outcome = install_code(pic, OWNER, empty, Mode::Install, module, &[]);
    let reject = assert_reject_code(outcome, RejectCode::CanisterError);
    assert_eq!(module_hash(pic, empty), None);

    let full = install_universal(pic);
    let before = module_hash(pic, full);
    let outcome = install_code(pic, OWNER, full, Mode::Upgrade(None), module, &[]);
    assert_reject_code(outcome, RejectCode::CanisterError);
    assert_eq!(module_hash(pic, full), before);
    assert_eq!(slot(pic, full, 0), 0, "it still answers");
    reject
}

fn module_hash(pic: &PocketIc, canister: Principal) -> Option<Vec<u8>> {
    management::status(pic, OWNER, canister).expect("the controller may ask").module_hash
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).expect("it compresses");
    gzip.finish().expect("it compresses")
}

/// A module of `count` items, each made by `item`.
fn many(count: usize, item: impl Fn(usize) -> String) -> Vec<u8> {
    let items = (0..count).fold(String::new(), |mut all, n| {
        writeln!(all, "{}", item(n)).expect("writing to a string");
        all
    });
    wat(&format!("(module {items})"))
}

/// "Canister module format": WebAssembly in binary format, or the same compressed with gzip.
#[test]
fn what_is_not_wasm_is_refused() {
    let pic = engine::pic();
    let truncated = &universal()[..universal().len() / 2];
    let flipped: Vec<u8> = universal().iter().map(|byte| byte ^ 0x40).collect();
    let not_wasm: [&[u8]; 7] = [
        b"",
        b"this is not wasm",
        b"\0asm",
        truncated,
        &flipped,
        &gzip(b"this is not wasm either"),
        &gzip(universal())[..500],
    ];
    for module in not_wasm {
        assert_refused(&pic, module);
    }
}

/// "WebAssembly module requirements": "It may only import a function if it is listed"; the reject names the
/// import.
#[test]
fn an_unknown_import_is_named() {
    let pic = engine::pic();
    for (module, field) in [("ic0", "defragment"), ("env", "abort"), ("wasi_snapshot_preview1", "fd_write")] {
        let reject = assert_refused(&pic, &wat(&format!(r#"(module (import "{module}" "{field}" (func)))"#)));
        let message = &reject.reject_message;
        assert!(message.contains(module) && message.contains(field), "{message}");
    }
}

/// "Overview of imports": an import has the type that is listed.
#[test]
fn an_import_of_the_wrong_type_is_refused() {
    let pic = engine::pic();
    let reject = assert_refused(&pic, &wat(r#"(module (import "ic0" "msg_reply" (func (param i32))))"#));
    assert!(reject.reject_message.contains("msg_reply"), "{reject}");
    assert_refused(&pic, &wat(r#"(module (import "ic0" "msg_reply" (global i32)))"#));
}

/// "WebAssembly module requirements": "It may declare (import or export) at most one memory."
#[test]
fn two_memories_are_refused() {
    let pic = engine::pic();
    assert_refused(&pic, &wat("(module (memory 1) (memory 1))"));
}

/// "WebAssembly module requirements": types and names of exports.
#[test]
fn entry_points_have_the_right_type_and_a_known_name() {
    let pic = engine::pic();
    for export in [
        r#"(func (export "canister_init") (param i32))"#,
        r#"(func (export "canister_update go") (result i32) (i32.const 0))"#,
        r#"(func (export "canister_query go") (param i64))"#,
        r#"(func (export "canister_heartbeat") (param i32))"#,
        r#"(func (export "canister_global_timer") (result i64) (i64.const 0))"#,
        r#"(func (export "canister_of_worms"))"#,
    ] {
        assert_refused(&pic, &wat(&format!("(module {export})")));
    }
}

/// "WebAssembly module requirements": not "more than one function called `canister_update <name>`,
/// `canister_query <name>`, or `canister_composite_query <name>` with the same `name`".
#[test]
fn a_method_has_one_kind() {
    let pic = engine::pic();
    let both = r#"(module (func (export "canister_update go")) (func (export "canister_query go")))"#;
    let reject = assert_refused(&pic, &wat(both));
    assert!(reject.reject_message.contains("go"), "{reject}");
}

/// "WebAssembly module requirements", limits: 50,000 functions, 1,000 globals, 1,000 methods; the reject
/// names the limit.
#[test]
fn limits_of_a_module_are_named() {
    let pic = engine::pic();
    let functions = |count| many(count, |_| "(func)".to_owned());
    let globals = |count| many(count, |_| "(global i32 (i32.const 0))".to_owned());
    let methods = |count| many(count, |n| format!(r#"(func (export "canister_query m{n}"))"#));
    for (module, limit) in [(functions(50_001), "50000"), (globals(1_001), "1000"), (methods(1_001), "1000")]
    {
        let reject = assert_refused(&pic, &module);
        assert!(reject.reject_message.contains(limit), "{reject}");
    }
    for module in [functions(50_000), globals(1_000), methods(1_000)] {
        install_code(&pic, OWNER, pic.create_canister(), Mode::Install, &module, &[])
            .expect("within the limit");
    }
}

/// "WebAssembly module requirements", limits: names of methods take 20,000 bytes at most.
#[test]
fn names_of_methods_have_a_limit() {
    let pic = engine::pic();
    let named = |count| many(count, |n| format!(r#"(func (export "canister_query {n:0>1000}"))"#));
    let reject = assert_refused(&pic, &named(21));
    assert!(reject.reject_message.contains("20000"), "{reject}");
    install_code(&pic, OWNER, pic.create_canister(), Mode::Install, &named(20), &[])
        .expect("within the limit");
}

/// "WebAssembly module requirements": custom sections with the prefix `icp:` are public or private, not both,
/// 16 at most.
#[test]
fn sections_of_metadata_have_rules() {
    let pic = engine::pic();
    let section = |name: &str| format!(r#"(@custom "{name}" "content")"#);
    let both = section("icp:public a") + &section("icp:private a");
    assert_refused(&pic, &wat(&format!("(module {both})")));
    assert_refused(&pic, &wat(&format!("(module {})", section("icp:secret a"))));
    assert_refused(&pic, &many(17, |n| section(&format!("icp:public {n}"))));
    let fine = many(16, |n| section(&format!("icp:private {n}")));
    install_code(&pic, OWNER, pic.create_canister(), Mode::Install, &fine, &[]).expect("within the limit");
}

/// "Canister initialization": a module whose memory can't be initialised, or whose `(start)` function traps.
#[test]
fn a_module_that_can_not_be_instantiated_is_refused() {
    let pic = engine::pic();
    assert_refused(&pic, &wat(r#"(module (memory 1) (data (i32.const 65536) "x"))"#));
    assert_refused(&pic, &wat("(module (func $f unreachable) (start $f))"));
    assert_refused(&pic, &wat("(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))"));
}

/// "Canister module format": an invalid function body is found before anything runs.
#[test]
fn a_module_that_does_not_validate_is_refused() {
    let pic = engine::pic();
    assert_refused(&pic, &wat("(module (func (result i32) (i64.const 1)))"));
    assert_refused(&pic, &wat("(module (func (local.set 0 (i32.const 1))))"));
    assert_refused(&pic, &wat("(module (func (drop (i32.load (i32.const 0)))))"));
}

/// Docs, resource limits, "Function complexity" and "Instructions of a function"; code,
/// `WASM_FUNCTION_COMPLEXITY_LIMIT` and `WASM_FUNCTION_SIZE_LIMIT`: a million each.
#[test]
fn a_function_has_limits() {
    let pic = engine::pic();
    let nops = |count: usize| wat(&format!("(module (func {}))", "nop ".repeat(count)));
    assert_refused(&pic, &nops(1_000_001));
    // A block counts fifty.
    let blocks = |count: usize| wat(&format!("(module (func {}))", "(block) ".repeat(count)));
    assert_refused(&pic, &blocks(20_001));
    install_code(&pic, OWNER, pic.create_canister(), Mode::Install, &blocks(15_000), &[])
        .expect("within the limit");
}

/// Code, `RESERVED_SYMBOLS`: names that the platform's instrumentation takes for itself.
#[test]
fn reserved_names_can_not_be_exported() {
    let pic = engine::pic();
    for name in ["canister counter_instructions", "canister_start", "stable_memory"] {
        assert_refused(&pic, &wat(&format!(r#"(module (global (export "{name}") i32 (i32.const 1)))"#)));
    }
}

/// Code, `validate_code_section` and `MAX_STORE_TABLE_ELEMENTS`: tables are not changed by code, and have a
/// million elements at most.
#[test]
fn tables_have_limits() {
    let pic = engine::pic();
    assert_refused(&pic, &wat("(module (table 1000001 funcref))"));
    let set = "(module (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))";
    assert_refused(&pic, &wat(set));
    let fine = wat("(module (table 1000000 funcref))");
    install_code(&pic, OWNER, pic.create_canister(), Mode::Install, &fine, &[]).expect("within the limit");
}
