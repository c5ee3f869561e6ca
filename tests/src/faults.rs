//! Faults at each call of a job, one job a fault. Only the embedded replica can be made to fail on purpose.

use crate::modules;
use decant_cli::engine::Engine;
pub use decant_cli::rehearsal::faults::Fault;
use decant_cli::rehearsal::faults::{self, Armed};
use decant_cli::rehearsal::world::World;
use decant_replica::Replica;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

thread_local! {
    /// What is prepared in this test.
    static ARMED: RefCell<Option<Armed>> = const { RefCell::new(None) };
}

/// An embedded replica, whatever the environment says, started once in this process: it compiles each module once.
pub fn embedded() -> &'static Engine {
    static EMBEDDED: OnceLock<Engine> = OnceLock::new();
    EMBEDDED.get_or_init(|| Engine::Embedded(Replica::start().expect("the replica starts")))
}

/// As [`faults::arm`]; answers whether it happened.
pub fn arm(engine: &Engine, world: &World, fault: Fault, nth: u32) -> Arc<AtomicBool> {
    let armed = faults::arm(engine, world, fault, nth).expect("only the embedded replica fails on purpose");
    let has_happened = armed.flag();
    ARMED.set(Some(armed));
    has_happened
}

/// What a fault wants in this round.
pub(crate) fn restart_if_due(world: &World) {
    let Some(mut armed) = ARMED.take() else { return };
    armed.act_if_due(world, &modules().coordinator).expect("a coordinator can be stopped at any time");
    ARMED.set(Some(armed));
}

/// Takes what is prepared back.
pub fn disarm(engine: &Engine, world: &World) {
    ARMED.set(None);
    faults::disarm(engine, world).expect("the instance is there");
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

/// Whether it happened.
pub fn happened(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}
