//! What lies behind the last bucket.

use crate::contents::{SIGN_BYTES, Sign, Structure};
use crate::zeros::is_zero;
use crate::{Layout, PAGE_BYTES};
use std::fmt;
use std::ops::Range;

/// Pages read at a time: 1 MiB.
const SLICE_PAGES: u64 = 16;
/// Pages that are asked for at a time at most: 4 GiB less a page, which fits the memory of wasm32.
const MAX_SLICE_PAGES: u64 = (1 << 16) - 1;
/// Bucket sizes in pages that earlier managers had in the field, the largest first; all are multiples of the last.
const EARLIER_BUCKET_PAGES: [u16; 5] = [1_024, 128, 64, 32, 16];
/// Bucket size whose borders are looked at first: the default.
const DEFAULT_BUCKET_PAGES: u64 = 128;
/// Borders that are looked at of each of the two sizes.
const BORDERS: usize = 24;
/// Signs that are kept.
const MAX_SIGNS: usize = 8;

/// What lies behind the last bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// Nothing, or zeros: no tail.
    Nothing,
    /// Something.
    InUse(Leftover),
}

/// Pages behind the last bucket that are not all zero. Left over, or alive: the bytes do not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// All pages behind the last bucket.
    pub pages: Range<u64>,
    /// The first one that is not zero.
    pub first_page_in_use: u64,
    /// Structures that begin among these pages, as far as was looked.
    pub signs: Vec<Sign>,
    /// The bucket size of an earlier manager that would leave exactly such pages behind when it is set up anew with
    /// smaller buckets: it fits the size of stable memory and a sign.
    pub earlier_bucket_pages: Option<u16>,
}

impl Leftover {
    /// How many pages.
    pub fn size_pages(&self) -> u64 {
        self.pages.end - self.pages.start
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The figures first: a reason may be cut.
        write!(formatter, "page {} is not zero and lies behind the last bucket", self.first_page_in_use)?;
        for (index, sign) in self.signs.iter().enumerate() {
            write!(formatter, "{}{sign}", if index == 0 { " (" } else { ", " })?;
        }
        formatter.write_str(if self.signs.is_empty() { "" } else { ")" })?;
        write!(
            formatter,
            ", among {} pages, {} to {}, that belong to no virtual memory",
            self.size_pages(),
            self.pages.start,
            self.pages.end - 1
        )?;
        if let Some(bucket_pages) = self.earlier_bucket_pages {
            write!(
                formatter,
                "; a MemoryManager with buckets of {bucket_pages} pages, set up anew since, would leave them so"
            )?;
        }
        formatter.write_str(
            ". They are what an earlier manager or a larger raw image left, or what the canister keeps there by page number: \
             only its code tells (RestrictedMemory, stable_write)",
        )
    }
}

impl Layout {
    /// What lies behind the last bucket. `read(offset_bytes, buffer)` reads the image.
    ///
    /// # Errors
    /// What `read` says.
    pub fn tail<E>(&self, mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>) -> Result<Tail, E> {
        let mut scan = TailScan::new(self);
        loop {
            if let Some(tail) = scan.run(SLICE_PAGES, &mut read, || true)? {
                return Ok(tail);
            }
        }
    }
}

/// A look at what lies behind the last bucket: resumable, and without input or output of its own, so that a canister
/// can do it in slices and a coordinator through calls.
///
/// It reads on until it finds a page that is not zero, then the first bytes of some fifty places where a structure
/// may begin. Zeros are read to the end.
#[derive(Debug, Clone)]
pub struct TailScan {
    pages: Range<u64>,
    /// The page before the first bucket.
    manager_page: u64,
    bucket_size_pages: u16,
    /// Zero so far: the next page.
    next_page: u64,
    first_page_in_use: Option<u64>,
    /// Pages at which a structure may begin, the next one last.
    places: Vec<u64>,
    signs: Vec<Sign>,
    /// Whether pages were skipped on the way to the places.
    is_skipped: bool,
}

impl TailScan {
    /// Nothing looked at yet.
    pub fn new(layout: &Layout) -> Self {
        let begin = layout.buckets_end_pages().min(layout.stable_size_pages());
        Self {
            pages: begin..layout.stable_size_pages(),
            manager_page: layout.manager_page().into(),
            bucket_size_pages: layout.bucket_size_pages(),
            next_page: begin,
            first_page_in_use: None,
            places: Vec::new(),
            signs: Vec::new(),
            is_skipped: false,
        }
    }

    /// Reads no more pages, though all were zero so far: only places behind them at which a structure may begin.
    pub fn skip_to_signs(&mut self) {
        if self.first_page_in_use.is_none() && self.next_page < self.pages.end {
            self.first_page_in_use = Some(self.next_page);
            self.places = self.places_from(self.next_page);
            self.is_skipped = true;
        }
    }

