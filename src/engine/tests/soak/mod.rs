//! As many seeds as `scripts/soak` says, on all cores; a few otherwise.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// How many worlds ended how.
pub(crate) type Ends = BTreeMap<String, u64>;

/// Runs a world of each seed; one that fails prints its trace, and how to run it again.
pub(crate) fn soak(simulate: impl Fn(u64, &mut Ends) + Sync) {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (from, count) = (number("DECANT_SOAK_FROM", 9_000_000), number("DECANT_SOAK_SEEDS", 200));
    let next = AtomicU64::new(from);
    let work = || {
        let mut ends = Ends::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                return ends;
            }
            let run = AssertUnwindSafe(|| simulate(seed, &mut ends));
            assert!(catch_unwind(run).is_ok(), "seed {seed}: scripts/soak --seeds 1 --from {seed}");
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut ends = Ends::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            for (end, times) in worker.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                *ends.entry(end).or_default() += times;
            }
        }
    });
    println!("{count} seeds from {from}: {ends:?}");
}
