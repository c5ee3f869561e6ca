//! What a team does without snapshots: the canister is upgraded to code that hands its state out in pieces, which are fetched
//! by queries; it is installed anew, takes the state in pieces by messages, and is upgraded to its own code. What makes the image
//! compact on the way is the person's machine. There is no way back but those bytes.

use crate::by_hand::{Person, SLICE_BYTES, Taken};
use anyhow::{Context, anyhow};
use candid::Principal;
use decant_cli::rehearsal::world::World;
use decant_layout::{Layout, PAGE_BYTES, copies};
use pocket_ic::CanisterInstallMode;

fn get(person: &mut Person<'_>, from: u64, size: u64) -> anyhow::Result<Vec<u8>> {
    let mut all = Vec::new();
    while (all.len() as u64) < size {
        let done = all.len() as u64;
        let argument = [(from + done).to_le_bytes(), SLICE_BYTES.min(size - done).to_le_bytes()].concat();
        let (pic, operator) = (&person.world.pic, person.world.operator);
        let piece = pic.query_call(person.canister, operator, "get_state", argument.clone());
        let piece = piece.map_err(|error| anyhow!("get_state: {error}"))?;
        person.count(1, argument.len() + piece.len());
        all.extend(piece);
    }
    Ok(all)
}

/// Gives back what a canister, which runs this module, holds and does not use.
///
/// # Errors
/// A message that is refused, or an image that is none of a `MemoryManager`.
pub(crate) fn give_back(world: &World, canister: Principal, own: &[u8]) -> anyhow::Result<Taken> {
    let carrying = wat::parse_str(include_str!("export.wat")).context("export.wat")?;
    let mut person = Person::new(world, canister);
    person.install(&carrying, CanisterInstallMode::Upgrade(None))?;
    let size_pages = world.pic.get_stable_memory(canister).len() as u64 / PAGE_BYTES;
    let source = Layout::parse(&get(&mut person, 0, PAGE_BYTES)?, size_pages)?;
    let target = source.compact(1)?;
    let mut image = vec![0; usize::try_from(target.stable_size_pages() * PAGE_BYTES)?];
    let header = target.header_page();
    image[..header.len()].copy_from_slice(&header);
    for run in copies(&source, &target)? {
        let bytes = get(&mut person, run.source_page * PAGE_BYTES, run.length_pages * PAGE_BYTES)?;
        let at = usize::try_from(run.target_page * PAGE_BYTES)?;
        image[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    person.install(&carrying, CanisterInstallMode::Reinstall)?;
    for (number, piece) in (0_u64..).zip(image.chunks(usize::try_from(SLICE_BYTES)?)) {
        let argument = [&(number * SLICE_BYTES).to_le_bytes(), piece].concat();
        person.send(canister, "set_state", argument)?;
    }
    person.install(own, CanisterInstallMode::Upgrade(None))?;
    person.taken.waited_rounds = person.taken.rounds;
    Ok(person.taken)
}
