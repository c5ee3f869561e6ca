//! Many images together.

use super::image::{Found, Inspected};
use crate::text;
use serde::Serialize;
use std::fmt::{self, Formatter};

/// Upper bounds of the classes of a histogram, in bytes; what is larger is in one more.
const CLASSES_BYTES: [u64; 6] = [0, 1 << 20, 8 << 20, 64 << 20, 512 << 20, 4 << 30];
/// Columns of the longest bar.
const BAR_COLUMNS: usize = 40;
/// Columns of a name.
const NAME_COLUMNS: usize = 40;

/// What a fleet holds and would give back.
#[derive(Debug, Clone, Serialize)]
pub struct Fleet {
    /// Images that were read.
    pub images: usize,
    /// Their stable memory.
    pub stable_bytes: u64,
    /// Of it in use.
    pub used_bytes: u64,
    /// Images that a repack can take, and that give something back.
    pub repackable: usize,
    /// What those give back.
    pub freed_bytes: u64,
    /// What that costs a year now.
    pub saved_cycles_a_year: f64,
    /// How many give back how much.
    pub histogram: Vec<Class>,
}

/// Images that give back at most so much, and more than the class before.
#[derive(Debug, Clone, Serialize)]
pub struct Class {
    /// Bytes; nothing for all that is larger.
    pub up_to_bytes: Option<u64>,
    /// Images.
    pub images: usize,
}

impl Fleet {
    /// Of these images.
    pub fn of(images: &[Inspected]) -> Self {
        let mut fleet = Self {
            images: images.len(),
            stable_bytes: 0,
            used_bytes: 0,
            repackable: 0,
            freed_bytes: 0,
            saved_cycles_a_year: 0.0,
            histogram: histogram(&CLASSES_BYTES, images.iter().map(freed_bytes)),
        };
        for image in images {
            fleet.add(image);
        }
        fleet
    }

    fn add(&mut self, image: &Inspected) {
        self.stable_bytes += image.stable_bytes;
        self.used_bytes += image.used_bytes();
        self.freed_bytes += freed_bytes(image);
        if let Some(repacked) = image.repackable() {
            self.repackable += 1;
            self.saved_cycles_a_year += repacked.saved_cycles_a_year;
        }
    }
}

/// What comes back of an image that a repack can take.
fn freed_bytes(image: &Inspected) -> u64 {
    image.repackable().map_or(0, |repacked| repacked.freed_bytes)
}

/// How many give back how much, by these upper bounds, which ascend; what is larger is in one more class.
pub(crate) fn histogram(bounds_bytes: &[u64], freed_bytes: impl Iterator<Item = u64>) -> Vec<Class> {
    let bounds = bounds_bytes.iter().copied().map(Some).chain([None]);
    let mut classes: Vec<Class> = bounds.map(|up_to_bytes| Class { up_to_bytes, images: 0 }).collect();
    for bytes in freed_bytes {
        let class = classes.iter_mut().find(|class| class.up_to_bytes.is_none_or(|most| bytes <= most));
        if let Some(class) = class {
            class.images += 1;
        }
    }
    classes
}

impl Class {
    pub(crate) fn name(&self) -> String {
        match self.up_to_bytes {
            Some(0) => "nothing".to_owned(),
            Some(bytes) => format!("up to {}", text::bytes(bytes)),
            None => "more".to_owned(),
        }
    }
}

/// A line for each image.
pub(super) fn write_lines(f: &mut Formatter<'_>, images: &[Inspected]) -> fmt::Result {
    writeln!(
        f,
        "{:<NAME_COLUMNS$} {:>12} {:>12} {:>12} {:>7}  note",
        "image", "stable", "in use", "gives back", "buckets"
    )?;
    for image in images {
        let repacked = image.repackable();
        let line = format!(
            "{:<NAME_COLUMNS$} {:>12} {:>12} {:>12} {:>7}  {}",
            text::tail_of(&image.input, NAME_COLUMNS),
            text::bytes(image.stable_bytes),
            text::bytes(image.used_bytes()),
            text::bytes(repacked.map_or(0, |it| it.freed_bytes)),
            repacked.map_or(String::new(), |it| it.bucket_pages.to_string()),
            note(image)
        );
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Why nothing comes back, or at which page the manager begins if not at the first, in a word.
fn note(image: &Inspected) -> String {
    let word = match &image.found {
        Found::Empty => "empty",
        Found::Raw { .. } => "raw",
        Found::Damaged { .. } => "damaged",
        Found::Managed { managers } => match managers.as_slice() {
            [manager] if manager.obstacle.is_some() => "refused",
            [manager] if image.repackable().is_none() && manager.repacked.is_some() => "compact",
            [manager] if manager.page > 0 => return format!("page {}", manager.page),
            [_] => "",
            _ => "several",
        },
    };
    word.to_owned()
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} images, {}, of which {} are in use",
            self.images,
            text::bytes(self.stable_bytes),
            text::bytes(self.used_bytes)
        )?;
        writeln!(
            f,
            "{} of them can be repacked and give back {}, {} cycles a year",
            self.repackable,
            text::bytes(self.freed_bytes),
            text::cycles(self.saved_cycles_a_year)
        )?;
        writeln!(f, "images by what they give back:")?;
        let most = self.histogram.iter().map(|class| class.images).max().unwrap_or(0);
        for class in self.histogram.iter().filter(|class| class.images > 0) {
            let bar = text::bar(class.images as u64, most as u64, BAR_COLUMNS);
            writeln!(f, "  {:>16} {:>7}  {bar}", class.name(), class.images)?;
        }
        Ok(())
    }
}
