//! Effects of the strategies by vessel as calls, and what their answers mean.

use crate::carried;
use crate::management::{self, ChunkHash, Failure, InstallChunkedCode, InstallMode};
use crate::modules::{self, Unknown};
use crate::outcomes::{failed, installed};
use crate::pages::{self, EMPTY_MODULE};
use crate::platform::{self, TIMEOUT_SECONDS};
use crate::snapshots::{self, Listed, Source, Timer, UploadMetadata};
use crate::store::{self, KnownModule};
use crate::surveys::{self, Sight};
use candid::Principal;
use decant_api::JobId;
use decant_api::plan::{ModuleUse, Plan};
use decant_api::source::LayoutSummary;
use decant_api::vessel as api;
use decant_engine::{
    Digest, Found, ImageKind, ImageView, Job, Known, Limits, Outcome, Reason, ReasonCode, Retention,
    SnapshotId, State, Value, VesselRole,
};
use decant_layout::{
    Accepted, Image, Layout, Leftover, Obstacle, PAGE_BYTES, Tail, ensure_bucket_size_holds,
};
use serde_bytes::ByteBuf;

#[cfg(test)]
mod tests;

/// Creating a canister on 13 nodes (cost table): what this subnet asks says how many it has.
const CREATION_CYCLES: u128 = 500_000_000_000;
/// Sizes of a build, of all plans, that are remembered.
const SURVEYED: usize = 1_000;

/// All snapshots.
pub(crate) async fn list(canister: Principal) -> Outcome {
    let listed = snapshots::list(canister).await;
    answered(listed.map(|all| Value::Snapshots(all.into_iter().map(|it| SnapshotId(it.id)).collect())))
}

/// All snapshots, and what tells those that are not known from each other.
pub(crate) async fn find(canister: Principal, known: &[SnapshotId]) -> Outcome {
    answered(found(canister, known).await.map(Value::Found))
}

async fn found(canister: Principal, known: &[SnapshotId]) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for Listed { id, taken_at_timestamp: made_nanos } in snapshots::list(canister).await? {
        let id = SnapshotId(id);
        let (version, is_uploaded) = match known.contains(&id) {
            true => (None, false),
            false => {
                let metadata = snapshots::metadata(canister, &id).await?;
                (metadata.canister_version, matches!(metadata.source, Some(Source::Uploaded(_))))
            }
        };
        all.push(Found { id, made_nanos, version, is_uploaded });
    }
    Ok(all)
}

/// A snapshot of a canister as it is.
pub(crate) async fn take(canister: Principal, replaced: Option<SnapshotId>) -> Outcome {
    answered(snapshots::take(canister, replaced).await.map(Value::Snapshot))
}

/// What a snapshot holds, and what it would be in the plan's buckets.
pub(crate) async fn read_image(job: &Job, canister: Principal, snapshot: &SnapshotId) -> Outcome {
    let metadata = match snapshots::metadata(canister, snapshot).await {
        Ok(metadata) => metadata,
        Err(failure) => return lost(&failure),
    };
    let plan = plan(job);
    let manager_page = said(plan.as_ref()).manager_page.unwrap_or_default();
    let image = match pages::image(canister, snapshot, &metadata, manager_page).await {
        Ok(image) => image,
        Err(failure) => return lost(&failure),
    };
    let kind = match image {
        Ok(Image::Empty) => ImageKind::Empty,
        Ok(Image::Raw { size_pages }) => match pages::find_manager(canister, snapshot, size_pages).await {
            Ok(Some(manager_page)) => ImageKind::Elsewhere { manager_page },
            Ok(None) => ImageKind::Raw,
            Err(failure) => return lost(&failure),
        },
        // What is stopped already is looked at by the vessel, which reads where it lies.
        Ok(Image::Managed(layout)) if job.times().fenced_nanos.is_some() => {
            planned(job, plan.as_ref(), &layout)
        }
        Ok(Image::Managed(layout)) => match accepted(canister, snapshot, plan.as_ref(), &layout).await {
            Ok(None) => planned(job, plan.as_ref(), &layout),
            Ok(Some(refused)) => refused,
            Err(failure) => return lost(&failure),
        },
        Err(reason) => ImageKind::Unreadable { reason },
    };
    let stable_pages = metadata.stable_memory_size / PAGE_BYTES;
    let timer_nanos = match metadata.global_timer {
        Some(Timer::Active(due_nanos)) => Some(due_nanos),
        Some(Timer::Inactive) | None => None,
    };
    Outcome::Done(Value::Image(ImageView {
        stable_pages,
        kind,
        timer_nanos,
        version: metadata.canister_version,
        nested_pages: 0,
    }))
}

