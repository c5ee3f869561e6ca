//! Faults at a call of a job. Only the embedded replica can be made to fail on purpose.

use super::world::World;
use crate::engine::Engine;
use anyhow::{anyhow, bail};
use candid::Principal;
use decant_replica::faults::CallView;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

impl Fault {
    /// Each kind.
    pub const ALL: [Self; 6] =
        [Self::Rejected, Self::ReplyLost, Self::CallbackTraps, Self::Restarted, Self::Stopped, Self::Starved];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "a call is rejected",
            Self::ReplyLost => "a reply is lost",
            Self::CallbackTraps => "a callback traps",
            Self::Restarted => "the coordinator is upgraded",
            Self::Stopped => "the coordinator is stopped",
            Self::Starved => "it has no cycles",
        }
    }
}

/// Rounds that a coordinator stays stopped, or without cycles: longer than its first waits between two tries.
const ROUNDS_AWAY: u32 = 20;
/// How long these are.
const ROUND: Duration = Duration::from_secs(2);

/// A fault that is prepared.
pub struct Armed {
    fault: Fault,
    has_happened: Arc<AtomicBool>,
    is_acted_upon: bool,
    /// Cycles that were taken of the coordinator.
    taken: Arc<Mutex<u128>>,
}

/// Prepares a fault at call number `nth` from now on, of those that the coordinator, sources and targets make.
///
/// Creations are not made to trap in their callback: the id of a created canister is told there and nowhere else,
/// which is why that callback does nothing but store it.
///
/// # Errors
/// The engine is a real server.
pub fn arm(engine: &Engine, world: &World, fault: Fault, nth: u32) -> anyhow::Result<Armed> {
    let Engine::Embedded(replica) = engine else {
        bail!("only the embedded replica fails on purpose: leave out --engine pocket-ic")
    };
    let armed = Armed {
        fault,
        has_happened: Arc::new(AtomicBool::new(false)),
        is_acted_upon: false,
        taken: Arc::new(Mutex::new(0)),
    };
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
    let happened = Arc::clone(&armed.has_happened);
    let mut is_hit = move |call: &CallView, of_response: bool| {
        let is_due = call.is_response == of_response && is_due_at(call);
        if is_due {
            happened.store(true, Ordering::Relaxed);
        }
        is_due
    };
    let (coordinator, taken) = (world.coordinator, Arc::clone(&armed.taken));
    replica.with_instance(world.pic.instance_id(), move |instance| {
        let faults = instance.faults();
        faults.clear();
        match fault {
            Fault::Rejected => faults.reject_transiently(move |call| is_hit(call, false)),
            Fault::ReplyLost => faults.lose_replies(move |call| is_hit(call, true)),
            Fault::CallbackTraps => faults.trap_callbacks(move |call| is_hit(call, true)),
            Fault::Restarted => faults.before_messages(move |_, call| {
                is_hit(call, false);
            }),
            Fault::Stopped => faults.before_messages(move |_, call| {
                is_hit(call, call.is_response);
            }),
            Fault::Starved => faults.before_messages(move |instance, call| {
                if is_hit(call, call.is_response) {
                    let cycles = instance.freeze(coordinator).unwrap_or_default();
                    *taken.lock().unwrap_or_else(PoisonError::into_inner) = cycles;
                }
            }),
        }
    })?;
    Ok(armed)
}

/// Takes what is prepared back.
///
/// # Errors
/// The instance is gone.
pub fn disarm(engine: &Engine, world: &World) -> anyhow::Result<()> {
    if let Engine::Embedded(replica) = engine {
        replica.with_instance(world.pic.instance_id(), |instance| instance.faults().clear())?;
    }
    Ok(())
}

impl Armed {
    /// Whether it happened.
    pub fn has_happened(&self) -> bool {
        self.has_happened.load(Ordering::Relaxed)
    }

    /// The same for whoever waits for it elsewhere.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_happened)
    }

    /// In every round: stops the coordinator, upgrades it to this module and starts it, or leaves it away for a while, once
    /// the fault that wants that has happened.
    ///
    /// # Errors
    /// The coordinator can't be stopped, upgraded or started, which it can be at any time.
    pub fn act_if_due(&mut self, world: &World, coordinator: &[u8]) -> anyhow::Result<()> {
        if self.is_acted_upon || !self.has_happened() {
            return Ok(());
        }
        self.is_acted_upon = true;
        match self.fault {
            Fault::Rejected | Fault::ReplyLost | Fault::CallbackTraps => Ok(()),
            Fault::Restarted => restart(world, coordinator),
            Fault::Stopped => {
                stop(world, world.coordinator)?;
                stay_away(world);
                start(world, world.coordinator)
            }
            Fault::Starved => {
                stay_away(world);
                let taken = *self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                world.pic.add_cycles(world.coordinator, taken);
                Ok(())
            }
        }
    }
}

fn stay_away(world: &World) {
    for _ in 0..ROUNDS_AWAY {
        world.pic.advance_time(ROUND);
        world.pic.tick();
    }
}

/// Stops the coordinator, upgrades it to a module, and starts it.
///
/// # Errors
/// It can't be, which it can be at any time.
pub fn restart(world: &World, module: &[u8]) -> anyhow::Result<()> {
    let id = world.coordinator;
    stop(world, id)?;
    let upgraded =
        world.pic.upgrade_canister(id, module.to_vec(), candid::encode_args(())?, Some(world.operator));
    upgraded.map_err(|rejected| anyhow!("upgrading {id}: {rejected}"))?;
    start(world, id)
}

fn stop(world: &World, id: Principal) -> anyhow::Result<()> {
    world.pic.stop_canister(id, Some(world.operator)).map_err(|rejected| anyhow!("stopping {id}: {rejected}"))
}

fn start(world: &World, id: Principal) -> anyhow::Result<()> {
    world
        .pic
        .start_canister(id, Some(world.operator))
        .map_err(|rejected| anyhow!("starting {id}: {rejected}"))
}
