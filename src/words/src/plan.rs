//! A plan, as voters read it: everything that it says, and what follows from it. Nothing that its proposer wrote stands in
//! it but the title, whose letters are such that they can't end, hide or turn round anything (`check_title`); arguments and
//! lists of chunks stand there by their length and SHA-256.

use crate::{cycles_exactly, hex, is_hidden, span};
use candid::Principal;
use decant_api::plan::{ByVessel, ModuleRef, Plan, Recycling, Retention, Strategy};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

/// Letters of a title besides those of words and digits.
const TITLE_SIGNS: &str = " .,:;()+-%'";

/// Whether a title is such that nothing but itself is read of it, as plain text, as Markdown or as HTML. Scripts that are
/// read from right to left are not taken: they turn round what stands beside them.
///
/// # Errors
/// Which letter it can't have.
pub fn check_title(title: &str) -> Result<(), String> {
    let is_right_to_left = |letter: char| matches!(u32::from(letter), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff | 0x1_0800..=0x1_0fff | 0x1_e800..=0x1_efff);
    let may_stand = |letter: char| {
        TITLE_SIGNS.contains(letter)
            || (letter.is_alphanumeric() && !is_right_to_left(letter) && !is_hidden(letter))
    };
    match title.chars().find(|letter| !may_stand(*letter)) {
        None if title.trim() == title => Ok(()),
        None => Err("title: it begins or ends with a space".to_owned()),
        Some(letter) => Err(format!(
            "title: U+{:04X} is not taken: words, digits and {TITLE_SIGNS:?} are",
            u32::from(letter)
        )),
    }
}

/// Bytes that nobody reads, so that two that differ are told apart.
fn digest_of(bytes: &[u8]) -> String {
    format!("of {} bytes with the SHA-256 {}", bytes.len(), hex(&Sha256::digest(bytes)))
}

/// Chunks in the store, as [`digest_of`] their hashes one after the other.
fn chunks_of(hashes: &[ByteBuf]) -> String {
    let mut all = Sha256::new();
    hashes.iter().for_each(|hash| all.update(hash));
    format!("{} chunks, whose hashes together have the SHA-256 {}", hashes.len(), hex(&all.finalize()))
}

fn module_of(module: &ModuleRef) -> String {
    format!("{} (in {})", hex(&module.hash), chunks_of(&module.chunk_hashes))
}

/// The whole plan.
pub fn text(plan: &Plan) -> String {
    let (heading, work, proof) = match &plan.strategy {
        Strategy::Relocate(relocation) => (
            "Relocate canisters",
            format!(
                "each to a fresh canister with {} that runs the module {}, whose init gets an argument {}{}{}",
                buckets(plan.bucket_pages),
                module_of(&relocation.module),
                digest_of(&relocation.init_arg),
                render_sources(relocation.sources.as_deref()),
                render_precopy(relocation.precopy_min_pages)
            ),
            MOVED_PROOF,
        ),
        Strategy::RelocateVessel(by) | Strategy::RelocateSnapshot(by) => (
            "Relocate canisters through vessels",
            format!(
                "each to a fresh canister with {} that runs the same module: {}",
                buckets(plan.bucket_pages),
                render_modules(by)
            ),
            MOVED_PROOF,
        ),
        Strategy::Repack(by) => (
            "Repack canisters in place",
            format!(
                "each in the same canister, which is stopped meanwhile, into {} and upgrades each to the module that it \
                 runs: {}",
                buckets(plan.bucket_pages),
                render_modules(by)
            ),
            "No canister is created or deleted and no id changes. Each is upgraded to a vessel, a module that holds the \
             state and nothing else, and back, which is one ordinary upgrade for its code. Until it runs its own module \
             again, on an image that is compared with the one before, every failure loads the snapshot from before. An \
             upgrade rebuilds the heap and disarms the global timer: what post_upgrade does not restore is not there \
             afterwards.",
        ),
    };
    format!(
        "# {heading}\n\n\
         Its proposer calls it: {}\n\n\
         Moves the state of at most {} canisters, {} at a time, {work}. Only canisters that {} enrol, and only where \
         at least {} pages come free.{}\n\n\
         {}\n\n\
         {proof} {}{}",
        plan.title,
        plan.max_canisters,
        plan.max_in_flight,
        listed(&plan.indexes),
        plan.min_reclaimed_pages,
        render_routes(plan),
        render_cost(plan),
        render_end(plan),
        render_kept(plan),
    )
}

/// Buckets, and what they make of a canister for good: a manager has 32,768 of them.
fn buckets(pages: u16) -> String {
    format!(
        "buckets of {pages} page{} ({} KiB): no canister can ever hold more than {} GiB,",
        if pages == 1 { "" } else { "s" },
        u32::from(pages) * 64,
        u32::from(pages) * 2
    )
}

