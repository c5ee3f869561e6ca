//! The list of all functions, in the order of the interface specification ("System API").

use super::call::{Call, Outcome};
use super::functions as f;
use wasmparser::ValType;

/// Where a function may be called, one bit for each entry point of the specification.
pub(crate) mod contexts {
    /// `canister_init`, `canister_post_upgrade`
    pub(crate) const I: u16 = 1;
    /// `canister_pre_upgrade`
    pub(crate) const G: u16 = 1 << 1;
    /// update method
    pub(crate) const U: u16 = 1 << 2;
    /// query method in replicated mode
    pub(crate) const RQ: u16 = 1 << 3;
    /// query method in non-replicated mode
    pub(crate) const NRQ: u16 = 1 << 4;
    /// composite query
    pub(crate) const CQ: u16 = 1 << 5;
    /// reply callback
    pub(crate) const RY: u16 = 1 << 6;
    /// reject callback
    pub(crate) const RT: u16 = 1 << 7;
    /// reply callback of a composite query
    pub(crate) const CRY: u16 = 1 << 8;
    /// reject callback of a composite query
    pub(crate) const CRT: u16 = 1 << 9;
    /// cleanup callback
    pub(crate) const C: u16 = 1 << 10;
    /// cleanup callback of a composite query
    pub(crate) const CC: u16 = 1 << 11;
    /// `canister_inspect_message`
    pub(crate) const F: u16 = 1 << 12;
    /// `canister_heartbeat`, `canister_global_timer`, `canister_on_low_wasm_memory`
    pub(crate) const T: u16 = 1 << 13;
    /// the module's start function
    pub(crate) const S: u16 = 1 << 14;
    /// `*` of the specification: everywhere but in the start function
    pub(crate) const ALL: u16 = S - 1;
}

use contexts::*;

/// A parameter or result.
#[derive(Clone, Copy)]
pub(crate) enum Ty {
    /// As wide as the heap's addresses.
    I,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
}

/// A function of the system API.
pub(crate) struct Function {
    /// Its name in `ic0`.
    pub(crate) name: &'static str,
    /// Its parameters.
    pub(crate) params: &'static [Ty],
    /// Its result.
    pub(crate) result: Option<Ty>,
    /// Where it may be called.
    pub(crate) contexts: u16,
    /// Instructions charged for a call (code: `system_api_complexity.rs`).
    pub(crate) overhead: u64,
    /// The parameter that counts bytes, and the instructions charged for each of them.
    pub(crate) bytes: Option<(usize, u64)>,
    /// Whether only 32-bit modules may import it.
    pub(crate) is_wasm32_only: bool,
    /// Its body.
    pub(crate) run: fn(&mut Call<'_>) -> Outcome,
}

impl Function {
    /// Types of parameters and results.
    pub(crate) fn signature(&self, is_wasm64: bool) -> (Vec<ValType>, Vec<ValType>) {
        let concrete = |ty: &Ty| match ty {
            Ty::I32 => ValType::I32,
            Ty::I64 => ValType::I64,
            Ty::I if is_wasm64 => ValType::I64,
            Ty::I => ValType::I32,
        };
        (self.params.iter().map(concrete).collect(), self.result.iter().map(concrete).collect())
    }
}

/// The functions that a module of the given address width may import.
pub(crate) fn functions(is_wasm64: bool) -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().filter(move |function| !(is_wasm64 && function.is_wasm32_only))
}

/// A function by name.
pub(crate) fn find(name: &str, is_wasm64: bool) -> Option<&'static Function> {
    functions(is_wasm64).find(|function| function.name == name)
}

/// Instructions for a byte that goes into a message (code: `BYTE_TRANSMISSION_COST_FACTOR`).
pub(crate) const SENT_BYTE: u64 = 50;

macro_rules! function_table {
    ($($name:ident ($($param:ident)*) $(-> $result:ident)?, [$contexts:expr], $overhead:literal
       $(, bytes $index:literal by $factor:tt)? $(, only $only32:ident)?;)*) => {
        static FUNCTIONS: &[Function] = &[$(Function {
            name: stringify!($name),
            params: &[$(Ty::$param),*],
            result: function_table!(@result $($result)?),
            contexts: $contexts,
            overhead: $overhead,
            bytes: function_table!(@bytes $($index, $factor)?),
            is_wasm32_only: function_table!(@only $($only32)?),
            run: f::$name,
        }),*];
    };
    (@result) => { None };
    (@result $result:ident) => { Some(Ty::$result) };
    (@bytes) => { None };
    (@bytes $index:literal, $factor:tt) => { Some(($index, $factor)) };
    (@only) => { false };
    (@only wasm32) => { true };
}

const QUERIES: u16 = RQ | NRQ | CQ;
const CALLBACKS: u16 = RY | RT | CRY | CRT;

