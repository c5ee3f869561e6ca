//! What each way of giving memory back costs, and how long it takes.
//!
//! Measured, not derived: rehearsals of the incident's fleet on the embedded replica at the prices of 13 nodes, 2 to 25
//! canisters of 200 KiB and of 6 MiB; rounds also with one of 20 MiB and of 60 MiB. A scenario holds cycles against what a
//! rehearsal measures, within 10 %. What a dapp's own `pre_upgrade` and `post_upgrade` execute is in them as far as the
//! incident's canister executes it (it reads and writes CBOR).

use crate::prices::Prices;
use decant_engine::{Limits, Strategy};
use decant_layout::PAGE_BYTES;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

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

/// All of them, in the order in which they are shown.
pub const WAYS: [Way; 3] = [Way::Repack, Way::Relocate, Way::RelocateVessel];

/// What a way takes.
struct Figures {
    /// Cycles a plan, whatever it has of canisters: modules are uploaded and read, a build is surveyed.
    plan: f64,
    /// Cycles a canister. Of a relocation 500 B are its creation, and 103 B burn when the original is deleted.
    canister: f64,
    /// Cycles a byte in use.
    byte: f64,
    /// Rounds from the beginning of a job to its end, besides those of its bytes.
    rounds: u64,
    /// Rounds in which users can't write, besides those of its bytes.
    waiting_rounds: u64,
    /// Bytes in use that pass in a round, which users wait for, where they compress as the incident's do.
    bytes_a_round: u64,
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
            Self::Repack => Figures {
                plan: 7.07e9,
                canister: 6.95e9,
                byte: 1_181.0,
                rounds: 109,
                waiting_rounds: 75,
                bytes_a_round: 8_000_000,
            },
            Self::Relocate => Figures {
                plan: 0.51e9,
                canister: 584.6e9,
                byte: 587.0,
                rounds: 40,
                waiting_rounds: 6,
                bytes_a_round: 7_500_000,
            },
            Self::RelocateVessel => Figures {
                plan: 7.52e9,
                canister: 587.0e9,
                byte: 585.0,
                rounds: 98,
                waiting_rounds: 40,
                bytes_a_round: 13_000_000,
            },
        }
    }

    /// Cycles for one canister with so many bytes in use, its part of the plan's included.
    pub fn cycles_a_canister(self, prices: &Prices, used_bytes: u64, canisters: u64) -> f64 {
        let figures = self.figures();
        let plan = figures.plan / canisters.max(1) as f64;
        prices.of_nodes(plan + figures.canister + figures.byte * used_bytes as f64)
    }

    /// Seconds for canisters with so many bytes in use, one after the other at this pace.
    pub fn duration_seconds(self, used_bytes: impl Iterator<Item = u64>, pace: Pace) -> f64 {
        let figures = self.figures();
        // When each of those that go at a time has ended.
        let mut ends: BinaryHeap<Reverse<u64>> = (0..pace.in_flight.max(1)).map(|_| Reverse(0)).collect();
        let mut last = 0;
        for bytes in used_bytes {
            let begins = ends.pop().map_or(0, |Reverse(end)| end);
            let end = begins + figures.rounds + bytes / figures.bytes_a_round;
            last = last.max(end);
            ends.push(Reverse(end));
        }
        last as f64 * pace.round_seconds
    }

    /// Seconds in which the users of a canister with so many bytes in use can't write.
    pub fn wait_seconds(self, used_bytes: u64, pace: Pace) -> f64 {
        let figures = self.figures();
        (figures.waiting_rounds + used_bytes / figures.bytes_a_round) as f64 * pace.round_seconds
    }

    /// Seconds that so many bytes in use take at worst while users wait, where the coordinator refuses them for that.
    pub fn too_long_seconds(self, used_bytes: u64) -> Option<u64> {
        let strategy = match self {
            Self::Repack => Strategy::Repack,
            Self::Relocate | Self::RelocateVessel => Strategy::RelocateVessel,
        };
        let seconds = Limits::seconds_to_pass(strategy, used_bytes.div_ceil(PAGE_BYTES));
        (seconds > Limits::FENCE_SECONDS).then_some(seconds)
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
