//! The fleet that is planned for: a table that somebody exported, or what `decant inspect --json` printed.

use crate::text::{plain, some_of};
use anyhow::{Context, anyhow, bail, ensure};
use decant_layout::{MAX_BUCKETS, PAGE_BYTES};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows that are read at most.
const MAX_CANISTERS: usize = 1_000_000;
/// Rows that are named at most where none can be read.
const MOST_NAMED: usize = 3;
/// Largest stable memory: 500 GiB (specification, "Stable memory").
const MAX_STABLE_BYTES: u64 = 500 << 30;
/// Columns that are read.
const COLUMNS: [&str; 3] = ["canister", "stable_bytes", "used_bytes"];

/// A canister, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Canister {
    /// Its id or name.
    pub canister: String,
    /// Its stable memory.
    pub stable_bytes: u64,
    /// Of it in use by virtual memories.
    pub used_bytes: u64,
    /// What comes free, where somebody looked at each memory and chose the buckets.
    pub known_freed_bytes: Option<u64>,
    /// Page at which its manager begins.
    pub manager_page: u64,
}

/// The rows that could be read, and what is wrong with the others.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// What can be planned for.
    pub canisters: Vec<Canister>,
    /// Rows that are left out, in words.
    pub left_out: Vec<String>,
    /// Where a name is.
    places: BTreeMap<String, String>,
}

impl Canister {
    /// Bytes of stable memory in the smallest buckets that hold it, at most what there is now.
    pub fn compact_bytes(&self) -> u64 {
        if let Some(freed_bytes) = self.known_freed_bytes {
            return self.stable_bytes - freed_bytes;
        }
        let used_pages = self.used_bytes.div_ceil(PAGE_BYTES);
        let bucket_pages = used_pages.div_ceil(MAX_BUCKETS).max(1).next_power_of_two();
        let pages = used_pages.next_multiple_of(bucket_pages) + 1;
        (pages * PAGE_BYTES).min(self.stable_bytes)
    }

    /// What comes free.
    pub fn freed_bytes(&self) -> u64 {
        self.stable_bytes - self.compact_bytes()
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.canister.trim().is_empty(), "the canister has no name");
        ensure!(
            self.stable_bytes <= MAX_STABLE_BYTES,
            "stable_bytes is {}, more than a canister can have",
            self.stable_bytes
        );
        ensure!(
            self.used_bytes <= self.stable_bytes,
            "used_bytes is {}, more than stable_bytes, {}",
            self.used_bytes,
            self.stable_bytes
        );
        ensure!(
            self.known_freed_bytes.is_none_or(|freed_bytes| freed_bytes <= self.stable_bytes),
            "more comes free than there is"
        );
        Ok(())
    }
}

/// Reads a fleet: JSON if it begins so, otherwise CSV with the columns canister, stable_bytes and used_bytes.
///
/// # Errors
/// The file can't be read, is neither, or no row of it can be planned for. A row that is wrong is left out and named.
pub fn read(path: &Path) -> anyhow::Result<Fleet> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let fleet = if bytes.trim_ascii_start().starts_with(b"{") { of_json(&bytes) } else { of_csv(&bytes) };
    let fleet = fleet.with_context(|| path.display().to_string())?;
    if fleet.canisters.is_empty() {
        ensure!(!fleet.left_out.is_empty(), "{}: there is no canister in it", path.display());
        let named = some_of(&fleet.left_out, MOST_NAMED, "; ");
        bail!("{}: no row could be read: {named}", path.display());
    }
    ensure!(
        fleet.canisters.len() <= MAX_CANISTERS,
        "{}: more than {MAX_CANISTERS} canisters; plan for a part of them",
        path.display()
    );
    Ok(fleet)
}

fn of_csv(bytes: &[u8]) -> anyhow::Result<Fleet> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let headers = reader.headers().context("the first line is no list of columns")?.clone();
    let mut columns = [0; 3];
    for (position, column) in columns.iter_mut().zip(COLUMNS) {
        *position = headers.iter().position(|header| header == column).with_context(|| {
            format!("there is no column {column}: the first line names the columns canister, stable_bytes and used_bytes")
        })?;
    }
    let mut fleet = Fleet::default();
    let mut lines = Lines { bytes, at: 0, line: 1 };
    for record in reader.records().take(MAX_CANISTERS + 1) {
        let position = match &record {
            Ok(record) => record.position(),
            Err(error) => error.position(),
        };
        let place = format!("line {}", lines.of(position.map_or(0, csv::Position::byte)));
        let name = record.as_ref().ok().and_then(|record| record.get(columns[0])).map(plain);
        let label = match name.filter(|name| !name.is_empty()) {
            Some(name) => format!("{place} ({name})"),
            None => place.clone(),
        };
        let row = record.map_err(anyhow::Error::from).and_then(|record| of_record(&record, columns));
        fleet.add(&label, place, row);
    }
    Ok(fleet)
}

