//! Faults at each call of a job, one job a fault. Only the embedded replica can be made to fail on purpose.

use crate::restart;
use decant_cli::engine::Engine;
use decant_cli::rehearsal::world::World;
use decant_replica::Replica;
use decant_replica::faults::CallView;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// What happens to one of the calls that canisters make for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is rejected before it reaches its callee.
    Rejected,
    /// It is executed, and the caller is told that nobody knows (best-effort calls only).
    ReplyLost,
    /// It is executed, and the callback that takes its reply traps.
    CallbackTraps,
    /// The coordinator is stopped while it is under way, upgraded, and started.
    Restarted,
    /// The coordinator is stopped before the call, or its reply, reaches anybody, and started a while later.
    Stopped,
    /// It has no cycles from before the call, or its reply, reaches anybody, until a while later.
    Starved,
}

/// Rounds that a coordinator stays stopped, or without cycles: longer than its first waits between two tries.
const ROUNDS_AWAY: u32 = 20;

/// What is done to the coordinator of this test when the flag says so.
struct Pending {
    fault: Fault,
    is_due: Arc<AtomicBool>,
    /// What was taken of it.
    taken: Arc<Mutex<u128>>,
}

thread_local! {
    static PENDING: RefCell<Option<Pending>> = const { RefCell::new(None) };
}

/// An embedded replica, whatever the environment says, started once in this process: it compiles each module once.
pub fn embedded() -> &'static Engine {
    static EMBEDDED: OnceLock<Engine> = OnceLock::new();
    EMBEDDED.get_or_init(|| Engine::Embedded(Replica::start().expect("the replica starts")))
}

/// Prepares a fault at call number `nth` from now on, of those that the coordinator, sources and targets make; answers
/// whether it happened.
///
/// Creations are not made to trap in their callback: the id of a created canister is told there and nowhere else,
/// which is why that callback does nothing but store it.
pub fn arm(engine: &Engine, world: &World, fault: Fault, nth: u32) -> Arc<AtomicBool> {
    let Engine::Embedded(replica) = engine else { panic!("only the embedded replica fails on purpose") };
    let has_happened = Arc::new(AtomicBool::new(false));
    let happened = Arc::clone(&has_happened);
    // Users, and what the index does before a job begins.
    let others = [world.operator, world.index, world.governance];
    let mut seen = 0;
    // Counts the calls, or the replies to them, and says when it is the one.
    let mut is_due_at = move |call: &CallView| {
        // A canister that calls itself runs its timers: no call of the job.
        if others.contains(&call.caller) || call.caller == call.callee {
            return false;
        }
        if fault == Fault::CallbackTraps && call.method == "create_canister" {
            return false;
        }
        seen += 1;
        seen == nth + 1
    };
    let mut is_due =
        move |call: &CallView, of_response: bool| call.is_response == of_response && is_due_at(call);
    let (coordinator, taken) = (world.coordinator, Arc::new(Mutex::new(0)));
    let kept = Arc::clone(&taken);
    let prepared = replica.with_instance(world.pic.instance_id(), move |instance| {
        let faults = instance.faults();
        faults.clear();
        match fault {
            Fault::Rejected => faults.reject_transiently(move |call| note(is_due(call, false), &happened)),
            Fault::ReplyLost => faults.lose_replies(move |call| note(is_due(call, true), &happened)),
            Fault::CallbackTraps => faults.trap_callbacks(move |call| note(is_due(call, true), &happened)),
            Fault::Restarted => faults.before_messages(move |_, call| {
                note(is_due(call, false), &happened);
            }),
            Fault::Stopped => faults.before_messages(move |_, call| {
                note(is_due(call, call.is_response), &happened);
            }),
            Fault::Starved => faults.before_messages(move |instance, call| {
                if note(is_due(call, call.is_response), &happened) {
                    let cycles = instance.freeze(coordinator).expect("the coordinator is there");
                    *kept.lock().expect("no test panicked") = cycles;
                }
            }),
        }
    });
    prepared.expect("the instance is there");
    if matches!(fault, Fault::Restarted | Fault::Stopped | Fault::Starved) {
        PENDING.set(Some(Pending { fault, is_due: Arc::clone(&has_happened), taken }));
    }
    has_happened
}

/// Stops the coordinator, upgrades it and starts it, or leaves it away for a while, if that is due in this round.
pub(crate) fn restart_if_due(world: &World) {
    let Some(due) = PENDING.with_borrow_mut(|pending| pending.take_if(|it| happened(&it.is_due))) else {
        return;
    };
    let away = || {
        for _ in 0..ROUNDS_AWAY {
            world.pic.advance_time(Duration::from_secs(2));
            world.pic.tick();
        }
    };
    match due.fault {
        Fault::Stopped => {
            let operator = Some(world.operator);
            world.pic.stop_canister(world.coordinator, operator).expect("it can be stopped at any time");
            away();
            world.pic.start_canister(world.coordinator, operator).expect("it is started");
        }
        Fault::Starved => {
            away();
            let taken = *due.taken.lock().expect("no test panicked");
            world.pic.add_cycles(world.coordinator, taken);
        }
        _ => restart(world),
    }
}

/// Takes what is prepared back.
pub fn disarm(engine: &Engine, world: &World) {
    PENDING.set(None);
    let Engine::Embedded(replica) = engine else { return };
    let cleared = replica.with_instance(world.pic.instance_id(), |instance| instance.faults().clear());
    cleared.expect("the instance is there");
}

/// Lets `job` run with the fault at its first call, then at its second, and so on, until it has fewer calls.
/// `job` gets the number of its run, arms the fault, and answers whether it happened. Answers how many did.
pub fn at_each_call(mut job: impl FnMut(u32) -> bool) -> u32 {
    let mut nth = 0;
    while job(nth) {
        nth += 1;
    }
    nth
}

/// Remembers that a call is hit; answers whether it is.
fn note(is_due: bool, happened: &AtomicBool) -> bool {
    if is_due {
        happened.store(true, Ordering::Relaxed);
    }
    is_due
}

/// Whether it happened.
pub fn happened(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}
