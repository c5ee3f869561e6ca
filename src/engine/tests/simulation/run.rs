//! Runs a world to its rest.

use decant_engine::Event;

use crate::checks::{always, at_rest};
use crate::coordinator::{Chaos, Coordinator, SECOND_NANOS};
use crate::prng::Prng;
use crate::world::World;

const MAX_TICKS: usize = 40_000;

/// Runs until every job is at rest, checking all the while.
pub(crate) fn run(world: &mut World, coordinator: &mut Coordinator, chaos: Chaos, prng: &mut Prng) {
    run_beside(world, coordinator, chaos, prng, &mut |_, _| false);
}

/// The same, and somebody else may do something at every moment; it answers whether.
pub(crate) fn run_beside(
    world: &mut World,
    coordinator: &mut Coordinator,
    chaos: Chaos,
    prng: &mut Prng,
    beside: &mut dyn FnMut(&mut World, &Coordinator) -> bool,
) {
    for _ in 0..MAX_TICKS {
        if coordinator.is_at_rest() {
            coordinator.flush(world, prng);
            coordinator.deliver_stale();
            at_rest(world, coordinator);
            return;
        }
        world.now_nanos = coordinator.now_nanos;
        if beside(world, coordinator) {
            always(world, coordinator);
        }
        match prng.below(10) {
            0 | 1 => world.write(prng),
            2 => world.finish_open_call(prng),
            3 => world.beat(prng),
            4..=6 => coordinator.network(world, chaos, prng),
            _ => {
                let position = prng.below(coordinator.jobs.len());
                let until = coordinator.drive(position, world);
                // When one waits for long, time passes; the others may be late, which they must bear.
                if let Some(until_nanos) = until.filter(|_| prng.permille(300)) {
                    coordinator.now_nanos = coordinator.now_nanos.max(until_nanos);
                }
            }
        }
        if chaos.crash > 0 && prng.permille(chaos.crash) {
            coordinator.crash(prng);
        }
        if chaos.abort > 0 && prng.permille(chaos.abort) {
            coordinator.command(Event::AbortRequested, prng);
        }
        if chaos.revert > 0 && prng.permille(chaos.revert) {
            coordinator.command(Event::RevertRequested, prng);
        }
        coordinator.deliver_stale();
        coordinator.now_nanos += SECOND_NANOS / 10;
        always(world, coordinator);
    }
    let states: Vec<_> = coordinator.jobs.iter().map(|it| (it.job.state(), it.job.attempt())).collect();
    panic!("promise 8: termination: {states:?}");
}