fn listed(ids: &[Principal]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn render_routes(plan: &Plan) -> String {
    let swapped = match (&plan.strategy, &plan.routes) {
        (Strategy::Repack(_), _) => String::new(),
        (_, Some(routes)) => format!(" Routes are swapped in {}, in each of them.", listed(routes)),
        (_, None) => " Routes are swapped in the index that enrols a canister, and in NO OTHER.".to_owned(),
    };
    match plan.subscribers.as_deref() {
        Some(subscribers) if !subscribers.is_empty() => {
            format!("{swapped} {} are told what became of each.", listed(subscribers))
        }
        _ => swapped,
    }
}

fn render_sources(sources: Option<&[ByteBuf]>) -> String {
    match sources {
        Some(sources) => {
            let named: Vec<String> = sources.iter().map(|hash| hex(hash)).collect();
            format!(", from ones that run {}", named.join(" or "))
        }
        None => ", from ones that run ANY MODULE, also a newer one".to_owned(),
    }
}

fn render_precopy(min_pages: Option<u64>) -> String {
    match min_pages {
        Some(min_pages) => format!(
            ", which copies those of at least {min_pages} pages while they still serve and then only what changed"
        ),
        None => String::new(),
    }
}

const MOVED_PROOF: &str = "Nothing is deleted before the new canister holds what the original held, by a digest over all \
                           of it, and these routes name it.";

fn render_modules(by: &ByVessel) -> String {
    let modules: Vec<String> = by
        .modules
        .iter()
        .map(|module| {
            let heap = if module.may_lose_heap { ", whose heap may be LOST" } else { "" };
            let chunks = match module.chunk_hashes.is_empty() {
                true => "read out of a snapshot".to_owned(),
                false => format!("in {}", chunks_of(&module.chunk_hashes)),
            };
            let argument = digest_of(&module.upgrade_arg);
            format!("{} ({chunks}), whose post_upgrade gets an argument {argument}{heap}", hex(&module.hash))
        })
        .collect();
    let tail = if by.may_drop_tail { "; what is behind the last bucket is DROPPED" } else { "" };
    let timer = match by.rolls_back_on_lost_timer {
        Some(true) => "; one whose timer is disarmed goes back",
        Some(false) => "; one whose timer is disarmed goes on",
        None => "; one whose timer is disarmed goes on, by default",
    };
    let manager = match by.manager_page {
        Some(page) => format!("; the MemoryManager begins at page {page}, and what lies before it is kept"),
        None => String::new(),
    };
    format!("{}; memories may grow by {} %{tail}{timer}{manager}", modules.join(", "), by.growth_percent)
}

/// What must not be lost with an original, and a tombstone that is named.
fn render_kept(plan: &Plan) -> String {
    let ledgers = match plan.ledgers.as_slice() {
        [] => String::new(),
        ledgers => format!(" None is deleted that owns tokens at {}.", listed(ledgers)),
    };
    let dependents = match plan.dependents.as_slice() {
        [] => String::new(),
        dependents => format!(" None is deleted that controls {}.", listed(dependents)),
    };
    let tombstone = match &plan.tombstone {
        Some(module) => format!(" The tombstone is the module {}.", module_of(module)),
        None => String::new(),
    };
    format!("{ledgers}{dependents}{tombstone}")
}

fn render_cost(plan: &Plan) -> String {
    let spends = format!(
        "Spends at most {} cycles in all, creations and calls: no job is started that could exceed them. One that is on its \
         way is finished or undone, whatever that takes.",
        cycles_exactly(plan.max_cycles)
    );
    match plan.per_target() {
        Some(cycles) => {
            format!("{spends} A fresh canister gets {} cycles besides its creation.", cycles_exactly(cycles))
        }
        None => {
            let unused = match plan.cycles_per_target {
                0 => String::new(),
                cycles => {
                    format!(" The {} cycles of cycles_per_target are not used.", cycles_exactly(cycles))
                }
            };
            format!("{spends} Each canister pays for its own snapshots and upgrades besides.{unused}")
        }
    }
}

fn render_end(plan: &Plan) -> String {
    match (&plan.strategy, plan.retention) {
        (Strategy::Repack(_), Retention::Frozen { seconds }) => {
            format!("The snapshot from before is kept for {} and then deleted.", span(seconds))
        }
        (Strategy::Repack(_), _) => "The snapshot from before is deleted at once.".to_owned(),
        (strategy, Retention::Frozen { seconds }) => {
            let back = match strategy {
                Strategy::Relocate(_) => {
                    " Until then operators may let it serve again, if nothing was written to the new canister."
                }
                _ => "",
            };
            let stays = format!("Each original stays, out of use, for {}", span(seconds));
            match plan.recycling {
                Some(recycling) => format!("{stays}.{back} Then it {}", recycled(plan, recycling)),
                None => format!(
                    "{stays}; then its cycles go to the new canister and it is DELETED, which cannot be undone.{back}"
                ),
            }
        }
        // No plan of that kind is accepted that recycles.
        (_, Retention::Tombstone) => {
            "Each original gives its cycles to the new canister and becomes a tombstone, which \
                                      cannot be undone."
                .to_owned()
        }
        (_, Retention::None) => match plan.recycling {
            Some(recycling) => format!("Each original {}", recycled(plan, recycling)),
            None => "Each original gives its cycles to the new canister and is DELETED at once, which cannot be undone."
                .to_owned(),
        },
    }
}

/// Its danger is that whoever still uses the id meets somebody else.
fn recycled(plan: &Plan, recycling: Recycling) -> String {
    format!(
        "gives what it has above {} cycles to the new canister and is EMPTIED: its code, its state, its logs and its \
         settings are gone, which cannot be undone. It is nobody's for {}. Then ITS ID IS GIVEN TO ANOTHER USER of this \
         plan: whoever or whatever still uses that id meets that user's canister, be it a client, a follower, a ledger account, \
         a canister that the original controls, or a key that the platform derives for the id; and no index leads anybody from \
         there to the new canister any more. No more canisters are created than {} at a time need, and the others wait for \
         originals to come back: at best {} a round of {}.",
        cycles_exactly(plan.cycles_per_target),
        span(recycling.quarantine_seconds),
        plan.max_in_flight,
        span(round_seconds(plan, recycling)),
        plan.max_in_flight,
    )
}

/// Seconds until the originals of a round serve the next one, the jobs themselves not counted.
fn round_seconds(plan: &Plan, recycling: Recycling) -> u64 {
    let kept = match plan.retention {
        Retention::Frozen { seconds } => seconds,
        Retention::Tombstone | Retention::None => 0,
    };
    kept.saturating_add(recycling.quarantine_seconds)
}