/// What a plan says of an image.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    growth_percent: u32,
    drops_tail: bool,
    manager_page: Option<u64>,
}

fn said(plan: Option<&Plan>) -> Said {
    plan.and_then(|plan| plan.strategy.by_vessel()).map_or_else(Said::default, |by| Said {
        growth_percent: by.growth_percent,
        drops_tail: by.may_drop_tail,
        manager_page: by.manager_page,
    })
}

/// Why an image is left as it is, if it is.
async fn accepted(
    canister: Principal,
    snapshot: &SnapshotId,
    plan: Option<&Plan>,
    layout: &Layout,
) -> Result<Option<ImageKind>, Failure> {
    if let Err(inside) = pages::place(canister, snapshot, layout).await? {
        return Ok(Some(ImageKind::Unreadable { reason: inside.to_string() }));
    }
    let tail_is_dropped = said(plan).drops_tail;
    let accepted = Accepted { tail_is_dropped, ..Accepted::default() };
    let tail = match tail_is_dropped {
        true => Tail::Nothing,
        false => pages::tail(canister, snapshot, layout).await?,
    };
    let tail_pages = layout.usage().tail_pages;
    Ok(match layout.check(&tail, accepted) {
        Ok(()) => None,
        Err(Obstacle::Tail(leftover)) => Some(ImageKind::Tailed { tail_pages, signs: signs(&leftover) }),
        Err(obstacle) => Some(ImageKind::Unreadable { reason: obstacle.to_string() }),
    })
}

/// What was seen, in the few words that a reason has room for.
fn signs(leftover: &Leftover) -> String {
    match leftover.signs.first() {
        Some(sign) => sign.to_string(),
        None => format!("page {} is not zero", leftover.first_page_in_use),
    }
}

fn planned(job: &Job, plan: Option<&Plan>, layout: &Layout) -> ImageKind {
    let bucket_pages = job.plan().bucket_pages;
    let growth_percent = said(plan).growth_percent;
    let sizes_pages: Vec<u64> = layout.memories().iter().map(|memory| memory.size_pages()).collect();
    if let Err(error) = ensure_bucket_size_holds(&sizes_pages, growth_percent, bucket_pages) {
        return ImageKind::DoesNotFit { reason: error.to_string() };
    }
    match layout.compact(u32::from(bucket_pages)) {
        Ok(compact) => ImageKind::Managed {
            bucket_pages: layout.bucket_size_pages(),
            used_pages: layout.usage().used_pages,
            compact_pages: compact.stable_size_pages(),
        },
        Err(error) => ImageKind::DoesNotFit { reason: error.to_string() },
    }
}

/// What is known of the module that a canister runs, if a canister with that module and size was surveyed for the plan.
pub(crate) async fn recall(job: &Job, hash: &Digest, stable_pages: u64) -> Outcome {
    let Some(plan) = plan(job) else { return unplanned(hash) };
    let Some(planned) = modules::in_plan(&plan, hash) else { return unplanned(hash) };
    let surveyed = store::module(hash).filter(|module| {
        module.surveyed.contains(&(job.plan().plan_id, stable_pages)) && module.is_wasm64.is_some()
    });
    if let Some(module) = surveyed {
        match modules::is_stored(&module, planned).await {
            Ok(true) => return Outcome::Done(Value::Known(Some(known(&module, planned)))),
            Ok(false) => {}
            Err(failure) => return lost(&failure),
        }
    }
    surveys::wait(job, Sight::layout(job, hash, stable_pages)).unwrap_or(Outcome::Done(Value::Known(None)))
}

/// Knows the module that a canister runs, whose image was found to be one that can be moved.
pub(crate) async fn keep_module(
    job: &Job,
    canister: Principal,
    snapshot: &SnapshotId,
    hash: &Digest,
) -> Outcome {
    let Some(plan) = plan(job) else { return unplanned(hash) };
    let Some(planned) = modules::in_plan(&plan, hash) else { return unplanned(hash) };
    if let Some(later) = surveys::wait(job, Sight::Module(hash.0)) {
        return later;
    }
    match modules::learn(canister, snapshot, hash, planned).await {
        Ok(mut module) => {
            surveys::found(job);
            let surveyed = (job.plan().plan_id, job.counters().source_pages);
            if module.surveyed.len() < SURVEYED && !module.surveyed.contains(&surveyed) {
                module.surveyed.push(surveyed);
                store::keep_module(hash, &module);
            }
            Outcome::Done(Value::Known(Some(known(&module, planned))))
        }
        Err(Unknown::Failed(failure)) => lost(&failure),
        Err(Unknown::Wrong(reason)) => Outcome::Refused(Reason::new(ReasonCode::WrongModule, reason)),
    }
}

