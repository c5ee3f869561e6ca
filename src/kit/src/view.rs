//! Stable memory by virtual memory, whatever its layout.

use std::convert::Infallible;
use std::ops::Range;

use decant_api::KitError;
use decant_api::source::LayoutSummary;
use decant_layout::{Accepted, ExtendError, Image, Layout, Obstacle, Tail, TailScan, check_place};
use decant_transfer::{DEFAULT_CHUNK_PAGES, Kind, MAX_CHUNK_PAGES, PAGE_BYTES, RAW_MEMORY, Shape, Slicing};

use crate::limits::FINE_STATE_PAGES;
use crate::stable::Stable;

/// Reads of a page or less that a summary may take to look behind the manager: 4 MiB at most.
const SUMMARY_READS: u32 = 64;

/// What somebody who knows the canister's code says of its stable memory.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    /// Where its manager begins.
    pub(crate) manager_page: u32,
    /// What may be left behind.
    pub(crate) accepted: Accepted,
}

/// Where the memories of a shape are in stable memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    shape: Shape,
    /// `None` for raw memory: offsets are as they are.
    layout: Option<Layout>,
    /// What may be left behind.
    accepted: Accepted,
}

impl View {
    /// What stable memory holds now, cut into chunks of a size that follows from its own.
    pub(crate) fn of(stable: &impl Stable) -> Result<Self, KitError> {
        Self::told(stable, Told::default())
    }

    /// The same, by what is told of it.
    pub(crate) fn told(stable: &impl Stable, told: Told) -> Result<Self, KitError> {
        let image = image(stable, told.manager_page)?;
        let size_pages = match &image {
            Image::Managed(layout) => layout.copied_pages(),
            Image::Empty | Image::Raw { .. } => stable.size_pages(),
        };
        let is_fine = size_pages <= FINE_STATE_PAGES;
        let chunk_pages = if is_fine { DEFAULT_CHUNK_PAGES } else { MAX_CHUNK_PAGES };
        Ok(Self { accepted: told.accepted, ..Self::over(image, chunk_pages)? })
    }

    /// What stable memory holds now, cut as a shape is, with a manager where that has one.
    pub(crate) fn like(shape: &Shape, stable: &impl Stable) -> Result<Self, KitError> {
        Self::over(image(stable, manager_page(shape)?)?, shape.chunk_pages())
    }

    /// The same once more.
    pub(crate) fn anew(&self, stable: &impl Stable) -> Result<Self, KitError> {
        Ok(Self { accepted: self.accepted, ..Self::like(&self.shape, stable)? })
    }

    /// Where a shape will be in a compact image; raw memory stays as it is.
    pub(crate) fn planned(shape: Shape, bucket_pages: u16) -> Result<Self, KitError> {
        let layout = match shape.kind() {
            Kind::Raw => None,
            Kind::Managed => {
                let memories = shape.memories().iter().filter(|memory| memory.id != RAW_MEMORY);
                let sizes_pages = memories.map(|memory| (memory.id, memory.size_pages));
                let layout = Layout::planned_at(manager_page(&shape)?, sizes_pages, u32::from(bucket_pages));
                Some(layout.map_err(unreadable)?)
            }
        };
        Ok(Self { shape, layout, accepted: Accepted::default() })
    }

    /// A look at what lies behind the manager, which no memory of the shape has.
    pub(crate) fn tail_scan(&self) -> Option<Box<TailScan>> {
        self.layout.as_ref().map(|layout| Box::new(TailScan::new(layout)))
    }

    /// Looks behind the manager, a chunk at a time.
    ///
    /// # Errors
    /// [`KitError::Layout`] if something is there, or if the heap may know other places than stable memory does: a copy
    /// would not hold all that the dapp has.
    pub(crate) fn look_behind(
        &self,
        scan: &mut TailScan,
        stable: &impl Stable,
        may_continue: impl FnMut() -> bool,
    ) -> Result<Slicing, KitError> {
        let Some(layout) = &self.layout else { return Ok(Slicing::Done) };
        let chunk_pages = self.shape.chunk_pages().into();
        match tail(scan, stable, chunk_pages, may_continue) {
            Some(tail) => {
                verdict(layout, stable, &tail, self.accepted).map(|()| Slicing::Done).map_err(unreadable)
            }
            None => Ok(Slicing::Paused),
        }
    }

