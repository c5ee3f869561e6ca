//! Stable memory: the 64-bit functions, and the 32-bit ones that older CDKs import.

use super::call::{Call, Outcome};
use super::host::{Context, HostError};
use crate::costs::{self, WASM_PAGE_BYTES, limits};

const OUT_OF_BOUNDS: HostError = HostError::Trapped("stable memory out of bounds");
/// What `grow` answers when it does not.
const CANNOT_GROW: u64 = u64::MAX;

pub(crate) fn stable64_size(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().effects.stable.size_pages)
}

pub(crate) fn stable64_grow(call: &mut Call<'_>) -> Outcome {
    let additional = call.args[0];
    grow(call, additional, limits::STABLE_PAGES)
}

pub(crate) fn stable64_read(call: &mut Call<'_>) -> Outcome {
    let [target, offset, size, ..] = call.args;
    if !call.host().effects.stable.contains(offset, size) {
        return Err(OUT_OF_BOUNDS);
    }
    let mut bytes = vec![0; size as usize];
    call.host().effects.stable.read(offset, &mut bytes);
    call.store(target, &bytes)?;
    Ok(0)
}

pub(crate) fn stable64_write(call: &mut Call<'_>) -> Outcome {
    let [offset, source, size, ..] = call.args;
    if !call.host().effects.stable.contains(offset, size) {
        return Err(OUT_OF_BOUNDS);
    }
    let dirty = call.host().effects.stable.newly_dirty(offset, size);
    call.charge(dirty * costs::instructions::DIRTY_PAGE)?;
    let bytes = call.load(source, size)?;
    call.host().effects.stable.write(offset, &bytes);
    Ok(0)
}

pub(crate) fn stable_size(call: &mut Call<'_>) -> Outcome {
    check_32_bit(call)?;
    stable64_size(call)
}

pub(crate) fn stable_grow(call: &mut Call<'_>) -> Outcome {
    check_32_bit(call)?;
    let additional = call.args[0];
    grow(call, additional, limits::STABLE32_PAGES)
}

pub(crate) fn stable_read(call: &mut Call<'_>) -> Outcome {
    check_32_bit(call)?;
    stable64_read(call)
}

pub(crate) fn stable_write(call: &mut Call<'_>) -> Outcome {
    check_32_bit(call)?;
    stable64_write(call)
}

/// The 32-bit functions trap where stable memory exceeds 4 GiB (spec, "Stable memory").
fn check_32_bit(call: &mut Call<'_>) -> Result<(), HostError> {
    if call.host().effects.stable.size_pages > limits::STABLE32_PAGES {
        return Err(HostError::Trapped("32 bit stable memory api used on a memory larger than 4GB"));
    }
    Ok(())
}

fn grow(call: &mut Call<'_>, additional: u64, limit: u64) -> Outcome {
    let host = call.host();
    let before = host.effects.stable.size_pages;
    let after = before.checked_add(additional).filter(|after| *after <= limit);
    let Some(after) = after else { return Ok(CANNOT_GROW) };
    if host.env.context != Context::Start {
        host.grow(additional * WASM_PAGE_BYTES)?;
    }
    host.effects.stable.size_pages = after;
    Ok(before)
}