    /// Pages whose first bytes [`wants`](TailScan::wants) asks for from now on, for whoever reads several at a time.
    pub fn places(&self) -> impl Iterator<Item = u64> {
        self.places.iter().rev().copied()
    }

    /// Offset and length in bytes of what to read next, at most `max_pages` (0 counts as 1); `None` at the end.
    pub fn wants(&self, max_pages: u64) -> Option<(u64, usize)> {
        if self.first_page_in_use.is_some() {
            return self.places.last().map(|page| (page * PAGE_BYTES, SIGN_BYTES));
        }
        let pages = (self.pages.end - self.next_page).min(max_pages.clamp(1, MAX_SLICE_PAGES));
        (pages > 0).then_some((self.next_page * PAGE_BYTES, (pages * PAGE_BYTES) as usize))
    }

    /// Takes what was read from the offset of [`wants`](TailScan::wants) on: whole pages, or the bytes of one place.
    pub fn saw(&mut self, bytes: &[u8]) {
        if self.first_page_in_use.is_some() {
            if let (Some(page), Some(structure)) = (self.places.pop(), Structure::of(bytes))
                && self.signs.len() < MAX_SIGNS
            {
                self.signs.push(Sign { page, structure });
            }
            return;
        }
        // What is no whole page was not seen.
        let (pages, _) = bytes.as_chunks::<{ PAGE_BYTES as usize }>();
        for page in pages.iter().take((self.pages.end - self.next_page) as usize) {
            if !is_zero(page) {
                self.first_page_in_use = Some(self.next_page);
                self.places = self.places_from(self.next_page);
                return;
            }
            self.next_page += 1;
        }
    }

    /// What is there, once all was looked at; never [`Tail::Nothing`] where pages were skipped.
    pub fn tail(&self) -> Option<Tail> {
        match self.first_page_in_use {
            None if self.next_page < self.pages.end => None,
            None => Some(Tail::Nothing),
            Some(_) if !self.places.is_empty() => None,
            Some(_) if self.is_skipped && self.signs.is_empty() => None,
            Some(page) => Some(Tail::InUse(Leftover {
                pages: self.pages.clone(),
                first_page_in_use: self
                    .signs
                    .first()
                    .filter(|_| self.is_skipped)
                    .map_or(page, |sign| sign.page),
                signs: self.signs.clone(),
                earlier_bucket_pages: self.earlier_bucket_pages(),
            })),
        }
    }

    /// Looks, with a buffer of `slice_pages`, until all is looked at or `may_continue` says no; it is asked after each
    /// read. `read(offset_bytes, buffer)` reads the image.
    ///
    /// # Errors
    /// What `read` says.
    pub fn run<E>(
        &mut self,
        slice_pages: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
        mut may_continue: impl FnMut() -> bool,
    ) -> Result<Option<Tail>, E> {
        let mut buffer = Vec::new();
        while let Some((offset_bytes, length)) = self.wants(slice_pages) {
            buffer.resize(length, 0);
            read(offset_bytes, &mut buffer)?;
            self.saw(&buffer);
            if !may_continue() {
                break;
            }
        }
        Ok(self.tail())
    }

    /// Pages from the first one in use on at which a structure may begin: that one, and borders of buckets of 128 and of
    /// 16 pages. The last first.
    fn places_from(&self, page: u64) -> Vec<u64> {
        let first_bucket = self.manager_page + 1;
        let borders = |bucket_pages: u64| {
            let index = (page - first_bucket).div_ceil(bucket_pages);
            let next = first_bucket + index * bucket_pages;
            (next..self.pages.end).step_by(bucket_pages as usize).take(BORDERS)
        };
        let smallest = EARLIER_BUCKET_PAGES.last().copied().map_or(DEFAULT_BUCKET_PAGES, u64::from);
        let mut places: Vec<u64> =
            [page].into_iter().chain(borders(DEFAULT_BUCKET_PAGES)).chain(borders(smallest)).collect();
        places.sort_unstable_by(|left, right| right.cmp(left));
        places.dedup();
        places
    }

    fn earlier_bucket_pages(&self) -> Option<u16> {
        let first_bucket = self.manager_page + 1;
        EARLIER_BUCKET_PAGES.into_iter().filter(|&pages| pages > self.bucket_size_pages).find(|&pages| {
            let is_border = |page: u64| (page - first_bucket).is_multiple_of(u64::from(pages));
            is_border(self.pages.end) && self.signs.iter().any(|sign| is_border(sign.page))
        })
    }
}