fn of_record(record: &csv::StringRecord, columns: [usize; 3]) -> anyhow::Result<Canister> {
    let number = |column: usize| -> anyhow::Result<u64> {
        let cell = record.get(columns[column]).with_context(|| format!("{} is missing", COLUMNS[column]))?;
        cell.parse().map_err(|_| anyhow!("{} is {cell:?}, not a number of bytes", COLUMNS[column]))
    };
    let canister = Canister {
        canister: plain(record.get(columns[0]).unwrap_or_default()),
        stable_bytes: number(1)?,
        used_bytes: number(2)?,
        known_freed_bytes: None,
        manager_page: 0,
    };
    canister.check().map(|()| canister)
}

/// Lines of a text, as an editor counts them. What `csv` tells is the end of the row before: blank lines and the second half
/// of a line's end are still to come.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the row that begins here, or behind blank lines from here on; later ones only.
    fn of(&mut self, byte: u64) -> usize {
        let from = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(letter) = self.bytes.get(self.at) {
            let is_end = matches!(letter, b'\n' | b'\r');
            if self.at >= from && !is_end {
                break;
            }
            self.at += 1;
            let is_first_half = *letter == b'\r' && self.bytes.get(self.at) == Some(&b'\n');
            self.line += usize::from(is_end && !is_first_half);
        }
        self.line
    }
}

fn of_json(bytes: &[u8]) -> anyhow::Result<Fleet> {
    let value: Value = serde_json::from_slice(bytes).context("it is no JSON")?;
    if value["schema"] != crate::inspect::SCHEMA {
        bail!("it is not what `decant inspect --json` prints, {}", crate::inspect::SCHEMA);
    }
    let mut fleet = Fleet::default();
    let all = |field: &str| value[field].as_array().map_or(&[][..], Vec::as_slice).iter().enumerate();
    for (index, image) in all("images") {
        let name = plain(image["input"].as_str().unwrap_or_default());
        fleet.add(&name, format!("image {}", index + 1), of_image(image, &name));
    }
    for (_, unread) in all("unread") {
        let text = |field: &str| plain(unread[field].as_str().unwrap_or_default());
        fleet.left_out.push(format!("{}: inspect could not read it: {}", text("input"), text("error")));
    }
    Ok(fleet)
}

fn of_image(image: &Value, name: &str) -> anyhow::Result<Canister> {
    let managers = image["managers"].as_array().map_or(&[][..], Vec::as_slice);
    let [manager] = managers else {
        bail!("there is not exactly one MemoryManager in it, so there are no buckets to repack");
    };
    if let Some(obstacle) = manager["obstacle"].as_str() {
        bail!("a repack refuses it: {obstacle}");
    }
    ensure!(
        !manager["repacked"].is_null(),
        "no bucket size holds the growth: inspect with a smaller --growth"
    );
    let number =
        |value: &Value, field: &str| value[field].as_u64().with_context(|| format!("{field} is missing"));
    let manager_page = number(manager, "page")?;
    let pages = manager_page.saturating_add(number(manager, "used_pages")?);
    let canister = Canister {
        canister: name.to_owned(),
        stable_bytes: number(image, "stable_bytes")?,
        used_bytes: pages.saturating_mul(PAGE_BYTES),
        known_freed_bytes: Some(number(&manager["repacked"], "freed_bytes")?),
        manager_page,
    };
    canister.check().map(|()| canister)
}

impl Fleet {
    /// What stands at that place, which is called so where something is wrong with it.
    fn add(&mut self, label: &str, place: String, row: anyhow::Result<Canister>) {
        match row {
            Err(error) => self.left_out.push(format!("{label}: {error:#}")),
            Ok(canister) => match self.places.get(&canister.canister) {
                Some(earlier) => self.left_out.push(format!("{label}: it is in {earlier} already")),
                None => {
                    self.places.insert(canister.canister.clone(), place);
                    self.canisters.push(canister);
                }
            },
        }
    }
}