fn known(module: &KnownModule, planned: &ModuleUse) -> Known {
    let times = if module.is_wasm64 == Some(true) { 2 } else { 1 };
    let prepaid_cycles = (Limits::UPGRADE_PREPAID_CYCLES * times)
        .saturating_mul(ic_cdk::api::cost_create_canister())
        / CREATION_CYCLES;
    Known {
        has_pre_upgrade: module.has_pre_upgrade,
        may_lose_heap: planned.may_lose_heap,
        prepaid_cycles,
        vessel_hash: carried::hash(),
    }
}

/// Upgrades a canister, a vessel now, to the module that it ran.
pub(crate) async fn upgrade(job: &Job, canister: Principal, hash: &Digest) -> Outcome {
    let Some(plan) = plan(job) else { return unplanned(hash) };
    let Some(planned) = modules::in_plan(&plan, hash) else { return unplanned(hash) };
    let module = store::module(hash).unwrap_or_default();
    let args = InstallChunkedCode {
        mode: InstallMode::Upgrade(None),
        target_canister: canister,
        store_canister: Some(ic_cdk::api::canister_self()),
        chunk_hashes_list: chunk_list(modules::chunks(&module, planned)),
        wasm_module_hash: planned.hash.clone(),
        arg: planned.upgrade_arg.clone(),
    };
    installed(management::ask_for(TIMEOUT_SECONDS, "install_chunked_code", &args).await)
}

/// Installs a vessel.
pub(crate) async fn install(job: &Job, canister: Principal, role: VesselRole, hash: &Digest) -> Outcome {
    let (mode, role) = match role {
        VesselRole::Source { reader } => {
            let drops_tail = said(plan(job).as_ref()).drops_tail;
            (InstallMode::Upgrade(None), api::VesselRole::Source { reader, drops_tail })
        }
        VesselRole::Target { source, bucket_pages } => {
            (InstallMode::Install, api::VesselRole::Target { source, bucket_pages })
        }
    };
    put(job.id(), canister, mode, role, hash, said(plan(job).as_ref()).manager_page).await
}

/// What stays of a source: without stable memory, it answers where the state went. It is the vessel that is carried now: what was
/// when the job was enrolled may be nowhere any more. What its installation gave back goes to the target too; where that fails
/// it stays, and nothing else does.
pub(crate) async fn entomb(job: &Job, canister: Principal) -> Outcome {
    let Some(to) = job.target() else {
        return Outcome::Refused(Reason::new(ReasonCode::Contradiction, "no target"));
    };
    let (mode, role) = (InstallMode::Reinstall, api::VesselRole::Moved { to });
    let outcome = put(job.id(), canister, mode, role, &carried::hash(), None).await;
    if matches!(outcome, Outcome::Done(_)) {
        platform::drain_rest(job.id(), canister, to).await;
    }
    outcome
}

/// The module of a canister as its job calls it. A tombstone is any vessel that took the source's own code and memory away, and is
/// called as the one that was carried when the job was enrolled.
pub(crate) fn called(job: &Job, canister: Principal, module: Digest, stable_pages: u64) -> Digest {
    let is_entombed = || {
        matches!(job.state(), State::Entombing { .. })
            && canister == job.source()
            && job.source_left().and_then(|left| left.module) != Some(module)
            && stable_pages == 0
            && carried::is_vessel(&module)
    };
    match job.plan().retention {
        Retention::Tombstone { module_hash } if is_entombed() => module_hash,
        _ => module,
    }
}

/// Lets a canister of the pool run the vessel, so that it can send its cycles.
pub(crate) async fn lend(canister: Principal) -> Outcome {
    let role = api::VesselRole::Moved { to: ic_cdk::api::canister_self() };
    put(0, canister, InstallMode::Reinstall, role, &carried::hash(), None).await
}

