//! Canisters that misbehave at one of their methods, and are themselves at all others: a real module in which somebody
//! put other code behind the names of methods. What it does then is told to it as it runs, or by the argument of `init`.

use crate::repack::nothing;
use candid::{CandidType, Principal};
use decant_cli::rehearsal::world::World;
use pocket_ic::CanisterSettings;
use std::collections::BTreeMap;
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, InstructionSink, Module, RawSection,
};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// Where the module keeps what it was told: the low end of a stack that never grows so far.
const TOLD: i32 = 4_096;
/// Where it keeps how many bytes that are.
const TOLD_BYTES: i32 = 4_088;
/// Where a module puts what a method always answers.
const SAID: i32 = 2_048;
/// Bytes of a reply that is padded; a canister may answer 2 MiB to another.
const PADDED_BYTES: u32 = 1_900_000;
/// Cycles of what never answers.
const CYCLES: u128 = 1_000_000_000_000_000;

/// What a method does.
#[derive(Debug, Clone)]
pub enum Manner {
    /// As its module was written.
    Honest,
    /// It answers these bytes.
    Reply(Vec<u8>),
    /// It answers these bytes, and 1.9 MB of its heap.
    Padded(Vec<u8>),
    /// It traps.
    Trap,
    /// It rejects with this text.
    Reject(String),
    /// It returns and answers nothing.
    Silent,
    /// It waits for a canister that never answers.
    Never(Tied),
}

impl Manner {
    /// It answers this.
    pub fn say(value: impl CandidType) -> Self {
        Self::Reply(candid::encode_one(value).expect("it encodes"))
    }

    /// As the module is told it: which method, what, with which bytes.
    pub fn told(&self, methods: &[&str], method: &str) -> Vec<u8> {
        let place = methods.iter().position(|known| *known == method).expect("the module has the method");
        let (kind, bytes) = match self {
            Self::Honest => return vec![0, 0],
            Self::Reply(bytes) => (1, bytes.clone()),
            Self::Padded(bytes) => (2, bytes.clone()),
            Self::Trap => (3, Vec::new()),
            Self::Reject(text) => (4, text.clone().into_bytes()),
            Self::Silent => (5, Vec::new()),
            Self::Never(tied) => (6, [tied.hole.as_slice(), b"hole"].concat()),
        };
        [vec![place as u8 + 1, kind], bytes].concat()
    }
}

/// Answers that are none, whatever is asked for, each with a name.
pub fn nonsense() -> Vec<(&'static str, Manner)> {
    let bytes = |head: &[u8], count: usize, each: &[u8]| [head, &each.repeat(count)].concat();
    // vec null, with as many as a number can say.
    let nulls = b"DIDL\x01\x6d\x7f\x01\x00\xff\xff\xff\xff\x0f".to_vec();
    // type 0 = opt 0, and a value as deep as the reply is long.
    let deep = bytes(b"DIDL\x01\x6e\x00\x01\x00", 90_000, b"\x01");
    // Type n is a record of type n + 1 twice; the last is null: two to the power of 40 of them in no byte at all.
    let mut doubled = b"DIDL\x28".to_vec();
    for place in 1..40_u8 {
        doubled.extend([0x6c, 2, 0, place, 1, place]);
    }
    doubled.extend([0x6c, 2, 0, 0x7f, 1, 0x7f, 1, 0]);
    // 45,000 types, each opt nat.
    let wide = bytes(b"DIDL\xc8\xdf\x02", 45_000, b"\x6e\x7d");
    // vec nat8 of 1.9 MB.
    let mut blob = b"DIDL\x01\x6d\x7b\x01\x00".to_vec();
    leb128(&mut blob, PADDED_BYTES);
    vec![
        ("no Candid", Manner::Reply(b"these are no values".to_vec())),
        ("nothing at all", Manner::Reply(Vec::new())),
        ("no value", Manner::Reply(nothing())),
        ("another type", Manner::say(5_u64)),
        ("an Ok of nothing", Manner::say(Ok::<(), ()>(()))),
        ("an Err of nothing", Manner::say(Err::<(), ()>(()))),
        ("four billion nulls", Manner::Reply(nulls)),
        ("ninety thousand levels", Manner::Reply(deep)),
        ("two to the power of forty nulls", Manner::Reply(doubled)),
        ("forty-five thousand types", Manner::Reply(wide)),
        ("1.9 MB", Manner::Padded(blob)),
        ("a trap", Manner::Trap),
        ("a reject", Manner::Reject("I will not".to_owned())),
        ("a reject of 90 kB", Manner::Reject("no ".repeat(30_000))),
        ("no reply", Manner::Silent),
    ]
}

