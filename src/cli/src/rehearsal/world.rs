//! The canisters around the fleet: governance, index and coordinator.

use super::calls::update;
use super::{Modules, Options, Retention};
use crate::engine::Engine;
use anyhow::{Context, anyhow, bail};
use candid::{CandidType, Principal};
use decant_api::govern::Decision;
use decant_api::plan::{self, ByVessel, ModuleRef, ModuleUse, Plan, Relocation, Strategy};
use decant_layout::{PAGE_BYTES, choose_bucket_size_pages};
use pocket_ic::{CanisterSettings, PocketIc, Time};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

/// Cycles of a canister around the fleet: creations are paid from the coordinator's.
const WORLD_CYCLES: u128 = 1_000_000_000_000_000_000;
/// Cycles that a fresh canister gets besides its creation: an update prepays 40 B instructions.
const TARGET_CYCLES: u128 = 500_000_000_000;
/// Cycles that it gets besides for a byte of a large state: it asks for the frames, and pays for what it writes and hashes
/// (measured: 588 cycles a byte of source and target together).
const TARGET_CYCLES_PER_BYTE: u128 = 1_000;
/// KiB of state that the above is enough for.
const SMALL_KIB: u32 = 16 * 1024;
/// Bytes of a chunk in the chunk store (spec).
const CHUNK_BYTES: usize = 1 << 20;
/// Percent by which users' state may grow after a repack.
const GROWTH_PERCENT: u32 = 1_000;
/// Seconds that the retention `frozen` keeps originals.
pub const RETENTION_SECONDS: u64 = 60;

/// The instance and what is around the fleet.
pub struct World {
    /// The instance.
    pub pic: PocketIc,
    /// Whose rehearsal it is: controller of everything.
    pub operator: Principal,
    /// The stand-in for an SNS.
    pub governance: Principal,
    /// The coordinator.
    pub coordinator: Principal,
    /// The index.
    pub index: Principal,
    /// Holds the modules that the fleet gets, so that each is sent to the instance once.
    pub depot: Principal,
}

#[derive(CandidType)]
struct Governed {
    governance: Principal,
    operators: Option<Vec<Principal>>,
}

#[derive(CandidType)]
struct Coordinated {
    coordinator: Principal,
}

#[derive(CandidType)]
struct Submission {
    target: Principal,
    validator_method: String,
    target_method: String,
    payload: ByteBuf,
}

#[derive(Debug, CandidType, Deserialize)]
enum ProposalStatus {
    Open,
    Executed,
    Failed(String),
}

#[derive(Debug, CandidType, Deserialize)]
struct Proposal {
    rendered: String,
    status: ProposalStatus,
}

/// Cycles that a fresh canister gets besides its creation.
pub(super) fn target_cycles(options: &Options) -> u128 {
    let large_kib = options.state_kib.saturating_sub(SMALL_KIB);
    TARGET_CYCLES + u128::from(large_kib) * 1_024 * TARGET_CYCLES_PER_BYTE
}

impl World {
    /// A fresh instance with governance, coordinator and index.
    pub fn new(engine: &Engine, modules: &Modules, options: &Options) -> anyhow::Result<Self> {
        let pic = engine.builder()?.with_application_subnet().build();
        if let Some(begins_nanos) = options.begins_nanos {
            pic.set_time(Time::from_nanos_since_unix_epoch(begins_nanos));
        }
        if let Some(seed) = options.schedule_seed {
            engine.schedule(&pic, seed)?;
        }
        let operator = Principal::self_authenticating(b"the operator of the rehearsal");
        let create = || {
            let settings =
                CanisterSettings { controllers: Some(vec![operator]), ..CanisterSettings::default() };
            let id = pic.create_canister_with_settings(Some(operator), Some(settings));
            pic.add_cycles(id, WORLD_CYCLES);
            id
        };
        let (governance, coordinator, index, depot) = (create(), create(), create(), create());
        let install =
            |id, wasm: &[u8], arg: Vec<u8>| pic.install_canister(id, wasm.to_vec(), arg, Some(operator));
        install(governance, &modules.governance, candid::encode_args(())?);
        install(
            coordinator,
            &modules.coordinator,
            candid::encode_one(Governed { governance, operators: Some(vec![operator]) })?,
        );
        install(index, &modules.index, candid::encode_one(Coordinated { coordinator })?);
        Ok(Self { pic, operator, governance, coordinator, index, depot })
    }

