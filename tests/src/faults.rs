//! Faults at each call of a job, one job a fault. Only the embedded replica can be made to fail on purpose.

use crate::restart;
use decant_cli::engine::Engine;
use decant_cli::rehearsal::world::World;
use decant_replica::Replica;
use decant_replica::faults::CallView;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

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
}

thread_local! {
    /// Says when the coordinator of this test is to be restarted.
    static TO_RESTART: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
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
    let mut is_due = move |call: &CallView, of_response: bool| {
        // A canister that calls itself runs its timers: no call of the job.
        if others.contains(&call.caller) || call.caller == call.callee || call.is_response != of_response {
            return false;
        }
        if fault == Fault::CallbackTraps && call.method == "create_canister" {
            return false;
        }
        seen += 1;
        seen == nth + 1
    };
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
        }
    });
    prepared.expect("the instance is there");
    if fault == Fault::Restarted {
        TO_RESTART.set(Some(Arc::clone(&has_happened)));
    }
    has_happened
}

/// Stops the coordinator, upgrades it and starts it, if that is due in this round.
pub(crate) fn restart_if_due(world: &World) {
    let is_due = TO_RESTART.with_borrow(|flag| flag.as_ref().is_some_and(|flag| happened(flag)));
    if is_due {
        TO_RESTART.set(None);
        restart(world);
    }
}

/// Takes what is prepared back.
pub fn disarm(engine: &Engine, world: &World) {
    TO_RESTART.set(None);
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

/// Remembers that a call is hit.
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
