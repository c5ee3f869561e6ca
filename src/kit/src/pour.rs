//! Which pages of an image go where in its compact one, in slices that a call can carry.

use decant_layout::CopyRun;

#[cfg(test)]
mod tests;

/// Pages of a slice: 1,966,080 bytes. Any size up to 8 MB costs the same a byte, as measured on a real server; this one
/// keeps many of them on the heap at a time.
pub(crate) const SLICE_PAGES: u64 = 30;

/// Pages that follow each other in both images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The first one in the image.
    pub(crate) source_page: u64,
    /// How many.
    pub(crate) pages: u64,
}

/// Pages that follow each other in the compact image: what one call writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// The first one.
    pub(crate) target_page: u64,
    /// Where they come from, in order.
    pub(crate) pieces: Vec<Piece>,
}

impl Slice {
    /// How many.
    pub(crate) fn pages(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.pages).sum()
    }

    /// The page after the last one.
    pub(crate) fn end_page(&self) -> u64 {
        self.target_page + self.pages()
    }

    fn push(&mut self, source_page: u64) {
        match self.pieces.last_mut() {
            Some(piece) if piece.source_page + piece.pages == source_page => piece.pages += 1,
            _ => self.pieces.push(Piece { source_page, pages: 1 }),
        }
    }
}

/// The slices from a page of the compact image on, as many as `limit` at most: every page that is not zero once, and no
/// other; as few slices as the pages' places allow. Fewer than `limit` are the last ones.
///
/// `copies` ascend in the compact image, as [`decant_layout::copies`] into a planned layout do. `is_zero(memory, page)`
/// tells of a page of a virtual memory whether it holds nothing: a snapshot that was uploaded is zeros.
pub(crate) fn slices(
    copies: impl Iterator<Item = CopyRun>,
    from_page: u64,
    limit: usize,
    mut is_zero: impl FnMut(u8, u64) -> bool,
) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for run in copies {
        for step in from_page.saturating_sub(run.target_page)..run.length_pages {
            if is_zero(run.memory, run.virtual_page + step) {
                continue;
            }
            let (source_page, target_page) = (run.source_page + step, run.target_page + step);
            let is_enough = slices.len() == limit;
            match slices.last_mut() {
                Some(last) if last.end_page() == target_page && last.pages() < SLICE_PAGES => {
                    last.push(source_page);
                }
                _ if is_enough => return slices,
                _ => slices.push(Slice { target_page, pieces: vec![Piece { source_page, pages: 1 }] }),
            }
        }
    }
    slices
}
