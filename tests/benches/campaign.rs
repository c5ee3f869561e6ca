//! Campaigns while people act, each under an order of turns of its own: `scripts/campaign [SEEDS [CANISTERS [FROM]]]`; or a
//! month of one: `scripts/campaign --month [CANISTERS]`.

use decant_tests::faults::embedded;
use decant_tests::people::{ACTS, Act};
use decant_tests::{campaign, month};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Canisters of the incident.
const INCIDENT: u32 = 9_857;

fn a_month(canisters: u32) -> ExitCode {
    let begun = Instant::now();
    let mut say = |line: &str| println!("{:.0} s: {line}", begun.elapsed().as_secs_f64());
    match month::run(embedded(), canisters, &mut say) {
        Ok(month) => println!("{month:?} in {:.0} s\nAll is accounted for.", begun.elapsed().as_secs_f64()),
        Err(error) => {
            println!("NOT well: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--month") {
        let named = std::env::args().filter_map(|argument| argument.parse().ok()).next();
        return a_month(named.unwrap_or(INCIDENT));
    }
    // Cargo adds arguments of its own, such as `--bench`.
    let mut named = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (seeds, canisters, from) =
        (named.next().unwrap_or(100), named.next().unwrap_or(500), named.next().unwrap_or(0));
    let canisters = u32::try_from(canisters).unwrap_or(u32::MAX);
    let (next, failed) = (Mutex::new(from..from + seeds), Mutex::new(Vec::new()));
    // What people did under some seed, and writes that met a fence under any.
    let (done, fenced) = (Mutex::new(BTreeSet::new()), AtomicU64::new(0));
    let lanes = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let begun = Instant::now();
    let campaigns = || {
        while let Some(seed) = next.lock().expect("no lane panics").next() {
            let start = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| campaign::run(embedded(), canisters, seed)));
            let seconds = start.elapsed().as_secs_f64();
            match result {
                Ok(Ok(it)) => {
                    let acts = ACTS.into_iter().filter(|act| !it.undone.contains(act));
                    done.lock().expect("no lane panics").extend(acts);
                    fenced.fetch_add(it.fenced_writes, Ordering::Relaxed);
                    println!(
                        "seed {seed}: {} jobs, {} of them rolled back, {} rounds, {} writes met a fence, {} of {} cycles in an \
                     idle day are the base fee, undone {:?}, {seconds:.0} s",
                        it.jobs,
                        it.rolled_back,
                        it.rounds,
                        it.fenced_writes,
                        it.idle_day.1,
                        it.idle_day.0,
                        it.undone
                    );
                }
                Ok(Err(error)) => {
                    println!("seed {seed}: NOT well after {seconds:.0} s: {error:#}");
                    failed.lock().expect("no lane panics").push(seed);
                }
                Err(_) => {
                    println!("seed {seed}: panicked after {seconds:.0} s");
                    failed.lock().expect("no lane panics").push(seed);
                }
            }
        }
    };
    std::thread::scope(|scope| (0..lanes).for_each(|_| drop(scope.spawn(campaigns))));
    let failed = failed.into_inner().expect("no lane panics");
    println!(
        "{seeds} seeds from {from}, {canisters} canisters each, in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let done = done.into_inner().expect("no lane panics");
    let undone: Vec<Act> = ACTS.into_iter().filter(|act| !done.contains(act)).collect();
    let fenced = fenced.into_inner();
    let is_all = undone.is_empty() && fenced > 0;
    if !is_all {
        println!("NOT all was tried: under no seed {undone:?}, and {fenced} writes met a fence");
    }
    if failed.is_empty() && is_all {
        println!("All campaigns are well.");
        return ExitCode::SUCCESS;
    }
    println!("failed under {} seeds: {failed:?}", failed.len());
    ExitCode::FAILURE
}
