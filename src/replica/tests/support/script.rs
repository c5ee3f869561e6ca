//! Writes scripts for the universal canister (`canisters/universal.wat`). A script is a stack program:
//! methods that name a value push it, methods that name an effect consume what was pushed before or take it
//! as argument.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use candid::Principal;

/// The text of the universal canister, where the numbers of the operations come from.
pub(crate) const UNIVERSAL: &str = include_str!("../canisters/universal.wat");

/// A program for the universal canister.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(Vec<u8>);

/// A hook of the universal canister that runs a stored script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hook {
    PreUpgrade = 0,
    GlobalTimer = 1,
    Heartbeat = 2,
    InspectMessage = 3,
    LowWasmMemory = 4,
}

/// The empty script.
pub(crate) fn script() -> Script {
    Script::default()
}

/// Replies with what the argument or the received reply was.
pub(crate) fn echo() -> Script {
    script().arg().append().reply()
}

/// Replies with the reject code and the reject message; [`crate::support::canisters::rejection`] reads it.
pub(crate) fn report() -> Script {
    script().reject_code().append_int().reject_msg().append().reply()
}

impl Script {
    /// The bytes that the universal canister runs.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }

    fn op(mut self, name: &str) -> Self {
        self.0.push(operation(name));
        self
    }

    /// Appends `literal` with its size.
    fn literal(mut self, literal: &[u8]) -> Self {
        let size = u32::try_from(literal.len()).expect("a script below 4 GiB");
        self.0.extend_from_slice(&size.to_le_bytes());
        self.0.extend_from_slice(literal);
        self
    }

    /// Runs `other` after this.
    pub(crate) fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    // Values and control

    /// Pushes a number.
    pub(crate) fn int(self, value: u64) -> Self {
        let mut script = self.op("int");
        script.0.extend_from_slice(&value.to_le_bytes());
        script
    }

    /// Pushes a blob.
    pub(crate) fn blob(self, bytes: &[u8]) -> Self {
        self.op("blob").literal(bytes)
    }

    /// The beginning of a literal of `size` bytes that are appended to the script elsewhere.
    pub(crate) fn begin_blob(self, size: u32) -> Self {
        let mut script = self.op("blob");
        script.0.extend_from_slice(&size.to_le_bytes());
        script
    }

    /// Pushes a blob of `size` zeros.
    pub(crate) fn zeros(self, size: u64) -> Self {
        self.int(size).op("zeros")
    }

    /// Drops the top of the stack.
    pub(crate) fn forget(self) -> Self {
        self.op("drop")
    }

    /// Adds `value` to the top of the stack, modulo 2^64.
    pub(crate) fn plus(self, value: u64) -> Self {
        self.int(value).op("add")
    }

    /// Replaces the top of the stack by whether it is zero.
    pub(crate) fn negated(self) -> Self {
        self.op("not")
    }

    /// Replaces the blob on top of the stack by whether it equals `bytes`.
    pub(crate) fn equals(self, bytes: &[u8]) -> Self {
        self.blob(bytes).op("same")
    }

    /// Replaces the blob on top of the stack by the number in its first eight bytes.
    pub(crate) fn first_int(self) -> Self {
        self.op("load")
    }

    /// Replaces the blob on top of the stack by its size.
    pub(crate) fn length(self) -> Self {
        self.op("length")
    }

    /// Pushes what slot `slot` (0 to 15) of the heap holds.
    pub(crate) fn get(self, slot: u64) -> Self {
        self.int(slot).op("get")
    }

    /// Pops into slot `slot` of the heap.
    pub(crate) fn set(self, slot: u64) -> Self {
        self.int(slot).op("set")
    }

    /// Adds one to slot `slot`.
    pub(crate) fn bump(self, slot: u64) -> Self {
        self.get(slot).plus(1).set(slot)
    }

    /// Runs `body` `count` times.
    pub(crate) fn repeat(self, count: u64, body: Self) -> Self {
        self.int(count).op("repeat").literal(&body.0)
    }

