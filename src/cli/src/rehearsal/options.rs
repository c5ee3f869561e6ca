//! What is rehearsed.

use clap::{Args, ValueEnum};

/// Which layouts the fleet has when it is relocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generation {
    /// No `MemoryManager`: state from offset 0 on.
    Raw,
    /// All state in one virtual memory of a default `MemoryManager`: the incident.
    Managed,
    /// Several virtual memories with stable structures.
    Structures,
    /// All of these in turn.
    Mixed,
}

/// What becomes of the originals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Retention {
    /// Kept for a minute, fenced, then deleted.
    Frozen,
    /// A tombstone without stable memory.
    Tombstone,
    /// Deleted at once.
    None,
}

/// Options of a rehearsal.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Canisters of the fleet.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub canisters: u32,
    /// KiB of state in each, about; 0 for none.
    #[arg(long, default_value_t = 200)]
    pub state_kib: u32,
    /// The layout of the fleet.
    #[arg(long, value_enum, default_value_t = Generation::Managed)]
    pub generation: Generation,
    /// Everything random derives from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Relocations at a time; a hundredth of the fleet, but at least 10 and at most 25, if not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub in_flight: Option<u32>,
    /// What becomes of the originals.
    #[arg(long, value_enum, default_value_t = Retention::None)]
    pub retention: Retention,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            canisters: 25,
            state_kib: 200,
            generation: Generation::Managed,
            seed: 1,
            in_flight: None,
            retention: Retention::None,
        }
    }
}

impl Options {
    /// Relocations at a time: a round has a price of its own, whether it moves 10 jobs on or 25.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.unwrap_or((self.canisters / 100).clamp(10, 25))
    }

    /// The layout of the canister of user `user`.
    pub fn generation_of(&self, user: u64) -> Generation {
        match self.generation {
            Generation::Mixed => {
                [Generation::Managed, Generation::Structures, Generation::Raw][(user % 3) as usize]
            }
            other => other,
        }
    }
}
