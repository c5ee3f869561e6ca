//! The fleet that is planned for: a table that somebody exported, or what `decant inspect --json` printed.

use anyhow::{Context, bail, ensure};
use decant_layout::PAGE_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// Rows that are read at most.
const MAX_CANISTERS: usize = 1_000_000;
/// Largest stable memory: 500 GiB (specification, "Stable memory").
const MAX_STABLE_BYTES: u64 = 500 << 30;

/// A canister, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canister {
    /// Its id or name.
    pub canister: String,
    /// Its stable memory.
    pub stable_bytes: u64,
    /// Of it in use by virtual memories.
    pub used_bytes: u64,
}

/// The rows that could be read, and what is wrong with the others.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// What can be planned for.
    pub canisters: Vec<Canister>,
    /// Rows that are left out, in words.
    pub left_out: Vec<String>,
}

impl Canister {
    /// Bytes of stable memory in buckets of one page, at most what there is now.
    pub fn compact_bytes(&self) -> u64 {
        (self.used_bytes.next_multiple_of(PAGE_BYTES) + PAGE_BYTES).min(self.stable_bytes)
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
        Ok(())
    }
}

/// Reads a fleet: JSON if it begins so, otherwise CSV with the columns canister, stable_bytes and used_bytes.
///
/// # Errors
/// The file can't be read, or is neither. A row that is wrong is left out and named.
pub fn read(path: &Path) -> anyhow::Result<Fleet> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let fleet = if bytes.trim_ascii_start().starts_with(b"{") { of_json(&bytes) } else { of_csv(&bytes) };
    let fleet = fleet.with_context(|| path.display().to_string())?;
    ensure!(
        !fleet.canisters.is_empty() || !fleet.left_out.is_empty(),
        "{}: there is no canister in it",
        path.display()
    );
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
    for column in ["canister", "stable_bytes", "used_bytes"] {
        ensure!(
            headers.iter().any(|header| header == column),
            "there is no column {column}: the first line names the columns canister, stable_bytes and used_bytes"
        );
    }
    let mut fleet = Fleet::default();
    for record in reader.records().take(MAX_CANISTERS + 1) {
        let row = record.map_err(anyhow::Error::from).and_then(|record| {
            let line = record.position().map_or(0, csv::Position::line);
            let row: anyhow::Result<Canister> = record
                .deserialize(Some(&headers))
                .map_err(|error| anyhow::anyhow!("{}", plainly(&error)))
                .and_then(|canister: Canister| canister.check().map(|()| canister));
            row.with_context(|| format!("line {line}"))
        });
        fleet.add(row);
    }
    Ok(fleet)
}

/// What is wrong with a row, without the position, which is said already.
fn plainly(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
        _ => error.to_string(),
    }
}

fn of_json(bytes: &[u8]) -> anyhow::Result<Fleet> {
    let value: Value = serde_json::from_slice(bytes).context("it is no JSON")?;
    if value["schema"] != crate::inspect::SCHEMA {
        bail!("it is not what `decant inspect --json` prints, {}", crate::inspect::SCHEMA);
    }
    let mut fleet = Fleet::default();
    for image in value["images"].as_array().into_iter().flatten() {
        fleet.add(of_image(image));
    }
    Ok(fleet)
}

fn of_image(image: &Value) -> anyhow::Result<Canister> {
    let name = image["input"].as_str().unwrap_or_default().to_owned();
    let managers = image["managers"].as_array().map_or(&[][..], Vec::as_slice);
    let [manager] = managers else {
        bail!("{name}: there is not exactly one MemoryManager in it, so there are no buckets to repack");
    };
    if let Some(obstacle) = manager["obstacle"].as_str() {
        bail!("{name}: a repack refuses it: {obstacle}");
    }
    let pages = |field: &str| manager[field].as_u64().with_context(|| format!("{name}: {field} is missing"));
    let canister = Canister {
        stable_bytes: image["stable_bytes"]
            .as_u64()
            .with_context(|| format!("{name}: stable_bytes is missing"))?,
        used_bytes: (pages("page")? + pages("used_pages")?) * PAGE_BYTES,
        canister: name,
    };
    canister.check().with_context(|| canister.canister.clone())?;
    Ok(canister)
}

impl Fleet {
    fn add(&mut self, row: anyhow::Result<Canister>) {
        match row {
            Ok(canister) => self.canisters.push(canister),
            Err(error) => self.left_out.push(format!("{error:#}")),
        }
    }
}