    /// Where they are when they have grown and others have come: nothing moves.
    ///
    /// # Errors
    /// [`KitError::Layout`] if the shape is no extension of this one, or doesn't fit.
    pub(crate) fn extended(&self, shape: Shape) -> Result<Self, KitError> {
        // Only so much of it is shown: what to do comes first.
        let not_extended =
            |what: String| KitError::Layout { reason: format!("plan without pre-copy: {what}") };
        let (Some(layout), Kind::Managed) = (&self.layout, shape.kind()) else {
            return Err(not_extended("the manager that was copied is gone".to_owned()));
        };
        let sizes_pages = shape.memories().iter().map(|memory| (memory.id, memory.size_pages));
        let layout = layout.extended(sizes_pages).map_err(|error| match error {
            ExtendError::Shrunk { memory, had_pages, size_pages } => {
                not_extended(format!("memory {memory} has {size_pages} pages, {had_pages} were copied"))
            }
            ExtendError::Plan(error) => unreadable(error),
        })?;
        Ok(Self { shape, layout: Some(layout), accepted: self.accepted })
    }

    /// The memories and how they are cut.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Where they are, unless stable memory is raw.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// Whether pages of a memory are at the same place by another view.
    pub(crate) fn has_in_place(&self, other: &Self, memory: u8, mut pages: Range<u64>) -> bool {
        match (&self.layout, &other.layout) {
            (None, None) => true,
            (Some(here), Some(there)) => pages.all(|page| {
                let place = here.physical_page(memory, page);
                place.is_some() && place == there.physical_page(memory, page)
            }),
            _ => false,
        }
    }

    /// Bytes of a chunk.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        u64::from(self.shape.chunk_pages()) * PAGE_BYTES
    }

    /// Bytes of all memories.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.shape.size_pages() * PAGE_BYTES
    }

    /// Stable memory that the image takes: for a planned view not a page more than needed.
    pub(crate) fn stable_pages(&self) -> u64 {
        self.layout.as_ref().map_or_else(|| self.shape.size_pages(), Layout::stable_size_pages)
    }

    /// The page that makes an image of the rest, and where it is, unless that is raw.
    pub(crate) fn header_page(&self) -> Option<(u64, Vec<u8>)> {
        self.layout.as_ref().map(|layout| (layout.header_offset_bytes(), layout.header_page()))
    }

    /// Reads bytes of a memory.
    pub(crate) fn read(
        &self,
        stable: &impl Stable,
        memory: u8,
        offset_bytes: u64,
        buffer: &mut [u8],
    ) -> Result<(), KitError> {
        match &self.layout {
            Some(layout) => layout
                .read(memory, offset_bytes, buffer, |offset_bytes, part| {
                    stable.read(offset_bytes, part);
                    Ok::<(), Infallible>(())
                })
                .map_err(unreadable),
            None => {
                self.check_raw(memory, offset_bytes, buffer.len())?;
                stable.read(offset_bytes, buffer);
                Ok(())
            }
        }
    }

    /// Writes bytes of a memory.
    pub(crate) fn write(
        &self,
        stable: &mut impl Stable,
        memory: u8,
        offset_bytes: u64,
        bytes: &[u8],
    ) -> Result<(), KitError> {
        match &self.layout {
            Some(layout) => layout
                .write(memory, offset_bytes, bytes, |offset_bytes, part| {
                    stable.write(offset_bytes, part);
                    Ok::<(), Infallible>(())
                })
                .map_err(unreadable),
            None => {
                self.check_raw(memory, offset_bytes, bytes.len())?;
                stable.write(offset_bytes, bytes);
                Ok(())
            }
        }
    }

    fn over(image: Image, chunk_pages: u32) -> Result<Self, KitError> {
        let (shape, layout) = match image {
            Image::Empty => (Shape::raw(0, chunk_pages), None),
            Image::Raw { size_pages } => (Shape::raw(size_pages, chunk_pages), None),
            Image::Managed(layout) => {
                let memories = layout.memories().iter().map(|memory| (memory.id(), memory.size_pages()));
                let before = (RAW_MEMORY, layout.manager_page().into());
                (Shape::managed(memories.chain([before]), chunk_pages), Some(layout))
            }
        };
        Ok(Self { shape: shape.map_err(unreadable)?, layout, accepted: Accepted::default() })
    }

    fn check_raw(&self, memory: u8, offset_bytes: u64, length: usize) -> Result<(), KitError> {
        let size_bytes = self.size_bytes();
        let fits = offset_bytes.checked_add(length as u64).is_some_and(|end_bytes| end_bytes <= size_bytes);
        if memory == RAW_MEMORY && fits {
            return Ok(());
        }
        let reason =
            format!("{length} bytes at offset {offset_bytes} leave memory {memory} of {size_bytes} bytes");
        Err(KitError::Layout { reason })
    }
}

