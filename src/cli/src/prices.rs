//! What memory costs on a subnet: enough to tell whether giving it back pays.

use anyhow::{Context, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Nodes of the subnet that the price list is made for (dfinity/ic, `DEFAULT_REFERENCE_SUBNET_SIZE`).
const REFERENCE_NODES: u32 = 13;
/// Most nodes that a subnet of the mainnet has had, with room.
const MAX_NODES: u32 = 200;
const SECONDS_A_YEAR: f64 = 365.25 * 86_400.0;
const GIB: f64 = (1_u64 << 30) as f64;

/// Which prices, and how many nodes.
#[derive(Debug, Clone, Args)]
pub struct PriceOptions {
    /// Prices of this year, 2025 or 2026, or a JSON file with the fields that --json prints as `prices`.
    #[arg(long, value_name = "YEAR|FILE", default_value = "2026")]
    prices: String,
    /// Nodes of the subnet, by which all prices grow: 13, or what the file says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_NODES as i64))]
    nodes: Option<u32>,
}

/// Prices in cycles, for 13 nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriceList {
    /// Where they are from.
    pub name: String,
    /// A GiB of memory for a second.
    pub gib_second: u64,
    /// A canister that holds anything, for a second.
    pub canister_second: u64,
}

/// A price list, on a subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prices {
    /// The list.
    #[serde(flatten)]
    pub list: PriceList,
    /// Nodes of the subnet.
    pub nodes: u32,
}

/// Prices as a file has them: what --json prints as `prices`, or by hand and without the nodes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    gib_second: u64,
    canister_second: u64,
    nodes: Option<u32>,
}

impl PriceOptions {
    /// The prices that were asked for.
    ///
    /// # Errors
    /// A file can't be read, or is no price list.
    pub fn read(&self) -> anyhow::Result<Prices> {
        let mut prices = match self.prices.as_str() {
            "2025" => PriceList::of_2025().on(REFERENCE_NODES),
            "2026" => PriceList::of_2026().on(REFERENCE_NODES),
            file => read_file(&PathBuf::from(file))?,
        };
        prices.nodes = self.nodes.unwrap_or(prices.nodes);
        Ok(prices)
    }
}

impl PriceList {
    /// Those of 2025: 127,000 cycles a GiB and second (developer documentation, "Cycle costs").
    pub fn of_2025() -> Self {
        Self { name: "2025".to_owned(), gib_second: 127_000, canister_second: 0 }
    }

    /// Those of 2026: 317,500 cycles a GiB and second, and 10,000 cycles a second for every canister that holds anything
    /// (dfinity/ic #10292).
    pub fn of_2026() -> Self {
        Self { name: "2026".to_owned(), gib_second: 317_500, canister_second: 10_000 }
    }
}

impl PriceList {
    fn on(self, nodes: u32) -> Prices {
        Prices { list: self, nodes }
    }
}

impl Prices {
    /// What memory of so many bytes costs a year.
    pub fn storage_a_year(&self, bytes: u64) -> f64 {
        self.a_year(self.list.gib_second) * (bytes as f64 / GIB)
    }

    /// What a canister costs a year, whatever it holds.
    pub fn canister_a_year(&self) -> f64 {
        self.a_year(self.list.canister_second)
    }

    /// What costs so many cycles on 13 nodes.
    pub fn of_nodes(&self, cycles: f64) -> f64 {
        cycles * f64::from(self.nodes) / f64::from(REFERENCE_NODES)
    }

    fn a_year(&self, cycles_a_second: u64) -> f64 {
        self.of_nodes(cycles_a_second as f64 * SECONDS_A_YEAR)
    }
}

fn read_file(path: &Path) -> anyhow::Result<Prices> {
    let text = std::fs::read(path)
        .with_context(|| format!("--prices: {} is neither 2025, 2026 nor a file", path.display()))?;
    let Written { name, gib_second, canister_second, nodes } =
        serde_json::from_slice(&text).with_context(|| {
            format!(
                "--prices: {} is no price list: it has name, gib_second and canister_second, and may have nodes",
                path.display()
            )
        })?;
    ensure!(gib_second > 0, "--prices: {}: gib_second is 0, so nothing would be saved", path.display());
    let nodes = nodes.unwrap_or(REFERENCE_NODES);
    ensure!(
        (1..=MAX_NODES).contains(&nodes),
        "--prices: {}: nodes is {nodes} and must be from 1 to {MAX_NODES}",
        path.display()
    );
    Ok(PriceList { name, gib_second, canister_second }.on(nodes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_mebibytes_cost_78_billion_cycles_a_year_at_the_prices_of_2026_and_more_on_more_nodes() {
        let on = |nodes| Prices { list: PriceList::of_2026(), nodes };
        let cycles = on(13).storage_a_year(8 << 20);
        assert!((78.0e9..78.5e9).contains(&cycles), "{cycles}");
        assert!((on(26).storage_a_year(8 << 20) / cycles - 2.0).abs() < 1e-9);
        let base = on(13).canister_a_year();
        assert!((315.0e9..316.0e9).contains(&base), "{base}");
    }
}