fn leb128(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A module with other code behind these methods; what it lacks of them, it gets. `hostile` tells it what they do, and so
/// does the argument of `init`. Its `inspect_message` is left out.
pub fn hostile(module: &[u8], methods: &[&str]) -> Vec<u8> {
    let parsed = Parsed::of(module);
    let first = parsed.imports + parsed.functions.len() as u32;
    let (tell, told, init, misbehave) = (first, first + 1, first + 2, first + 3);
    let of_method = |place: usize| first + 4 + place as u32;
    let mut code = parsed.code.clone();
    code.extend([
        body(|code| parsed.tell(code)),
        body(|code| {
            code.call(tell).call(parsed.import("msg_reply"));
        }),
        body(|code| {
            code.call(tell);
            if let Some(original) = parsed.exports.get("canister_init") {
                code.call(*original);
            }
        }),
        body(|code| parsed.misbehave(code)),
    ]);
    for (place, method) in methods.iter().enumerate() {
        let original = ["update", "query"]
            .iter()
            .find_map(|kind| parsed.exports.get(format!("canister_{kind} {method}").as_str()));
        code.push(body(|code| {
            code.i32_const(TOLD).i32_load8_u(at(0)).i32_const(place as i32 + 1).i32_eq();
            code.if_(wasm_encoder::BlockType::Empty).call(misbehave).else_();
            match original {
                Some(original) => code.call(*original),
                None => code.unreachable(),
            };
            code.end();
        }));
    }
    let mut exports: BTreeMap<String, u32> =
        parsed.exports.iter().map(|(name, function)| ((*name).to_owned(), *function)).collect();
    exports.remove("canister_inspect_message");
    exports.insert("canister_init".to_owned(), init);
    exports.insert("canister_update hostile".to_owned(), told);
    for (place, method) in methods.iter().enumerate() {
        let query = format!("canister_query {method}");
        let name = if exports.contains_key(&query) { query } else { format!("canister_update {method}") };
        exports.insert(name, of_method(place));
    }
    parsed.written(module, &code, &exports, 4 + methods.len())
}

/// A module one of whose updates always answers this.
pub fn answering(module: &[u8], method: &str, value: impl CandidType) -> Vec<u8> {
    let parsed = Parsed::of(module);
    let reply = candid::encode_one(value).expect("it encodes");
    assert!(reply.len() < (TOLD_BYTES - SAID) as usize, "{} bytes", reply.len());
    let mut code = parsed.code.clone();
    code.push(body(|code| {
        for (place, byte) in reply.iter().enumerate() {
            code.i32_const(SAID).i32_const(i32::from(*byte)).i32_store8(at(place as u64));
        }
        code.i32_const(SAID).i32_const(reply.len() as i32).call(parsed.import("msg_reply_data_append"));
        code.call(parsed.import("msg_reply"));
    }));
    let mut exports: BTreeMap<String, u32> =
        parsed.exports.iter().map(|(name, function)| ((*name).to_owned(), *function)).collect();
    exports.insert(format!("canister_update {method}"), parsed.imports + parsed.functions.len() as u32);
    parsed.written(module, &code, &exports, 1)
}

fn at(offset: u64) -> wasm_encoder::MemArg {
    wasm_encoder::MemArg { offset, align: 0, memory_index: 0 }
}

fn body(write: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    write(&mut code);
    code.end();
    function.into_raw_body()
}

/// What is known of a module.
struct Parsed<'a> {
    /// Functions that it imports, and which of `ic0` they are.
    imports: u32,
    system: BTreeMap<&'a str, u32>,
    /// The type of a function without parameters and results.
    plain: u32,
    /// Types of its own functions, and their bodies.
    functions: Vec<u32>,
    code: Vec<Vec<u8>>,
    /// Exported functions.
    exports: BTreeMap<&'a str, u32>,
}