/// The layout in a few words, for everybody to read: what lies behind the manager is looked at as far as that is cheap.
pub(crate) fn summary(stable: &impl Stable, told: Told) -> LayoutSummary {
    match image(stable, told.manager_page) {
        Ok(Image::Empty) => LayoutSummary::Empty,
        Ok(Image::Raw { .. }) => LayoutSummary::Raw,
        Ok(Image::Managed(layout)) => {
            let mut reads = 0;
            let may_continue = || {
                reads += 1;
                reads < SUMMARY_READS
            };
            let tail = tail(&mut TailScan::new(&layout), stable, 1, may_continue).unwrap_or(Tail::Nothing);
            match verdict(&layout, stable, &tail, told.accepted) {
                Ok(()) => LayoutSummary::Managed {
                    bucket_pages: layout.bucket_size_pages(),
                    memories: layout.memories().len() as u16,
                    used_pages: layout.copied_pages(),
                },
                Err(obstacle) => LayoutSummary::Unreadable { reason: obstacle.to_string() },
            }
        }
        Err(error) => LayoutSummary::Unreadable { reason: error.to_string() },
    }
}

/// Whether an image can be moved, once what lies behind its manager was looked at.
fn verdict(layout: &Layout, stable: &impl Stable, tail: &Tail, accepted: Accepted) -> Result<(), Obstacle> {
    let read = |offset_bytes, buffer: &mut [u8]| {
        stable.read(offset_bytes, buffer);
        Ok::<(), Infallible>(())
    };
    let Ok(place) = check_place(layout.manager_page(), stable.size_pages(), read);
    place.and_then(|()| layout.check(tail, accepted))
}

/// What lies behind the manager, once all was looked at.
fn tail(
    scan: &mut TailScan,
    stable: &impl Stable,
    slice_pages: u64,
    may_continue: impl FnMut() -> bool,
) -> Option<Tail> {
    let read = |offset_bytes, buffer: &mut [u8]| {
        stable.read(offset_bytes, buffer);
        Ok::<(), Infallible>(())
    };
    let Ok(tail) = scan.run(slice_pages, read, may_continue);
    tail
}

/// Where the manager of a shape begins.
fn manager_page(shape: &Shape) -> Result<u32, KitError> {
    u32::try_from(shape.prefix_pages()).map_err(unreadable)
}

fn image(stable: &impl Stable, manager_page: u32) -> Result<Image, KitError> {
    let image = Image::read_at(manager_page, stable.size_pages(), |offset_bytes, buffer| {
        stable.read(offset_bytes, buffer);
        Ok::<(), Infallible>(())
    });
    image.map_err(unreadable)
}

fn unreadable(error: impl ToString) -> KitError {
    KitError::Layout { reason: error.to_string() }
}