    /// Uploads the modules that the plan names, proposes it, and approves it.
    pub fn approve_plan(&mut self, modules: &Modules, options: &Options) -> anyhow::Result<String> {
        let plan = self.plan(modules, options)?;
        self.propose(&plan)
    }

    /// The plan of a rehearsal; its modules are in the coordinator's chunk store.
    pub fn plan(&self, modules: &Modules, options: &Options) -> anyhow::Result<Plan> {
        Ok(Plan {
            title: "Give the fleet its memory back".to_owned(),
            strategy: match options.strategy {
                super::Strategy::Relocate => Strategy::Relocate(Relocation {
                    module: self.upload(&modules.kit)?,
                    init_arg: ByteBuf::from(candid::encode_args(())?),
                    precopy_min_pages: options.precopy.then_some(1),
                    sources: None,
                }),
                super::Strategy::Repack => Strategy::Repack(by_vessel(modules, options)?),
                super::Strategy::RelocateVessel => Strategy::RelocateVessel(by_vessel(modules, options)?),
            },
            indexes: vec![self.index],
            routes: match options.strategy {
                super::Strategy::Repack => None,
                super::Strategy::Relocate | super::Strategy::RelocateVessel => Some(vec![self.index]),
            },
            subscribers: None,
            tombstone: None,
            bucket_pages: choose_bucket_size_pages(&[pages_of(options)], GROWTH_PERCENT)?,
            min_reclaimed_pages: 0,
            recycling: None,
            retention: match options.retention {
                Retention::Frozen => plan::Retention::Frozen { seconds: RETENTION_SECONDS },
                Retention::Tombstone => plan::Retention::Tombstone,
                Retention::None => plan::Retention::None,
            },
            ledgers: Vec::new(),
            dependents: vec![self.index],
            max_canisters: options.canisters.into(),
            max_in_flight: options.in_flight,
            max_cycles: u128::from(options.canisters) * (1_500_000_000_000 + target_cycles(options)),
            cycles_per_target: target_cycles(options),
        })
    }

    /// Proposes a plan to governance and approves it; answers what voters read.
    pub fn propose(&self, plan: &Plan) -> anyhow::Result<String> {
        self.approve(self.submit(plan)?)
    }

    /// Proposes a plan to governance; answers the number of the proposal.
    pub fn submit(&self, plan: &Plan) -> anyhow::Result<u64> {
        self.submit_decision(&Decision::Approve { plan: plan.clone(), pace: None })
    }

    /// Proposes a decision to governance and approves it; answers what voters read.
    pub fn decide(&self, decision: &Decision) -> anyhow::Result<String> {
        self.approve(self.submit_decision(decision)?)
    }

    /// Proposes a decision to governance; answers the number of the proposal.
    pub fn submit_decision(&self, decision: &Decision) -> anyhow::Result<u64> {
        let methods = ["decant_validate", "decant_execute"];
        self.submit_to(self.governance, self.coordinator, methods, candid::encode_one(decision)?)?
            .map_err(|refusal| anyhow!("it is refused: {refusal}"))
    }

    /// Proposes to a stand-in for governance to call a method, which calls its validator; answers the number of the
    /// proposal, or why there is none.
    pub fn submit_to(
        &self,
        governance: Principal,
        target: Principal,
        [validator, method]: [&str; 2],
        payload: Vec<u8>,
    ) -> anyhow::Result<Result<u64, String>> {
        let submission = Submission {
            target,
            validator_method: validator.to_owned(),
            target_method: method.to_owned(),
            payload: ByteBuf::from(payload),
        };
        update(&self.pic, governance, self.operator, "propose", (submission,))
    }

