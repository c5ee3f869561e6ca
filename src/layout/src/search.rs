//! Where managers begin.

use crate::contents::SIGN_BYTES;
use crate::{HEADER_BYTES, Layout, Obstacle, PAGE_BYTES, Structure};

/// Pages of which every one is looked at, besides page 0. In the field managers begin at page 1 (Internet Identity, ICRC archives), 48
/// (Orbit) and 32,768 (a variant of the ICP ledger): small numbers and powers of two.
const NEAR_PAGES: u32 = 256;
/// Managers that are kept: there is one, or two side by side. More are no managers.
const MAX_FOUND: usize = 8;

/// Pages of a stable memory of `size_pages` at which a manager may begin, ascending: those that [`find_managers`] looks at, for
/// whoever reads them by calls. [`Structure::of`] tells by the first four bytes whether one does.
pub fn manager_places(size_pages: u64) -> impl Iterator<Item = u32> {
    let powers = (NEAR_PAGES.ilog2() + 1..u32::BITS).map(|exponent| 1 << exponent);
    (0..=NEAR_PAGES).chain(powers).take_while(move |page| u64::from(*page) < size_pages)
}

/// Whether a manager that begins, or is said to begin, at `manager_page` is not in a memory of another one: those that begin
/// at the [`manager_places`] before it. Canisters and the command ask this for every manager that is not at page 0.
/// `read(offset_bytes, buffer)` reads a stable memory of `size_pages`.
///
/// # Errors
/// What `read` says; within, [`Obstacle::Inside`].
pub fn check_place<E>(
    manager_page: u32,
    size_pages: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<Result<(), Obstacle>, E> {
    for page in manager_places(size_pages.min(manager_page.into())) {
        if let Some(other) = manager_at(page, size_pages, &mut read)?
            && let Err(inside) = other.check_apart(manager_page)
        {
            return Ok(Err(inside));
        }
    }
    Ok(Ok(()))
}

/// The manager that begins at a page, if one does.
fn manager_at<E>(
    page: u32,
    size_pages: u64,
    read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<Option<Layout>, E> {
    let offset_bytes = u64::from(page) * PAGE_BYTES;
    let mut sign = [0; SIGN_BYTES];
    read(offset_bytes, &mut sign)?;
    if Structure::of(&sign) != Some(Structure::Manager) {
        return Ok(None);
    }
    let mut header = vec![0; HEADER_BYTES];
    read(offset_bytes, &mut header)?;
    Ok(Layout::parse_at(page, &header, size_pages).ok())
}

/// Finds managers, in ascending order and not within each other: at pages 0 to 256, and at powers of two above. `read(offset_bytes, buffer)` reads a stable memory of `size_pages`: four bytes a place.
///
/// Bytes may look so by accident, or be left over: whoever knows the canister's code must say whether they are right.
///
/// # Errors
/// What `read` says.
pub fn find_managers<E>(
    size_pages: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<Vec<Layout>, E> {
    let mut found: Vec<Layout> = Vec::new();
    for page in manager_places(size_pages) {
        if found.len() == MAX_FOUND {
            break;
        }
        // What is inside of one is its memories' business.
        if found.last().is_some_and(|before| u64::from(page) < before.buckets_end_pages()) {
            continue;
        }
        found.extend(manager_at(page, size_pages, &mut read)?);
    }
    Ok(found)
}