    /// Pops a number and runs `body` if it is not zero.
    pub(crate) fn when(self, body: Self) -> Self {
        self.op("when").literal(&body.0)
    }

    /// Pops a blob and runs it as a script.
    pub(crate) fn eval(self) -> Self {
        self.op("eval")
    }

    // The message

    /// Appends the blob on top of the stack to the reply.
    pub(crate) fn append(self) -> Self {
        self.op("append")
    }

    /// Appends the number on top of the stack to the reply, as eight bytes.
    pub(crate) fn append_int(self) -> Self {
        self.op("append_int")
    }

    /// Replies with what was appended.
    pub(crate) fn reply(self) -> Self {
        self.op("reply")
    }

    /// Rejects with `message`.
    pub(crate) fn reject(self, message: &[u8]) -> Self {
        self.blob(message).op("reject")
    }

    /// Pushes the argument, or in a reply callback the reply.
    pub(crate) fn arg(self) -> Self {
        self.op("arg")
    }

    /// Pushes the caller's principal.
    pub(crate) fn caller(self) -> Self {
        self.op("caller")
    }

    /// Pushes the reject code, zero in a reply callback.
    pub(crate) fn reject_code(self) -> Self {
        self.op("reject_code")
    }

    /// Pushes the reject message.
    pub(crate) fn reject_msg(self) -> Self {
        self.op("reject_msg")
    }

    /// Pushes the deadline of the call.
    pub(crate) fn deadline(self) -> Self {
        self.op("deadline")
    }

    // Cycles

    /// Pushes the cycles that came with the call and are still there.
    pub(crate) fn available(self) -> Self {
        self.op("available")
    }

    /// Pushes the cycles that came back.
    pub(crate) fn refunded(self) -> Self {
        self.op("refunded")
    }

    /// Accepts up to `amount` cycles and pushes how many it were.
    pub(crate) fn accept(self, amount: u64) -> Self {
        self.int(amount).op("accept")
    }

    /// Burns up to `amount` cycles and pushes how many it were.
    pub(crate) fn burn(self, amount: u64) -> Self {
        self.int(amount).op("burn")
    }

    /// Pushes the low 64 bits of the balance.
    pub(crate) fn balance(self) -> Self {
        self.op("balance")
    }

    /// Pushes the low 64 bits of the liquid balance.
    pub(crate) fn liquid(self) -> Self {
        self.op("liquid")
    }

    // The canister

    /// Pushes the canister's own id.
    pub(crate) fn self_id(self) -> Self {
        self.op("self")
    }

    /// Pushes the id of the canister's subnet.
    pub(crate) fn subnet_id(self) -> Self {
        self.op("subnet")
    }

    /// Pushes 1 for running, 2 for stopping, 3 for stopped.
    pub(crate) fn status(self) -> Self {
        self.op("status")
    }

    /// Pushes the canister version.
    pub(crate) fn version(self) -> Self {
        self.op("version")
    }

    /// Pushes the time in nanoseconds.
    pub(crate) fn time(self) -> Self {
        self.op("time")
    }

    /// Sets the global timer to the number on top of the stack and pushes its previous value.
    pub(crate) fn set_timer(self) -> Self {
        self.op("timer")
    }

    /// Pushes performance counter `kind`.
    pub(crate) fn counter(self, kind: u64) -> Self {
        self.int(kind).op("counter")
    }

    /// Pushes whether `principal` is a controller.
    pub(crate) fn asks_controller(self, principal: &[u8]) -> Self {
        self.blob(principal).op("is_controller")
    }

    /// Pushes whether the execution is replicated.
    pub(crate) fn replicated(self) -> Self {
        self.op("replicated")
    }

    // Calls

    /// Performs `call` and drops the error code.
    pub(crate) fn call(self, call: Call) -> Self {
        self.try_call(call).forget()
    }