    /// Approves a proposal; answers what voters read.
    pub fn approve(&self, id: u64) -> anyhow::Result<String> {
        let approved: Result<Proposal, String> =
            update(&self.pic, self.governance, self.operator, "approve", (id,))?;
        let proposal = approved.map_err(|refusal| anyhow!("the proposal is refused: {refusal}"))?;
        match proposal.status {
            ProposalStatus::Executed => Ok(proposal.rendered),
            status => bail!("the proposal was not executed: {status:?}"),
        }
    }

    /// Puts a module into the coordinator's chunk store.
    pub fn upload(&self, module: &[u8]) -> anyhow::Result<ModuleRef> {
        self.upload_to(self.coordinator, module)
    }

    /// Puts a module into the chunk store that the fleet is installed from.
    pub fn deposit(&self, module: &[u8]) -> anyhow::Result<ModuleRef> {
        self.upload_to(self.depot, module)
    }

    fn upload_to(&self, store: Principal, module: &[u8]) -> anyhow::Result<ModuleRef> {
        let mut chunk_hashes = Vec::new();
        for chunk in module.chunks(CHUNK_BYTES) {
            let hash = self
                .pic
                .upload_chunk(store, Some(self.operator), chunk.to_vec())
                .map_err(|error| anyhow!("uploading a chunk: {error}"))?;
            chunk_hashes.push(ByteBuf::from(hash));
        }
        Ok(ModuleRef { hash: ByteBuf::from(Sha256::digest(module).to_vec()), chunk_hashes })
    }

    /// The latest lines of the coordinator's log, for a report of what went wrong.
    pub fn coordinator_log(&self) -> Vec<String> {
        let records = self.pic.fetch_canister_logs(self.coordinator, self.operator).unwrap_or_default();
        records
            .iter()
            .map(|record| format!("coordinator: {}", String::from_utf8_lossy(&record.content)))
            .collect()
    }

    /// The canisters that are neither users' nor the relocation's.
    pub fn around_the_fleet(&self) -> [Principal; 4] {
        [self.governance, self.coordinator, self.index, self.depot]
    }

    /// Cycles of all canisters: those around the fleet, and these, where they exist.
    pub fn total_cycles(
        &self,
        canisters: impl IntoIterator<Item = Principal>,
        exists: impl Fn(&Principal) -> bool,
    ) -> u128 {
        let mut ids: Vec<Principal> = self.around_the_fleet().to_vec();
        ids.extend(canisters);
        ids.sort();
        ids.dedup();
        ids.into_iter().filter(exists).map(|id| self.pic.cycle_balance(id)).sum()
    }

    /// The number in a canister id: ids of a subnet are handed out one after the other.
    pub fn number(id: Principal) -> anyhow::Result<u64> {
        let bytes = id.as_slice().first_chunk::<8>().context("no canister id")?;
        Ok(u64::from_be_bytes(*bytes))
    }
}

/// Pages that a user's state will take, a quarter more than what it is filled up to.
fn pages_of(options: &Options) -> u64 {
    let bytes = u64::from(options.state_kib) * 1_024;
    (bytes + bytes / 4).div_ceil(PAGE_BYTES)
}

/// The modules of a bloated fleet. Nobody uploads them: the coordinator reads them out of a snapshot.
fn by_vessel(modules: &Modules, options: &Options) -> anyhow::Result<ByVessel> {
    let used = |module: &[u8]| -> anyhow::Result<ModuleUse> {
        Ok(ModuleUse {
            hash: ByteBuf::from(Sha256::digest(module).to_vec()),
            chunk_hashes: Vec::new(),
            upgrade_arg: ByteBuf::from(candid::encode_args(())?),
            may_lose_heap: false,
        })
    };
    let mut run = vec![used(&modules.managed)?];
    if options.generation.has_structures() {
        run.push(used(modules.structures()?)?);
    }
    Ok(ByVessel {
        modules: run,
        growth_percent: GROWTH_PERCENT,
        may_drop_tail: false,
        rolls_back_on_lost_timer: None,
        manager_page: None,
    })
}