impl<'a> Parsed<'a> {
    fn of(module: &'a [u8]) -> Self {
        let mut parsed = Self {
            imports: 0,
            system: BTreeMap::new(),
            plain: 0,
            functions: Vec::new(),
            code: Vec::new(),
            exports: BTreeMap::new(),
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload.expect("the module is well-formed") {
                Payload::TypeSection(section) => {
                    let plain = section.into_iter_err_on_gc_types().position(|ty| {
                        let ty = ty.expect("a type");
                        ty.params().is_empty() && ty.results().is_empty()
                    });
                    parsed.plain = plain.expect("methods have it") as u32;
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.expect("an import");
                        if let TypeRef::Func(_) = import.ty {
                            parsed.system.insert(import.name, parsed.imports);
                            parsed.imports += 1;
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    parsed.functions = section.into_iter().map(|ty| ty.expect("a type")).collect();
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.expect("an export");
                        if export.kind == ExternalKind::Func {
                            parsed.exports.insert(export.name, export.index);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => parsed.code.push(body.as_bytes().to_vec()),
                _ => {}
            }
        }
        parsed
    }

    fn import(&self, name: &str) -> u32 {
        *self.system.get(name).unwrap_or_else(|| panic!("the module does not import {name}"))
    }

    /// Keeps what it is told.
    fn tell(&self, code: &mut InstructionSink<'_>) {
        let size = self.import("msg_arg_data_size");
        code.i32_const(TOLD_BYTES).call(size).i32_store(at(0));
        code.i32_const(TOLD).i32_const(0).call(size).call(self.import("msg_arg_data_copy"));
    }

    /// Does what it was told.
    fn misbehave(&self, code: &mut InstructionSink<'_>) {
        let (append, reply) = (self.import("msg_reply_data_append"), self.import("msg_reply"));
        let bytes = |code: &mut InstructionSink<'_>| {
            code.i32_const(TOLD + 2);
            code.i32_const(TOLD_BYTES).i32_load(at(0)).i32_const(2).i32_sub();
        };
        let mut when = |kind: i32, act: &mut dyn FnMut(&mut InstructionSink<'_>)| {
            code.i32_const(TOLD + 1).i32_load8_u(at(0)).i32_const(kind).i32_eq();
            code.if_(wasm_encoder::BlockType::Empty);
            act(code);
            code.end();
        };
        when(1, &mut |code| {
            bytes(code);
            code.call(append).call(reply);
        });
        when(2, &mut |code| {
            bytes(code);
            code.call(append);
            // Twice the first 950,000 bytes: what they are does not matter.
            for _ in 0..2 {
                code.i32_const(0).i32_const(PADDED_BYTES as i32 / 2).call(append);
            }
            code.call(reply);
        });
        when(3, &mut |code| {
            code.unreachable();
        });
        when(4, &mut |code| {
            bytes(code);
            code.call(self.import("msg_reject"));
        });
        when(6, &mut |code| {
            // Callee, method; callbacks that are none, since no reply comes.
            code.i32_const(TOLD + 2).i32_const(10).i32_const(TOLD + 12).i32_const(4);
            for _ in 0..4 {
                code.i32_const(0);
            }
            code.call(self.import("call_new")).call(self.import("call_perform")).drop();
        });
    }

    /// The module with more functions, and these exports of functions.
    fn written(
        &self,
        module: &[u8],
        code: &[Vec<u8>],
        exported: &BTreeMap<String, u32>,
        added: usize,
    ) -> Vec<u8> {
        let mut written = Module::new();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload.expect("the module is well-formed");
            match &payload {
                Payload::FunctionSection(_) => {
                    let mut functions = FunctionSection::new();
                    for ty in self.functions.iter().chain(std::iter::repeat_n(&self.plain, added)) {
                        functions.function(*ty);
                    }
                    written.section(&functions);
                }
                Payload::ExportSection(section) => {
                    let mut exports = ExportSection::new();
                    for export in section.clone() {
                        let export = export.expect("an export");
                        if export.kind == ExternalKind::Memory {
                            exports.export(export.name, ExportKind::Memory, export.index);
                        }
                    }
                    for (name, function) in exported {
                        exports.export(name, ExportKind::Func, *function);
                    }
                    written.section(&exports);
                }
                Payload::CodeSectionStart { .. } => {
                    let mut bodies = CodeSection::new();
                    for body in code {
                        bodies.raw(body);
                    }
                    written.section(&bodies);
                }
                _ => {
                    if let Some((id, range)) = payload.as_section() {
                        written.section(&RawSection { id, data: &module[range] });
                    }
                }
            }
        }
        written.finish()
    }
}

/// Two canisters that wait for each other: whoever calls one of them never gets an answer.
#[derive(Debug, Clone, Copy)]
pub struct Tied {
    hole: Principal,
    operator: Principal,
}

impl Tied {
    /// The one stops the other again and again, which waits for the one and so never stops.
    pub fn new(world: &World) -> Self {
        let pic = &world.pic;
        let create = |controllers: Vec<Principal>| {
            let settings = CanisterSettings { controllers: Some(controllers), ..CanisterSettings::default() };
            let canister = pic.create_canister_with_settings(Some(world.operator), Some(settings));
            pic.add_cycles(canister, CYCLES);
            canister
        };
        let hole = create(vec![world.operator]);
        let waiting = create(vec![world.operator, hole]);
        let install = |canister, module: Vec<u8>| {
            pic.install_canister(canister, module, nothing(), Some(world.operator));
        };
        install(hole, calling("hole", Principal::management_canister(), "stop_canister", &of(waiting)));
        install(waiting, calling("wait", hole, "hole", &[]));
        pic.submit_call(waiting, world.operator, "wait", nothing()).expect("it is sent");
        pic.tick();
        Self { hole, operator: world.operator }
    }

