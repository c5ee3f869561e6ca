//! The same fleet given back in each way that there is: `scripts/bench strategies [--json FILE] [KIB...]`, by default of
//! 200 KiB, 8 MiB and 256 MiB of state a canister. Everything is counted on the engine; nothing depends on the machine.

mod by_hand;
mod export;

use anyhow::{Context, anyhow, ensure};
use by_hand::Taken;
use candid::Principal;
use decant_cli::engine::Engine;
use decant_cli::rehearsal::account::differences;
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{self, Modules, Options, Silent, Strategy};
use serde::Serialize;
use std::path::Path;

/// KiB of state, if none are named.
const SIZES_KIB: [u32; 3] = [200, 8 * 1024, 256 * 1024];

/// KiB of state of a fleet, and of one canister at least.
const FLEET_KIB: u32 = 80 * 1024;
/// Canisters of a fleet at most: as many as are in flight.
const FLEET: u32 = 10;
/// Cycles of a canister that relays.
const RELAY_CYCLES: u128 = 1_000_000_000_000_000;

/// One way, for one fleet.
#[derive(Debug, Serialize)]
struct Row {
    state_kib: u32,
    canisters: u32,
    way: &'static str,
    /// A canister.
    cycles: u128,
    /// A canister.
    messages: f64,
    /// A canister.
    wire_bytes: u64,
    /// Of all.
    rounds: u64,
    /// Of one user at most.
    waited_rounds: u64,
    /// Of all.
    stable_bytes_before: u64,
    /// Of all.
    stable_bytes_after: u64,
}

fn options(state_kib: u32, strategy: Strategy) -> Options {
    let canisters = (FLEET_KIB / state_kib.max(1)).clamp(1, FLEET);
    Options { canisters, state_kib, strategy, ..Options::default() }
}

fn by_decant(
    engine: &Engine,
    modules: &Modules,
    state_kib: u32,
    strategy: Strategy,
    way: &'static str,
) -> anyhow::Result<Row> {
    let report = rehearsal::run(engine, modules, &options(state_kib, strategy), &mut Silent)?;
    ensure!(report.is_well(), "not all is well, {way} of {state_kib} KiB:\n{report}");
    Ok(Row {
        state_kib,
        canisters: report.canisters,
        way,
        cycles: report.cycles_per_job,
        messages: report.update_messages_per_job,
        wire_bytes: (report.wire_bytes_per_state_byte * report.state_bytes as f64) as u64
            / u64::from(report.canisters),
        rounds: report.rounds,
        waited_rounds: report.fenced_rounds_max,
        stable_bytes_before: report.stable_bytes_bloated,
        stable_bytes_after: report.stable_bytes_after,
    })
}

/// Ways that need nothing of ours but what repacks an image.
#[derive(Debug, Clone, Copy)]
enum Without {
    /// Snapshots, through a canister in the middle.
    Relay,
    /// Snapshots, through a person's machine, as `docs/offline-repack.md` says.
    Hand,
    /// Code that hands out pieces of the state, through a person's machine.
    Export,
}

impl Without {
    const ALL: [Self; 3] = [Self::Relay, Self::Hand, Self::Export];

    fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Hand => "by hand",
            Self::Export => "export",
        }
    }
}

/// A canister that relays, and is a controller of all others beside those that are.
fn relay(world: &World, canisters: &[Principal]) -> anyhow::Result<Principal> {
    let (pic, operator) = (&world.pic, Some(world.operator));
    let relay = pic.create_canister_with_settings(operator, None);
    pic.add_cycles(relay, RELAY_CYCLES);
    let module = wat::parse_str(include_str!("relay.wat")).context("relay.wat")?;
    pic.install_canister(relay, module, Vec::new(), operator);
    for canister in canisters {
        let set = pic.set_controllers(*canister, operator, vec![world.operator, world.index, relay]);
        set.map_err(|error| anyhow!("controllers of {canister}: {error}"))?;
    }
    Ok(relay)
}

fn without(engine: &Engine, modules: &Modules, state_kib: u32, way: Without) -> anyhow::Result<Row> {
    let options = options(state_kib, Strategy::Repack);
    let world = World::new(engine, modules, &options)?;
    let mut fleet = Fleet::create(&world, modules, &options, &mut Silent)?;
    fleet.bloat(&world, modules, &options, &mut Silent)?;
    let originals = fleet.originals();
    let before = fleet.kept(&world)?;
    let relay = relay(&world, &originals)?;
    let cycles = || world.total_cycles(originals.iter().copied().chain([relay]), |_| true);
    let cycles_before = cycles();
    let mut taken = Taken::default();
    for canister in &originals {
        let one = match way {
            Without::Relay => by_hand::relayed(&world, *canister, relay),
            Without::Hand => by_hand::by_hand(&world, *canister, &modules.managed),
            Without::Export => export::give_back(&world, *canister, &modules.managed),
        };
        taken.add(&one.with_context(|| format!("{}, {state_kib} KiB, {canister}", way.name()))?);
    }
    let cycles = cycles_before.saturating_sub(cycles());
    let after = fleet.kept(&world)?;
    ensure!(after.stable_bytes < before.stable_bytes, "nothing came free: {} bytes", after.stable_bytes);
    for user in &fleet.users {
        let found = differences(&world, user.original, &user.model.state())?;
        ensure!(found.is_empty(), "{}, {state_kib} KiB: {}", way.name(), found.join("; "));
    }
    Ok(Row {
        state_kib,
        canisters: options.canisters,
        way: way.name(),
        cycles: cycles / u128::from(options.canisters),
        messages: taken.messages as f64 / f64::from(options.canisters),
        wire_bytes: taken.bytes / u64::from(options.canisters),
        rounds: taken.rounds,
        waited_rounds: taken.waited_rounds,
        stable_bytes_before: before.stable_bytes,
        stable_bytes_after: after.stable_bytes,
    })
}

fn main() -> anyhow::Result<()> {
    // Cargo adds arguments of its own, such as `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().position(|it| it == "--json").and_then(|at| arguments.get(at + 1));
    let named: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if named.is_empty() { SIZES_KIB.to_vec() } else { named };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/canisters");
    let modules = Modules::read(&directory)?;
    let engine = Engine::start()?;
    let ways = [
        (Strategy::Relocate, "relocate"),
        (Strategy::Repack, "repack"),
        (Strategy::RelocateVessel, "relocate-vessel"),
    ];
    println!(
        "{:>10} {:>3} {:<16} {:>12} {:>9} {:>12} {:>7} {:>7} {:>9} {:>9}",
        "state", "of", "way", "cycles", "messages", "bytes", "rounds", "waits", "before", "after"
    );
    let mut rows = Vec::new();
    for state_kib in sizes {
        let decant = ways.map(|(strategy, way)| by_decant(&engine, &modules, state_kib, strategy, way));
        let without = Without::ALL.map(|way| without(&engine, &modules, state_kib, way));
        for row in decant.into_iter().chain(without) {
            let row = row?;
            let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
            println!(
                "{:>6} KiB {:>3} {:<16} {:>10.2} B {:>9.0} {:>12} {:>7} {:>7} {:>5.1} MiB {:>5.1} MiB",
                row.state_kib,
                row.canisters,
                row.way,
                row.cycles as f64 / 1e9,
                row.messages,
                row.wire_bytes,
                row.rounds,
                row.waited_rounds,
                mib(row.stable_bytes_before),
                mib(row.stable_bytes_after)
            );
            rows.push(row);
        }
    }
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)
            .with_context(|| format!("writing {file}"))?;
    }
    Ok(())
}
