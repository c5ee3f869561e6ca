//! What governance approves: shown to voters when it is proposed, checked again when it is executed.

use crate::{management, store};
use decant_api::plan::{ModuleRef, Plan, Retention, Strategy};

/// Plans that are kept.
const PLANS: u64 = 10_000;
/// Chunks of a module (spec: a chunk store has 100).
const CHUNKS: usize = 100;
/// Jobs at a time: each holds a callback and a response of 2 MiB at most.
const IN_FLIGHT: u32 = 200;
/// Bytes of a title.
const TITLE_BYTES: usize = 200;
/// Bytes of an init argument.
const INIT_ARG_BYTES: usize = 100_000;

/// Renders a plan for voters, or says why it cannot be executed.
pub(crate) async fn validate(plan: &Plan) -> Result<String, String> {
    check(plan)?;
    let stored = management::stored_chunks().await?;
    for module in [Some(&plan.module), plan.tombstone.as_ref()].into_iter().flatten() {
        for chunk in &module.chunk_hashes {
            if !stored.contains(chunk) {
                return Err(format!(
                    "chunk {} is not in the coordinator's chunk store: upload it to {} first",
                    hex(chunk),
                    ic_cdk::api::canister_self()
                ));
            }
        }
    }
    Ok(render(plan))
}

/// Keeps a plan, from now on in force.
pub(crate) fn execute(plan: Plan) -> Result<(), String> {
    check(&plan)?;
    if store::plan_count() >= PLANS {
        return Err(format!("there are {PLANS} plans already"));
    }
    store::add_plan(plan);
    Ok(())
}

fn check(plan: &Plan) -> Result<(), String> {
    let limits: [(&str, u128, u128, u128); 7] = [
        ("title (bytes)", plan.title.len() as u128, 1, TITLE_BYTES as u128),
        ("indexes", plan.indexes.len() as u128, 1, decant_engine::MAX_INDEXES as u128),
        ("init_arg (bytes)", plan.init_arg.len() as u128, 0, INIT_ARG_BYTES as u128),
        ("bucket_pages", plan.bucket_pages.into(), 1, u16::MAX.into()),
        ("max_canisters", plan.max_canisters.into(), 1, u64::MAX.into()),
        ("max_in_flight", plan.max_in_flight.into(), 1, IN_FLIGHT.into()),
        ("max_cycles", plan.max_cycles, 1, u128::MAX),
    ];
    for (name, value, min, max) in limits {
        if !(min..=max).contains(&value) {
            return Err(format!("{name} is {value} and must be from {min} to {max}"));
        }
    }
    check_module("module", &plan.module)?;
    match (plan.retention, &plan.tombstone) {
        (Retention::Tombstone, None) => {
            Err("the retention is a tombstone, and no module is named for it".to_owned())
        }
        (_, Some(tombstone)) => check_module("tombstone", tombstone),
        _ => Ok(()),
    }
}

fn check_module(name: &str, module: &ModuleRef) -> Result<(), String> {
    if module.hash.len() != 32 || module.chunk_hashes.iter().any(|hash| hash.len() != 32) {
        return Err(format!("{name}: a hash must have 32 bytes"));
    }
    if module.chunk_hashes.is_empty() || module.chunk_hashes.len() > CHUNKS {
        return Err(format!("{name}: {} chunks, and there must be 1 to {CHUNKS}", module.chunk_hashes.len()));
    }
    Ok(())
}

fn render(plan: &Plan) -> String {
    let Strategy::Relocate = plan.strategy;
    let indexes: Vec<String> = plan.indexes.iter().map(ToString::to_string).collect();
    let end = match plan.retention {
        Retention::Frozen { seconds } => format!(
            "Each original stays, fenced, for {seconds} seconds; then its cycles go to the new canister and it is \
             DELETED, which cannot be undone."
        ),
        Retention::Tombstone => {
            "Each original gives its cycles to the new canister and becomes a tombstone, which \
                                 cannot be undone."
                .to_owned()
        }
        Retention::None => {
            "Each original gives its cycles to the new canister and is DELETED at once, which cannot \
                            be undone."
                .to_owned()
        }
    };
    format!(
        "# Relocate canisters: {}\n\n\
         Moves the state of at most {} canisters, {} at a time, each to a fresh canister with buckets of {} pages of \
         64 KiB that runs the module {}. Only canisters that the indexes {} enrol, and only where at least {} pages \
         come free.\n\n\
         Spends at most {} cycles in all; a fresh canister gets {} cycles besides its creation.\n\n\
         Nothing is deleted before the new canister holds what the original held, by a digest over all of it, and \
         every route names it. {end}",
        plan.title,
        plan.max_canisters,
        plan.max_in_flight,
        plan.bucket_pages,
        hex(&plan.module.hash),
        indexes.join(", "),
        plan.min_reclaimed_pages,
        plan.max_cycles,
        plan.cycles_per_target,
    )
}

/// Bytes as voters compare them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