    /// All who wait are told that nobody answers.
    pub fn release(self, world: &World) {
        world.pic.uninstall_canister(self.hole, Some(self.operator)).expect("it is uninstalled");
    }
}

/// `record { canister_id }`.
fn of(canister_id: Principal) -> Vec<u8> {
    #[derive(CandidType)]
    struct OfCanister {
        canister_id: Principal,
    }
    candid::encode_one(OfCanister { canister_id }).expect("an id encodes")
}

/// A canister with one method, which calls another method, and whatever the answer is, calls it again.
fn calling(method: &str, callee: Principal, called: &str, argument: &[u8]) -> Vec<u8> {
    let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let (callee, argument) = (callee.as_slice(), argument);
    wat::parse_str(format!(
        r#"(module
            (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
            (import "ic0" "call_data_append" (func $data (param i32 i32)))
            (import "ic0" "call_perform" (func $perform (result i32)))
            (memory 1)
            (data (i32.const 0) "{}")
            (data (i32.const 100) "{}")
            (data (i32.const 200) "{called}")
            (table 1 funcref)
            (elem (i32.const 0) $again)
            (func $call
                (call $new (i32.const 0) (i32.const {}) (i32.const 200) (i32.const {})
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (call $data (i32.const 100) (i32.const {}))
                (drop (call $perform)))
            (func $again (param i32) (call $call))
            (func (export "canister_update {method}") (call $call)))"#,
        text(callee),
        text(argument),
        callee.len(),
        called.len(),
        argument.len(),
    ))
    .expect("the text is a module")
}
