//! A canister written by hand, for what Rust modules do not have: many globals, 64-bit memory, hooks.
//!
//! Its state is in mutable globals that are exported; what it saves lies in the first page of virtual memory 5 of an
//! image that ic-stable-structures formatted. It finds that page by the header, so that it works on any layout.

use crate::repack::nothing;
use candid::Principal;
use decant_cli::rehearsal::world::World;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{Memory, VectorMemory};
use std::fmt::Write;

/// Globals of the module.
pub const GLOBALS: usize = 64;
/// Global that the low-memory hook counts in: a million each time.
pub const HOOK: usize = 0;
/// Global that the timer counts in: a million each time.
pub const TIMER: usize = 1;
/// When a timer is due that `arm` arms: in a century.
pub const FAR_NANOS: u64 = 4_000_000_000_000_000_000;
/// How long after `arm_soon` its timer is due: a day, longer than any repack.
pub const SOON_NANOS: u64 = 86_400_000_000_000;
/// What hook and timer add.
pub const MILLION: u64 = 1_000_000;

/// The memory that holds what is saved, and another one before it.
const MEMORIES: [u8; 2] = [0, 5];
/// Bytes of a header.
const HEADER_BYTES: usize = 34_848;

/// What the module is.
#[derive(Debug, Clone, Copy)]
pub struct Keeper {
    /// Whether its addresses have 64 bits.
    pub is_64_bit: bool,
    /// Whether it saves in `pre_upgrade`; otherwise it has none and saves after every change.
    pub has_pre_upgrade: bool,
    /// Whether `init` and `post_upgrade` arm the global timer, for a moment that is over.
    pub arms_timer: bool,
    /// Pages of stable memory below which `post_upgrade` traps.
    pub least_pages: u64,
    /// Pages of zeros that `init` leaves behind the last bucket.
    pub zero_pages: u64,
}

impl Default for Keeper {
    fn default() -> Self {
        Self { is_64_bit: false, has_pre_upgrade: true, arms_timer: false, least_pages: 0, zero_pages: 0 }
    }
}