    /// Performs `call` and pushes the error code.
    pub(crate) fn try_call(self, call: Call) -> Self {
        self.assemble(call).op("call_perform")
    }

    /// Assembles `call` without performing it.
    pub(crate) fn assemble(self, call: Call) -> Self {
        let mut script = self
            .blob(call.callee.as_slice())
            .blob(call.method.as_bytes())
            .blob(&call.on_reply.0)
            .blob(&call.on_reject.0)
            .op("call_new");
        for argument in call.arguments {
            script = script.then(argument).op("call_append");
        }
        if let Some(cycles) = call.cycles {
            script = script.then(cycles).op("call_cycles");
        }
        if let Some(seconds) = call.best_effort_seconds {
            script = script.best_effort(seconds);
        }
        if let Some(cleanup) = call.on_cleanup {
            script = script.blob(&cleanup.0).op("call_on_cleanup");
        }
        script
    }

    /// Bounds the wait of the call under construction.
    pub(crate) fn best_effort(self, seconds: u64) -> Self {
        self.int(seconds).op("call_best_effort")
    }

    /// Appends `bytes` to the argument of the call under construction.
    pub(crate) fn call_append(self, bytes: &[u8]) -> Self {
        self.blob(bytes).op("call_append")
    }

    // Stable memory

    /// Pushes the pages of stable memory.
    pub(crate) fn stable_size(self) -> Self {
        self.op("stable_size")
    }

    /// Grows stable memory by `pages` and pushes its previous pages, or -1.
    pub(crate) fn stable_grow(self, pages: u64) -> Self {
        self.int(pages).op("stable_grow")
    }

    /// Pushes `size` bytes of stable memory from `offset` on.
    pub(crate) fn stable_read(self, offset: u64, size: u64) -> Self {
        self.int(offset).int(size).op("stable_read")
    }

    /// Writes `bytes` to stable memory at `offset`.
    pub(crate) fn stable_write(self, offset: u64, bytes: &[u8]) -> Self {
        self.int(offset).blob(bytes).op("stable_write")
    }

    /// Pops a blob, then an offset, and writes the blob there to stable memory.
    pub(crate) fn stable_store(self) -> Self {
        self.op("stable_write")
    }

    // The rest

    /// Sets the certified data.
    pub(crate) fn certify(self, data: &[u8]) -> Self {
        self.blob(data).op("certify")
    }

    /// Pushes whether a certificate is available.
    pub(crate) fn certificate_present(self) -> Self {
        self.op("certificate_present")
    }

    /// Pushes the cost of a call.
    pub(crate) fn cost_call(self, method_name_bytes: u64, payload_bytes: u64) -> Self {
        self.int(method_name_bytes).int(payload_bytes).op("cost_call")
    }

    /// Pushes the cost of creating a canister.
    pub(crate) fn cost_create_canister(self) -> Self {
        self.op("cost_create")
    }

    /// Prints `text` to the canister's log.
    pub(crate) fn print(self, text: &[u8]) -> Self {
        self.blob(text).op("print")
    }

    /// Prints `size` bytes of the heap from `address` on.
    pub(crate) fn print_at(self, address: u32, size: u32) -> Self {
        self.int(u64::from(address) << 32 | u64::from(size)).op("print")
    }

    /// Traps with `size` bytes of the heap from `address` on.
    pub(crate) fn trap_at(self, address: u32, size: u32) -> Self {
        self.int(u64::from(address) << 32 | u64::from(size)).op("trap")
    }

    /// Traps with `text`.
    pub(crate) fn trap(self, text: &[u8]) -> Self {
        self.blob(text).op("trap")
    }

    /// Executes wasm's `unreachable`.
    pub(crate) fn unreachable(self) -> Self {
        self.op("unreachable")
    }

    /// Turns a loop of seven wasm operators `turns` times.
    pub(crate) fn spin(self, turns: u64) -> Self {
        self.int(turns).op("spin")
    }

