//! One image, in words that fit 100 columns.

use super::image::{Found, Inspected, Manager, Memory, Repacked};
use crate::text;
use std::fmt::{self, Formatter};

/// Columns of a line at most.
const COLUMNS: usize = 100;

impl fmt::Display for Inspected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", text::tail_of(&self.input, COLUMNS))?;
        match &self.found {
            Found::Empty => writeln!(f, "  stable memory is empty"),
            Found::Raw { structure } => {
                let size = text::bytes(self.stable_bytes);
                let begins =
                    structure.as_ref().map_or(String::new(), |name| format!(", begins with a {name}"));
                writeln!(
                    f,
                    "  raw: {size}{begins}. No MemoryManager was found, so there are no buckets to repack"
                )
            }
            Found::Damaged { reason } => {
                let size = text::bytes(self.stable_bytes);
                writeln!(f, "  {size} that begin as a MemoryManager does and are none that can be read:")?;
                wrapped(f, reason)?;
                wrapped(f, "They may be other data: leave a canister that serves well as it is.")
            }
            Found::Managed { managers } => {
                for manager in managers {
                    write_manager(f, self.stable_bytes, manager)?;
                }
                if managers.len() > 1 {
                    wrapped(
                        f,
                        "More than one manager: only the canister's code tells which of them are alive.",
                    )?;
                }
                Ok(())
            }
        }
    }
}

fn write_manager(f: &mut Formatter<'_>, stable_bytes: u64, manager: &Manager) -> fmt::Result {
    writeln!(
        f,
        "  MemoryManager at page {}, buckets of {} pages ({}); stable memory {}",
        manager.page,
        manager.bucket_pages,
        text::bytes(u64::from(manager.bucket_pages) * 65_536),
        text::bytes(stable_bytes)
    )?;
    writeln!(
        f,
        "  {:>6} {:>12} {:>12} {:>12} {:>12}  holds",
        "memory", "used", "allocated", "wasted", "zero"
    )?;
    for memory in &manager.memories {
        writeln!(
            f,
            "  {:>6} {:>12} {:>12} {:>12} {:>12}  {}",
            memory.id,
            memory.used_pages,
            memory.allocated_pages,
            memory.wasted_pages,
            memory.zero_pages,
            holds(memory)
        )?;
    }
    let wasted: u64 = manager.memories.iter().map(|memory| memory.wasted_pages).sum();
    let zero: u64 = manager.memories.iter().map(|memory| memory.zero_pages).sum();
    writeln!(
        f,
        "  {:>6} {:>12} {:>12} {:>12} {:>12}  pages of 64 KiB",
        "all", manager.used_pages, manager.allocated_pages, wasted, zero
    )?;
    write_notes(f, manager)?;
    match &manager.repacked {
        Some(repacked) => write_repacked(f, manager, repacked),
        None => wrapped(f, "No bucket size holds that growth: choose a smaller --growth."),
    }
}

fn holds(memory: &Memory) -> String {
    let structure = memory.structure.as_deref().unwrap_or("");
    match memory.nested_wasted_pages {
        Some(pages) => format!("{structure}, {pages} wasted in it"),
        None => structure.to_owned(),
    }
}

fn write_notes(f: &mut Formatter<'_>, manager: &Manager) -> fmt::Result {
    if manager.page > 0 {
        let kept =
            format!("{} pages before the manager are kept as they are (--manager-page {0})", manager.page);
        wrapped(f, &kept)?;
    }
    if manager.missing_pages > 0 {
        wrapped(
            f,
            &format!("the last bucket is cut short by {} pages, none of them in use", manager.missing_pages),
        )?;
    }
    if let Some(obstacle) = &manager.obstacle {
        wrapped(f, &format!("a repack refuses it: {obstacle}"))?;
    }
    Ok(())
}

fn write_repacked(f: &mut Formatter<'_>, manager: &Manager, repacked: &Repacked) -> fmt::Result {
    if repacked.freed_bytes == 0 {
        return wrapped(f, "Nothing to give back: buckets that hold the growth take as much.");
    }
    let verb = if manager.obstacle.is_some() { "would give" } else { "gives" };
    writeln!(
        f,
        "  in buckets of {} {}: {}; {verb} back {}, {} cycles a year,\n  and leaves room for {} more",
        repacked.bucket_pages,
        if repacked.bucket_pages == 1 { "page" } else { "pages" },
        text::bytes(repacked.stable_bytes),
        text::bytes(repacked.freed_bytes),
        text::cycles(repacked.saved_cycles_a_year),
        text::bytes(repacked.room_pages * 65_536)
    )
}

/// A paragraph, indented.
fn wrapped(f: &mut Formatter<'_>, paragraph: &str) -> fmt::Result {
    text::indented(f, paragraph, 2, COLUMNS)
}