function_table! {
    msg_arg_data_size() -> I, [I | U | QUERIES | RY | CRY | F], 500;
    msg_arg_data_copy(I I I), [I | U | QUERIES | RY | CRY | F], 500, bytes 2 by 1;
    msg_caller_size() -> I, [ALL], 500;
    msg_caller_copy(I I I), [ALL], 500, bytes 2 by 1;
    msg_caller_info_data_size() -> I, [U | QUERIES | CALLBACKS | C | CC | F], 500;
    msg_caller_info_data_copy(I I I), [U | QUERIES | CALLBACKS | C | CC | F], 500, bytes 2 by 1;
    msg_caller_info_signer_size() -> I, [U | QUERIES | CALLBACKS | C | CC | F], 500;
    msg_caller_info_signer_copy(I I I), [U | QUERIES | CALLBACKS | C | CC | F], 500, bytes 2 by 1;
    msg_reject_code() -> I32, [CALLBACKS | C], 500;
    msg_reject_msg_size() -> I, [RT | CRT], 500;
    msg_reject_msg_copy(I I I), [RT | CRT], 500, bytes 2 by 1;
    msg_deadline() -> I64, [U | QUERIES | CALLBACKS], 500;
    msg_reply_data_append(I I), [U | QUERIES | CALLBACKS], 500, bytes 1 by SENT_BYTE;
    msg_reply(), [U | QUERIES | CALLBACKS], 500;
    msg_reject(I I), [U | QUERIES | CALLBACKS], 500, bytes 1 by SENT_BYTE;
    msg_cycles_available128(I), [U | RQ | RT | RY], 500;
    msg_cycles_refunded128(I), [RT | RY], 500;
    msg_cycles_accept128(I64 I64 I), [U | RQ | RT | RY], 500;
    cycles_burn128(I64 I64 I), [I | G | U | RQ | RY | RT | C | T], 500;
    mint_cycles128(I64 I64 I), [U | RY | RT | T], 500;
    canister_self_size() -> I, [ALL], 500;
    canister_self_copy(I I I), [ALL], 500, bytes 2 by 1;
    canister_cycle_balance128(I), [ALL], 500;
    canister_liquid_cycle_balance128(I), [ALL], 500;
    canister_status() -> I32, [ALL], 500;
    canister_version() -> I64, [ALL], 500;
    subnet_self_size() -> I, [ALL], 500;
    subnet_self_copy(I I I), [ALL], 500, bytes 2 by 1;
    subnet_self_node_count() -> I32, [ALL | S], 500;
    msg_method_name_size() -> I, [F], 500;
    msg_method_name_copy(I I I), [F], 500, bytes 2 by 1;
    accept_message(), [F], 500;
    call_new(I I I I I I I I), [U | CQ | CALLBACKS | T], 1500;
    call_on_cleanup(I I), [U | CQ | CALLBACKS | T], 500;
    call_data_append(I I), [U | CQ | CALLBACKS | T], 500, bytes 1 by SENT_BYTE;
    call_with_best_effort_response(I32), [U | CQ | CALLBACKS | T], 500;
    call_cycles_add128(I64 I64), [U | RY | RT | T], 500;
    call_perform() -> I32, [U | CQ | CALLBACKS | T], 5000;
    stable64_size() -> I64, [ALL | S], 20;
    stable64_grow(I64) -> I64, [ALL | S], 100;
    stable64_write(I64 I64 I64), [ALL | S], 20, bytes 2 by 1;
    stable64_read(I64 I64 I64), [ALL | S], 20, bytes 2 by 1;
    root_key_size() -> I, [I | G | U | RQ | RY | RT | C | T], 500;
    root_key_copy(I I I), [I | G | U | RQ | RY | RT | C | T], 500, bytes 2 by 1;
    certified_data_set(I I), [I | G | U | RY | RT | T], 500, bytes 1 by 1;
    data_certificate_present() -> I32, [ALL], 500;
    data_certificate_size() -> I, [NRQ | CQ], 500;
    data_certificate_copy(I I I), [NRQ | CQ], 500, bytes 2 by 1;
    time() -> I64, [ALL], 500;
    global_timer_set(I64) -> I64, [I | G | U | RY | RT | C | T], 500;
    performance_counter(I32) -> I64, [ALL | S], 200;
    is_controller(I I) -> I32, [ALL | S], 1000, bytes 1 by 1;
    in_replicated_execution() -> I32, [ALL | S], 500;
    cost_call(I64 I64 I), [ALL | S], 500;
    cost_create_canister(I), [ALL | S], 500;
    cost_http_request(I64 I64 I), [ALL | S], 500;
    cost_http_request_v2(I I I), [ALL | S], 500, bytes 1 by 1;
    cost_sign_with_ecdsa(I I I32 I) -> I32, [ALL | S], 500, bytes 1 by 1;
    cost_sign_with_schnorr(I I I32 I) -> I32, [ALL | S], 500, bytes 1 by 1;
    cost_vetkd_derive_key(I I I32 I) -> I32, [ALL | S], 500, bytes 1 by 1;
    env_var_count() -> I, [ALL], 500;
    env_var_name_size(I) -> I, [ALL], 500;
    env_var_name_copy(I I I I), [ALL], 500, bytes 3 by 1;
    env_var_name_exists(I I) -> I32, [ALL], 500, bytes 1 by 1;
    env_var_value_size(I I) -> I, [ALL], 500, bytes 1 by 1;
    env_var_value_copy(I I I I I), [ALL], 500, bytes 4 by 1;
    debug_print(I I), [ALL | S], 100, bytes 1 by 1;
    trap(I I), [ALL | S], 500, bytes 1 by 1;
    // The forms that modules of older CDKs import.
    msg_cycles_available() -> I64, [U | RQ | RT | RY], 500, only wasm32;
    msg_cycles_refunded() -> I64, [RT | RY], 500, only wasm32;
    msg_cycles_accept(I64) -> I64, [U | RQ | RT | RY], 500, only wasm32;
    canister_cycle_balance() -> I64, [ALL], 500, only wasm32;
    call_cycles_add(I64), [U | RY | RT | T], 500, only wasm32;
    stable_size() -> I32, [ALL | S], 20, only wasm32;
    stable_grow(I32) -> I32, [ALL | S], 100, only wasm32;
    stable_write(I32 I32 I32), [ALL | S], 20, bytes 2 by 1, only wasm32;
    stable_read(I32 I32 I32), [ALL | S], 20, bytes 2 by 1, only wasm32;
}