    /// Grows the heap by `pages` and pushes its previous pages, or 2^32 - 1.
    pub(crate) fn grow_heap(self, pages: u64) -> Self {
        self.int(pages).op("grow_heap")
    }

    /// Recurses without end.
    pub(crate) fn overflow_stack(self) -> Self {
        self.op("overflow_stack")
    }

    /// Stores `body` as what `hook` runs.
    pub(crate) fn hook(self, hook: Hook, body: Self) -> Self {
        self.int(hook as u64).blob(&body.0).op("hook")
    }

    /// Pushes the name of the method that is inspected.
    pub(crate) fn method_name(self) -> Self {
        self.op("method_name")
    }

    /// Accepts the message that is inspected.
    pub(crate) fn accept_message(self) -> Self {
        self.op("accept_message")
    }
}

/// A call that a script makes.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    callee: Principal,
    method: String,
    /// Scripts that each push a blob.
    arguments: Vec<Script>,
    on_reply: Script,
    on_reject: Script,
    on_cleanup: Option<Script>,
    /// A script that pushes a number.
    cycles: Option<Script>,
    best_effort_seconds: Option<u64>,
}

impl Call {
    /// Calls `method`; the reply is passed on, a reject is [reported](report).
    pub(crate) fn new(callee: Principal, method: &str) -> Self {
        Self {
            callee,
            method: method.to_owned(),
            arguments: Vec::new(),
            on_reply: echo(),
            on_reject: report(),
            on_cleanup: None,
            cycles: None,
            best_effort_seconds: None,
        }
    }

    /// Has the universal canister `callee` run `script`.
    pub(crate) fn run(callee: Principal, script: Script) -> Self {
        Self::new(callee, "run").arg(&script.0)
    }

    /// Calls `method` of the management canister.
    pub(crate) fn management(method: &str, args: impl candid::utils::ArgumentEncoder) -> Self {
        let arg = candid::encode_args(args).expect("arguments encode");
        Self::new(Principal::management_canister(), method).arg(&arg)
    }

    /// Appends `bytes` to the argument.
    pub(crate) fn arg(self, bytes: &[u8]) -> Self {
        self.arg_of(script().blob(bytes))
    }

    /// Appends the blob that `pushing` pushes to the argument.
    pub(crate) fn arg_of(mut self, pushing: Script) -> Self {
        self.arguments.push(pushing);
        self
    }

    /// What happens on a reply.
    pub(crate) fn on_reply(mut self, script: Script) -> Self {
        self.on_reply = script;
        self
    }

    /// What happens on a reject.
    pub(crate) fn on_reject(mut self, script: Script) -> Self {
        self.on_reject = script;
        self
    }

    /// What happens if a callback traps.
    pub(crate) fn on_cleanup(mut self, script: Script) -> Self {
        self.on_cleanup = Some(script);
        self
    }

    /// Attaches `amount` cycles.
    pub(crate) fn cycles(self, amount: u64) -> Self {
        self.cycles_of(script().int(amount))
    }

    /// Attaches the cycles that `pushing` pushes.
    pub(crate) fn cycles_of(mut self, pushing: Script) -> Self {
        self.cycles = Some(pushing);
        self
    }

    /// Waits at most `seconds` for the response.
    pub(crate) fn best_effort(mut self, seconds: u64) -> Self {
        self.best_effort_seconds = Some(seconds);
        self
    }
}

/// The number of an operation: its position in the table of the universal canister.
fn operation(name: &str) -> u8 {
    static OPERATIONS: OnceLock<BTreeMap<&str, u8>> = OnceLock::new();
    let operations = OPERATIONS.get_or_init(|| {
        let (_, table) = UNIVERSAL.split_once("(elem $callback").expect("a table of operations");
        let (table, _) = table.split_once(')').expect("the end of the table");
        (1..).zip(table.split_whitespace()).map(|(n, name)| (name.trim_start_matches('$'), n)).collect()
    });
    operations[name]
}
