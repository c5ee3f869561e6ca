//! What is rehearsed.

use anyhow::bail;
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

impl Generation {
    /// Whether some of the fleet have stable structures.
    pub fn has_structures(self) -> bool {
        matches!(self, Self::Structures | Self::Mixed)
    }
}

/// How the memory is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// Each canister gets the kit and moves to a fresh one.
    Relocate,
    /// Each canister is repacked in place, through a vessel; nothing of ours is in it.
    Repack,
    /// Each canister moves to a fresh one, through a vessel on both sides; nothing of ours is in it.
    RelocateVessel,
}

impl Strategy {
    /// Whether the canisters get the kit.
    pub fn needs_kit(self) -> bool {
        self == Self::Relocate
    }

    /// Whether the state moves to other canisters.
    pub fn moves(self) -> bool {
        self != Self::Repack
    }
}

/// What becomes of the originals; of repacked canisters what becomes of the snapshot from before.
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
    #[arg(long, default_value_t = 25, conflicts_with = "whose", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub canisters: u32,
    /// KiB of state in each, about; 0 for none.
    #[arg(long, default_value_t = 200, conflicts_with = "whose")]
    pub state_kib: u32,
    /// The layout of the fleet.
    #[arg(long, value_enum, default_value_t = Generation::Managed, conflicts_with = "whose")]
    pub generation: Generation,
    /// Everything random derives from it.
    #[arg(long, default_value_t = 1, conflicts_with = "whose")]
    pub seed: u64,
    /// Jobs at a time. More are slower on the embedded replica, which keeps 64 canisters mapped.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub in_flight: u32,
    /// What becomes of the originals, or of the snapshots of repacked canisters.
    #[arg(long, value_enum, default_value_t = Retention::None)]
    pub retention: Retention,
    /// Copy states in virtual memories while they still serve, and after the freeze only what changed.
    #[arg(long, conflicts_with = "whose")]
    pub precopy: bool,
    /// In which order canisters, senders and responses have their turn is by chance from it, as the specification
    /// allows; without it as the platform does it. Embedded replica only.
    #[arg(long, value_name = "N")]
    pub schedule_seed: Option<u64>,
    /// How the memory is given back.
    #[arg(skip = Strategy::Relocate)]
    pub strategy: Strategy,
    /// When it begins, in nanoseconds since the Unix epoch, where somebody is going to look at it; otherwise always at the
    /// same time.
    #[arg(skip)]
    pub begins_nanos: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            canisters: 25,
            state_kib: 200,
            generation: Generation::Managed,
            seed: 1,
            in_flight: 10,
            retention: Retention::None,
            precopy: false,
            schedule_seed: None,
            strategy: Strategy::Relocate,
            begins_nanos: None,
        }
    }
}

impl Options {
    /// Says what is wrong where options do not go together.
    ///
    /// # Errors
    /// The options, and which to choose instead.
    pub fn check(&self) -> anyhow::Result<()> {
        if !self.strategy.needs_kit() && self.generation == Generation::Raw {
            bail!("a vessel repacks by virtual memory: choose --generation managed, structures or mixed");
        }
        if !self.strategy.moves() && self.retention == Retention::Tombstone {
            bail!("a repacked canister lives on: choose --retention none or frozen");
        }
        Ok(())
    }

    /// The layout of the canister of user `user`.
    pub fn generation_of(&self, user: u64) -> Generation {
        match self.generation {
            Generation::Mixed if !self.strategy.needs_kit() => {
                [Generation::Managed, Generation::Structures][(user % 2) as usize]
            }
            Generation::Mixed => {
                [Generation::Managed, Generation::Structures, Generation::Raw][(user % 3) as usize]
            }
            other => other,
        }
    }
}
