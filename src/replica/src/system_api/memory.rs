//! Stable memory: the 64-bit functions, and the 32-bit ones that older CDKs import.

use super::call::{Call, Outcome};
use super::host::{Context, HostError};
use crate::costs::{self, WASM_PAGE_BYTES, limits};
use crate::memory::pages::PAGE_BYTES;
use crate::profile::StableLimits;

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
    touch(call, offset, size)?;
    if size > 0 {
        let region = call.region()?;
        let stable = &call.host().effects.stable;
        region
            .write(target, size as usize, |bytes| stable.read(offset, bytes))
            .ok_or_else(|| call.out_of_heap("dst", target, size))?;
    }
    Ok(0)
}

pub(crate) fn stable64_write(call: &mut Call<'_>) -> Outcome {
    let [offset, source, size, ..] = call.args;
    if !call.host().effects.stable.contains(offset, size) {
        return Err(OUT_OF_BOUNDS);
    }
    touch(call, offset, size)?;
    let dirty = call.host().effects.stable.newly_dirty(offset, size);
    let limit = stable_limit(call);
    if call.host().effects.stable.dirty_pages() + dirty > limit / PAGE_BYTES as u64 {
        return Err(too_much(call, "modified", ""));
    }
    call.charge(dirty * costs::instructions::DIRTY_PAGE)?;
    if size > 0 {
        let region = call.region()?;
        let stable = &mut call.host().effects.stable;
        region
            .read(source, size as usize, |bytes| stable.write(offset, bytes))
            .ok_or_else(|| call.out_of_heap("src", source, size))?;
    }
    Ok(0)
}

/// Counts the pages that the message touches, until they are too many (docs, "Resource limits": stable memory
/// read and written per message).
fn touch(call: &mut Call<'_>, offset: u64, size: u64) -> Result<(), HostError> {
    let limit = stable_limit(call);
    if call.host().effects.stable.touch(offset, size) > limit / PAGE_BYTES as u64 {
        return Err(too_much(call, "accessed", " message"));
    }
    Ok(())
}

/// Bytes that the message may touch, and that it may write.
fn stable_limit(call: &mut Call<'_>) -> u64 {
    let env = &call.host().env;
    env.profile.stable.of(env.context)
}

/// In the platform's words, which name all limits and not the one that holds.
fn too_much(call: &mut Call<'_>, verb: &str, message: &str) -> HostError {
    let StableLimits { message: of_message, install, query } = call.host().env.profile.stable;
    HostError::StableAccess(format!(
        "Exceeded the limit for the number of {verb} pages in the stable memory in a single{message} execution: \
         limit {} KB for regular messages, {} KB for upgrade messages and {} KB for queries.",
        of_message / 1024,
        install / 1024,
        query / 1024
    ))
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