impl Keeper {
    /// The module.
    pub fn module(&self) -> Vec<u8> {
        let (word, memory) = if self.is_64_bit { ("i64", "i64 2") } else { ("i32", "2") };
        let (pages, header) = formatted();
        let header = header.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").expect("text can be written");
            text
        });
        let each = |code: &dyn Fn(usize) -> String| (0..GLOBALS).map(code).collect::<String>();
        let globals =
            each(&|number| format!("(global $g{number} (export \"g{number}\") (mut i64) (i64.const 0))\n"));
        let bump = each(&|number| {
            format!("(global.set $g{number} (i64.add (global.get $g{number}) (i64.const {})))\n", number + 1)
        });
        let place = |number: usize| 40_000 + 8 * number;
        let store =
            each(&|number| format!("(i64.store ({word}.const {}) (global.get $g{number}))\n", place(number)));
        let load =
            each(&|number| format!("(global.set $g{number} (i64.load ({word}.const {})))\n", place(number)));
        let saves_at_once = if self.has_pre_upgrade { "" } else { "(call $save)" };
        let pre_upgrade =
            if self.has_pre_upgrade { "(func (export \"canister_pre_upgrade\") (call $save))" } else { "" };
        let arm = if self.arms_timer { "(drop (call $timer (i64.const 1)))" } else { "" };
        let zero = format!("({word}.const 0)");
        let (nobody, callbacks) = (zero.repeat(2), zero.repeat(4));
        let eight = format!("param{}", format!(" {word}").repeat(8));
        let bytes = 8 * GLOBALS;
        let least_pages = self.least_pages;
        let pages = pages + self.zero_pages;
        let text = format!(
            r#"(module
            (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
            (import "ic0" "stable64_size" (func $size (result i64)))
            (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
            (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
            (import "ic0" "msg_reply_data_append" (func $append (param {word} {word})))
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
            (import "ic0" "time" (func $time (result i64)))
            (import "ic0" "call_new" (func $call ({eight})))
            (import "ic0" "call_data_append" (func $argument (param {word} {word})))
            (import "ic0" "call_perform" (func $perform (result i32)))
            (import "ic0" "msg_arg_data_copy" (func $received (param {word} {word} {word})))
            (import "ic0" "canister_cycle_balance128" (func $balance (param {word})))
            (import "ic0" "cycles_burn128" (func $burn (param i64 i64 {word})))
            (memory (export "memory") {memory})
            (data ({word}.const 1024) "{header}")
            (data ({word}.const 36000) "raw_randDIDL\00\00")
            (table 1 funcref)
            (elem (i32.const 0) $again)
            (func $ask
                (call $call {nobody} ({word}.const 36000) ({word}.const 8) {callbacks})
                (call $argument ({word}.const 36008) ({word}.const 6))
                (drop (call $perform)))
            (func $again (param {word}) (call $ask))
            (func (export "canister_update hang") (call $ask))
            {globals}
            (func $place (result i64) (local $bucket i64)
                (call $read (i64.const 16) (i64.const 6) (i64.const 2))
                (block $found (loop $next
                    (call $read (i64.const 24) (i64.add (i64.const 2080) (local.get $bucket)) (i64.const 1))
                    (br_if $found (i32.eq (i32.load8_u ({word}.const 24)) (i32.const 5)))
                    (local.set $bucket (i64.add (local.get $bucket) (i64.const 1)))
                    (br $next)))
                (i64.mul (i64.const 65536) (i64.add (i64.const 1)
                    (i64.mul (local.get $bucket) (i64.load16_u ({word}.const 16))))))
            (func $save
                {store}
                (call $write (call $place) (i64.const 40000) (i64.const {bytes})))
            (func (export "canister_init")
                (drop (call $grow (i64.const {pages})))
                (call $write (i64.const 0) (i64.const 1024) (i64.const {HEADER_BYTES}))
                {arm}
                (call $save))
            {pre_upgrade}
            (func (export "canister_post_upgrade")
                (if (i64.lt_u (call $size) (i64.const {least_pages})) (then unreachable))
                (call $read (i64.const 40000) (call $place) (i64.const {bytes}))
                {load}
                {arm})
            (func (export "canister_update bump") {bump} {saves_at_once} (call $reply))
            (func (export "canister_update arm") (drop (call $timer (i64.const {FAR_NANOS}))) (call $reply))
            (func (export "canister_update arm_soon")
                (drop (call $timer (i64.add (call $time) (i64.const {SOON_NANOS}))))
                (call $reply))
            (func (export "canister_update disarm")
                (i64.store ({word}.const 40000) (call $timer (i64.const 0)))
                (call $append ({word}.const 40000) ({word}.const 8))
                (call $reply))
            (func (export "canister_update burn_to")
                (call $received ({word}.const 41000) ({word}.const 0) ({word}.const 8))
                (call $balance ({word}.const 41008))
                (call $burn (i64.const 0) (i64.sub (i64.load ({word}.const 41008)) (i64.load ({word}.const 41000)))
                    ({word}.const 41024))
                (call $reply))
            (func (export "canister_query peek")
                {store}
                (call $append ({word}.const 40000) ({word}.const {bytes}))
                (call $reply))
            (func (export "canister_on_low_wasm_memory")
                (global.set $g{HOOK} (i64.add (global.get $g{HOOK}) (i64.const {MILLION}))))
            (func (export "canister_global_timer")
                (global.set $g{TIMER} (i64.add (global.get $g{TIMER}) (i64.const {MILLION})))))"#
        );
        wat::parse_str(text).expect("the text is a module")
    }
}

/// Pages and header of an image with default buckets.
fn formatted() -> (u64, Vec<u8>) {
    let stable = VectorMemory::default();
    let manager = MemoryManager::init(stable.clone());
    for id in MEMORIES {
        assert_ne!(manager.get(MemoryId::new(id)).grow(1), -1);
    }
    let header = stable.borrow()[..HEADER_BYTES].to_vec();
    (stable.size(), header)
}

/// A method of a keeper that the operator calls.
pub fn call(world: &World, canister: Principal, method: &str) -> Vec<u8> {
    let reply = world.pic.update_call(canister, world.operator, method, nothing());
    reply.expect("the canister answers")
}

/// When the timer was due, which is disarmed; 0 for none.
pub fn disarmed(world: &World, canister: Principal) -> u64 {
    let reply = call(world, canister, "disarm");
    u64::from_le_bytes(reply.try_into().expect("a word"))
}

/// Burns its cycles but for so many, and what the message prepaid.
pub fn burn_to(world: &World, keeper: Principal, cycles: u64) {
    let argument = cycles.to_le_bytes().to_vec();
    world.pic.update_call(keeper, world.operator, "burn_to", argument).expect("the canister answers");
}

/// Changes every global.
pub fn bump(world: &World, keeper: Principal) {
    call(world, keeper, "bump");
}

/// All globals.
pub fn peek(world: &World, keeper: Principal) -> Vec<u64> {
    let reply =
        world.pic.query_call(keeper, world.operator, "peek", nothing()).expect("the canister answers");
    let (words, _) = reply.as_chunks::<8>();
    words.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

/// All globals after so many changes, if neither hook nor timer ran.
pub fn bumped(times: u64) -> Vec<u64> {
    (1..=GLOBALS as u64).map(|step| step * times).collect()
}