async fn put(
    job: JobId,
    canister: Principal,
    mode: InstallMode,
    role: api::VesselRole,
    hash: &Digest,
    manager_page: Option<u64>,
) -> Outcome {
    let chunks = match carried::chunks(hash).await {
        Ok(Some(chunks)) => chunks,
        Ok(None) => return Outcome::Refused(Reason::new(ReasonCode::WrongModule, "no such vessel is known")),
        Err(error) => return failed(&error),
    };
    let arg = candid::encode_one(api::VesselArgs { job, role, manager_page }).unwrap_or_default();
    let args = InstallChunkedCode {
        mode,
        target_canister: canister,
        store_canister: Some(ic_cdk::api::canister_self()),
        chunk_hashes_list: chunk_list(&chunks),
        wasm_module_hash: ByteBuf::from(hash.0),
        arg: ByteBuf::from(arg),
    };
    let outcome = installed(management::ask_for(TIMEOUT_SECONDS, "install_chunked_code", &args).await);
    let is_cleared = matches!(&outcome, Outcome::Refused(reason) if reason.code() == ReasonCode::WrongModule);
    if is_cleared && *hash == carried::hash() {
        // Somebody cleared the chunk store: it is put there again, and installed by the next try.
        return match carried::upload().await {
            Ok(_) => Outcome::Transient(Reason::new(ReasonCode::WrongModule, "the chunk store was cleared")),
            Err(error) => failed(&error),
        };
    }
    outcome
}

fn chunk_list(hashes: &[ByteBuf]) -> Vec<ChunkHash> {
    hashes.iter().map(|hash| ChunkHash { hash: hash.clone() }).collect()
}

/// What a vessel that is sealed holds, and how large its compact image is.
pub(crate) fn measured(layout: LayoutSummary, stable_pages: u64, progress: &api::PourProgress) -> Value {
    let compact_pages = progress.pages;
    let kind = match layout {
        LayoutSummary::Empty => ImageKind::Empty,
        LayoutSummary::Raw => ImageKind::Raw,
        LayoutSummary::Unreadable { reason } => ImageKind::Unreadable { reason },
        LayoutSummary::Managed { bucket_pages, used_pages, .. } => {
            ImageKind::Managed { bucket_pages, used_pages, compact_pages }
        }
    };
    let nested_pages = progress.nested_pages.unwrap_or_default();
    Value::Image(ImageView { stable_pages, kind, timer_nanos: None, version: None, nested_pages })
}

/// A snapshot of zeros, with what the saved one has besides code and memory.
pub(crate) async fn upload_metadata(canister: Principal, saved: &SnapshotId, pages: u64) -> Outcome {
    let metadata = match snapshots::metadata(canister, saved).await {
        Ok(metadata) => metadata,
        Err(failure) => return lost(&failure),
    };
    let made = snapshots::upload_metadata(&UploadMetadata {
        canister_id: canister,
        wasm_module_size: EMPTY_MODULE.len() as u64,
        globals: Vec::new(),
        wasm_memory_size: 0,
        stable_memory_size: pages.saturating_mul(PAGE_BYTES),
        certified_data: metadata.certified_data,
        global_timer: None,
        on_low_wasm_memory_hook_status: None,
    })
    .await;
    answered(made.map(Value::Snapshot))
}

/// What it lacks besides pages.
pub(crate) async fn upload_rest(canister: Principal, saved: &SnapshotId, uploaded: &SnapshotId) -> Outcome {
    match snapshots::metadata(canister, saved).await {
        Ok(metadata) if metadata.wasm_chunk_store.is_empty() => {}
        Ok(metadata) => {
            let detail = format!(
                "{} chunks came after the first look: clear_chunk_store",
                metadata.wasm_chunk_store.len()
            );
            return Outcome::Refused(Reason::new(ReasonCode::TooLarge, detail));
        }
        Err(failure) => return lost(&failure),
    }
    answered(pages::fill_rest(canister, uploaded).await.map(|()| Value::Acknowledged))
}

/// Puts a canister back to what a snapshot holds.
pub(crate) async fn load(canister: Principal, snapshot: &SnapshotId) -> Outcome {
    answered(snapshots::load(canister, snapshot).await.map(|()| Value::Acknowledged))
}

/// Deletes a snapshot.
pub(crate) async fn delete(canister: Principal, snapshot: &SnapshotId) -> Outcome {
    answered(snapshots::delete(canister, snapshot).await.map(|()| Value::Acknowledged))
}

fn plan(job: &Job) -> Option<Plan> {
    store::plan(job.plan().plan_id).map(|record| record.plan)
}

fn unplanned(hash: &Digest) -> Outcome {
    let detail = format!(
        "module {} is not in the plan: name it with its upgrade argument",
        decant_words::hex(&hash.0)
    );
    Outcome::Refused(Reason::new(ReasonCode::WrongModule, detail))
}

fn answered(result: Result<Value, Failure>) -> Outcome {
    match result {
        Ok(value) => Outcome::Done(value),
        Err(failure) => lost(&failure),
    }
}

fn lost(failure: &Failure) -> Outcome {
    match failure {
        Failure::Call(error) => failed(error),
        Failure::Reply(reason) => Outcome::Refused(Reason::new(ReasonCode::Rejected, reason.clone())),
    }
}
