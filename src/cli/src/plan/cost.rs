//! What each way of giving memory back costs, and how long it takes.
//!
//! Measured, not derived: rehearsals of the incident's fleet on the embedded replica at the prices of 13 nodes, 2 to 25
//! canisters of 200 KiB and of 6 MiB. A scenario holds them against what a rehearsal measures, within 10 %. What a dapp's own
//! `pre_upgrade` and `post_upgrade` execute is in them as far as the incident's canister executes it (it reads and writes CBOR).

use crate::prices::Prices;
use serde::Serialize;

/// A way of giving memory back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// In the same canister, through a vessel.
    Repack,
    /// To a fresh canister, by the kit that the dapp embeds.
    Relocate,
    /// To a fresh canister, through vessels.
    RelocateVessel,
}

/// All of them, the cheapest first.
pub const WAYS: [Way; 3] = [Way::Repack, Way::Relocate, Way::RelocateVessel];

/// What a way takes.
struct Figures {
    /// Cycles a plan, whatever it has of canisters: modules are uploaded and read, a build is surveyed.
    plan: f64,
    /// Cycles a canister. Of a relocation 500 B are its creation, and 103 B burn when the original is deleted.
    canister: f64,
    /// Cycles a byte in use.
    byte: f64,
    /// Rounds from the beginning of a job to its end.
    rounds: u32,
    /// Rounds in which users can't write.
    waiting_rounds: u32,
}

impl Way {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Repack => "repack",
            Self::Relocate => "relocate",
            Self::RelocateVessel => "relocate, vessels",
        }
    }

    const fn figures(self) -> Figures {
        match self {
            Self::Repack => {
                Figures { plan: 7.07e9, canister: 6.95e9, byte: 1_181.0, rounds: 109, waiting_rounds: 75 }
            }
            Self::Relocate => {
                Figures { plan: 0.51e9, canister: 584.6e9, byte: 587.0, rounds: 40, waiting_rounds: 6 }
            }
            Self::RelocateVessel => {
                Figures { plan: 7.52e9, canister: 587.0e9, byte: 585.0, rounds: 98, waiting_rounds: 40 }
            }
        }
    }

    /// Cycles for one canister with so many bytes in use, its part of the plan's included.
    pub fn cycles_a_canister(self, prices: &Prices, used_bytes: u64, canisters: u64) -> f64 {
        let figures = self.figures();
        let plan = figures.plan / canisters.max(1) as f64;
        prices.of_nodes(plan + figures.canister + figures.byte * used_bytes as f64)
    }

    /// Seconds for so many canisters, at this pace.
    pub fn duration_seconds(self, canisters: u64, pace: Pace) -> f64 {
        let turns = canisters.div_ceil(pace.in_flight.max(1).into());
        turns as f64 * f64::from(self.figures().rounds) * pace.round_seconds
    }

    /// Seconds in which the users of one canister can't write.
    pub fn wait_seconds(self, pace: Pace) -> f64 {
        f64::from(self.figures().waiting_rounds) * pace.round_seconds
    }
}

/// How fast it goes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Pace {
    /// Jobs at a time.
    pub in_flight: u32,
    /// Seconds of a round of the subnet.
    pub round_seconds: f64,
}
