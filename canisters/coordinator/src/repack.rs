//! Effects of the strategies by snapshot as calls, and what their answers mean.

use crate::copies;
use crate::management::{self, ChunkHash, InstallChunkedCode, InstallMode, UpgradeOptions};
use crate::modules::{self, Unknown};
use crate::outcomes::{failed, installed};
use crate::pages::{self, EMPTY_MODULE, Trouble};
use crate::snapshots::{self, Failure, Timer, UploadMetadata};
use crate::store;
use candid::Principal;
use decant_api::plan::{Plan, Strategy};
use decant_engine::{
    Digest, ImageKind, ImageView, Job, Outcome, Reason, ReasonCode, SnapshotId, SnapshotPair, Value, Walk,
};
use decant_layout::{Accepted, Image, Layout, Obstacle, PAGE_BYTES, Tail, ensure_bucket_size_holds};

/// All snapshots.
pub(crate) async fn list(canister: Principal) -> Outcome {
    answered(snapshots::list(canister).await.map(Value::Snapshots))
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
    let image = match pages::image(canister, snapshot, &metadata).await {
        Ok(image) => image,
        Err(failure) => return lost(&failure),
    };
    let plan = plan(job);
    let kind = match image {
        Ok(Image::Empty) => ImageKind::Empty,
        Ok(Image::Raw { .. }) => ImageKind::Raw,
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
    Outcome::Done(Value::Image(ImageView { stable_pages, kind, timer_nanos }))
}

/// What the plan says of an image: the growth in percent, and whether what lies behind the last bucket may be dropped.
fn said(plan: Option<&Plan>) -> (u32, bool) {
    match plan.map(|plan| &plan.strategy) {
        Some(Strategy::Repack(by) | Strategy::RelocateSnapshot(by)) => (by.growth_percent, by.may_drop_tail),
        Some(Strategy::Relocate(_)) | None => (0, false),
    }
}

/// Why an image is left as it is, if it is.
async fn accepted(
    canister: Principal,
    snapshot: &SnapshotId,
    plan: Option<&Plan>,
    layout: &Layout,
) -> Result<Option<ImageKind>, Failure> {
    let (_, tail_is_dropped) = said(plan);
    let accepted = Accepted { tail_is_dropped, ..Accepted::default() };
    let tail = match tail_is_dropped {
        true => Some(Tail::Nothing),
        false => pages::tail(canister, snapshot, layout).await?,
    };
    let tail_pages = layout.usage().tail_pages;
    let Some(tail) = tail else { return Ok(Some(ImageKind::Tailed { tail_pages })) };
    Ok(match layout.check(&tail, accepted) {
        Ok(()) => None,
        Err(Obstacle::Tail(_)) => Some(ImageKind::Tailed { tail_pages }),
        Err(obstacle) => Some(ImageKind::Unreadable { reason: obstacle.to_string() }),
    })
}

fn planned(job: &Job, plan: Option<&Plan>, layout: &Layout) -> ImageKind {
    let bucket_pages = job.plan().bucket_pages;
    let (growth_percent, _) = said(plan);
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

/// Knows the module that a canister runs.
pub(crate) async fn keep_module(
    job: &Job,
    canister: Principal,
    snapshot: &SnapshotId,
    hash: &Digest,
) -> Outcome {
    let Some(plan) = plan(job) else { return unplanned(hash) };
    let Some(planned) = modules::in_plan(&plan, hash) else { return unplanned(hash) };
    match modules::learn(canister, snapshot, hash, planned).await {
        Ok(known) => Outcome::Done(Value::Module {
            has_pre_upgrade: known.has_pre_upgrade,
            may_lose_heap: planned.may_lose_heap,
            keeps_timer: known.arms_timer && !planned.may_lose_timer,
        }),
        Err(Unknown::Failed(failure)) => lost(&failure),
        Err(Unknown::Wrong(reason)) => Outcome::Refused(Reason::new(ReasonCode::WrongModule, reason)),
    }
}

/// Upgrades a canister to the module that it runs, or ran.
pub(crate) async fn upgrade(
    job: &Job,
    canister: Principal,
    hash: &Digest,
    skips_pre_upgrade: bool,
) -> Outcome {
    let Some(plan) = plan(job) else { return unplanned(hash) };
    let Some(planned) = modules::in_plan(&plan, hash) else { return unplanned(hash) };
    let chunk_hashes = match planned.chunk_hashes.is_empty() {
        false => planned.chunk_hashes.clone(),
        true => store::module(hash).map(|known| known.chunk_hashes).unwrap_or_default(),
    };
    let options = UpgradeOptions { skip_pre_upgrade: Some(skips_pre_upgrade) };
    let args = InstallChunkedCode {
        mode: InstallMode::Upgrade(Some(options)),
        target_canister: canister,
        store_canister: Some(ic_cdk::api::canister_self()),
        chunk_hashes_list: chunk_hashes.into_iter().map(|hash| ChunkHash { hash }).collect(),
        wasm_module_hash: planned.hash.clone(),
        arg: planned.upgrade_arg.clone(),
    };
    installed(management::call("install_chunked_code", &args).await)
}

/// A snapshot of zeros, with what the saved one has besides code and memory.
pub(crate) async fn upload_metadata(
    canister: Principal,
    saved: &SnapshotId,
    to: Principal,
    pages: u64,
) -> Outcome {
    let metadata = match snapshots::metadata(canister, saved).await {
        Ok(metadata) => metadata,
        Err(failure) => return lost(&failure),
    };
    let made = snapshots::upload_metadata(&UploadMetadata {
        canister_id: to,
        wasm_module_size: EMPTY_MODULE.len() as u64,
        globals: Vec::new(),
        wasm_memory_size: 0,
        stable_memory_size: pages.saturating_mul(PAGE_BYTES),
        certified_data: metadata.certified_data,
        global_timer: metadata.global_timer,
        on_low_wasm_memory_hook_status: None,
    })
    .await;
    answered(made.map(Value::Snapshot))
}

/// The next pages into the compact image.
pub(crate) async fn upload_pages(job: &Job, pair: &SnapshotPair, walk: Walk) -> Outcome {
    moved(pages::upload(job, pair, walk).await)
}

/// The next pages of what was uploaded.
pub(crate) async fn compare_pages(job: &Job, pair: &SnapshotPair, walk: Walk) -> Outcome {
    moved(pages::compare(job, pair, walk).await)
}

/// A snapshot of zeros, as large as another one of the canister, with the timer armed.
pub(crate) async fn copy_metadata(canister: Principal, base: &SnapshotId, timer_nanos: u64) -> Outcome {
    moved(copies::begin(canister, base, timer_nanos).await.map(Value::Snapshot))
}

/// The next bytes of a snapshot into its copy.
pub(crate) async fn copy_pages(
    canister: Principal,
    base: &SnapshotId,
    copy: &SnapshotId,
    walk: Walk,
) -> Outcome {
    moved(copies::fill(canister, base, copy, walk).await)
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
        crate::plans::hex(&hash.0)
    );
    Outcome::Refused(Reason::new(ReasonCode::WrongModule, detail))
}

fn answered(result: Result<Value, Failure>) -> Outcome {
    match result {
        Ok(value) => Outcome::Done(value),
        Err(failure) => lost(&failure),
    }
}

fn moved(result: Result<Value, Trouble>) -> Outcome {
    match result {
        Ok(value) => Outcome::Done(value),
        Err(Trouble::Failed(failure)) => lost(&failure),
        Err(Trouble::Wrong(reason)) => Outcome::Refused(Reason::new(ReasonCode::RootMismatch, reason)),
    }
}

fn lost(failure: &Failure) -> Outcome {
    match failure {
        Failure::Call(error) => failed(error),
        Failure::Reply(reason) => Outcome::Refused(Reason::new(ReasonCode::Rejected, reason.clone())),
    }
}
