//! Effects as calls, and what their answers mean.

use crate::management::{
    self, Change, ChunkHash, DeploymentMode, Info, InstallChunkedCode, InstallMode, NewSettings, OfCanister,
    Origin, RunState, Status, UpdateSettings, Visibility,
};
use crate::outcomes::{failed, failed_effect, failed_question, installed, is_gone, refused};
use crate::replies;
use crate::{assets, money, store, trial, vessels};
use candid::{CandidType, Nat, Principal};
use decant_api::JobId;
use decant_api::error::KitError;
use decant_api::plan::{Plan, Strategy};
use decant_api::routes::{Ended, SwapArgs, SwapError};
use decant_api::source::{
    DrainArgs, Fence, FreezeArgs, Hold, JobArgs, KitStatus, LayoutSummary, OfferArgs, RetireArgs, Seal,
    SealProgress,
};
use decant_api::target::{BeginArgs, PrecopyPullArgs, PullArgs, PullProgress};
use decant_api::vessel::{PourArgs, PourProgress};
use decant_engine::{
    self as engine, CanisterView, Digest, Effect, FenceView, Holder, Job, KitView, LayoutView, ModuleRole,
    Outcome, Reason, ReasonCode, Settings, Value,
};
use decant_layout::PAGE_BYTES;
use ic_cdk::call::{Call, CallFailed, Response};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

/// Tries to fetch what an installation gave back.
const DRAIN_TRIES: u32 = 3;
/// Seconds that a best-effort call waits.
pub(crate) const TIMEOUT_SECONDS: u32 = 120;
/// Seconds that the coordinator waits for a stop, at most: while it does, it can't be stopped itself.
const STOP_SECONDS: u32 = 10;

/// Does what the engine asks for.
pub(crate) async fn perform(job: &Job, effect: Effect) -> Outcome {
    let of_job = JobArgs { job: job.id() };
    match effect {
        Effect::CanisterStatus { canister } => canister_status(job, canister).await,
        Effect::Look { canister, since_nanos } => look(job, canister, since_nanos).await,
        Effect::KitStatus { canister } => kit_status(canister).await,
        Effect::UpdateSettings { canister, settings } => match restored(settings) {
            Ok(settings) => {
                manage("update_settings", &UpdateSettings { canister_id: canister, settings }).await
            }
            Err(reason) => Outcome::Refused(reason),
        },
        Effect::ResetSettings { canister } => {
            let settings = defaults();
            manage("update_settings", &UpdateSettings { canister_id: canister, settings }).await
        }
        Effect::SetControllers { canister, controllers } => {
            let settings = NewSettings { controllers: Some(controllers), ..NewSettings::default() };
            manage("update_settings", &UpdateSettings { canister_id: canister, settings }).await
        }
        Effect::Install { canister, role, module_hash } => install(job, canister, role, &module_hash).await,
        Effect::InstallVessel { canister, role, vessel_hash } => {
            vessels::install(job, canister, role, &vessel_hash).await
        }
        Effect::Uninstall { canister } => {
            manage("uninstall_code", &OfCanister { canister_id: canister }).await
        }
        Effect::SetFreezingThreshold { canister, seconds } => {
            let settings = NewSettings { freezing_threshold: Some(seconds.into()), ..NewSettings::default() };
            manage("update_settings", &UpdateSettings { canister_id: canister, settings }).await
        }
        Effect::Stop { canister } => stop(canister).await,
        Effect::Start { canister } => manage("start_canister", &OfCanister { canister_id: canister }).await,
        Effect::Delete { canister } => manage("delete_canister", &OfCanister { canister_id: canister }).await,
        Effect::ImportBegin { target, source, bucket_pages } => {
            let args = BeginArgs { job: job.id(), source, bucket_pages };
            match kit(target, "decant_import_begin", &args, |_: KitStatus| Value::Acknowledged).await {
                Outcome::Refused(reason) if reason.code() == ReasonCode::NotEmpty => {
                    Outcome::Refused(trial::blamed(target, reason).await)
                }
                outcome => outcome,
            }
        }
        Effect::Offer { source, reader } => {
            let args = OfferArgs { job: job.id(), reader };
            kit(source, "decant_offer", &args, |_: KitStatus| Value::Acknowledged).await
        }
        Effect::Precopy { target, max_batches } => {
            let args = PrecopyPullArgs { job: job.id(), max_batches };
            kit(target, "decant_import_precopy", &args, pulled).await
        }
        Effect::Pull { target, root, max_batches } => {
            let args = PullArgs { job: job.id(), root: ByteBuf::from(root.0), max_batches };
            kit(target, "decant_import_pull", &args, |progress: PullProgress| {
                if progress.is_complete {
                    store::count_target_calls(progress.calls);
                }
                pulled(progress)
            })
            .await
        }
        Effect::Verify { target } => hash(target, "decant_import_verify", of_job).await,
        Effect::Activate { target } => {
            kit(target, "decant_activate", &of_job, |_: KitStatus| Value::Acknowledged).await
        }
        Effect::Freeze { source, reader } => {
            let args = FreezeArgs { job: job.id(), reader };
            kit(source, "decant_freeze", &args, |_: KitStatus| Value::Acknowledged).await
        }
        Effect::Seal { source } => hash(source, "decant_seal", of_job).await,
        Effect::Recheck { source } => hash(source, "decant_recheck", of_job).await,
        Effect::Thaw { source } => {
            kit(source, "decant_thaw", &of_job, |_: KitStatus| Value::Acknowledged).await
        }
        Effect::Retire { source, to } => {
            let args = RetireArgs { job: job.id(), to };
            kit(source, "decant_retire", &args, |_: KitStatus| Value::Acknowledged).await
        }
        Effect::Reinstate { source, to } => {
            let args = RetireArgs { job: job.id(), to };
            kit(source, "decant_reinstate", &args, |_: KitStatus| Value::Acknowledged).await
        }
        Effect::Drain { source, to, keep_cycles } => drain(job, source, to, keep_cycles).await,
        Effect::Swap { index, from, to } => swap(job, index, from, to).await,
        Effect::CheckAssets { canister } => assets::check(job, canister).await,
        Effect::Recall { module_hash, stable_pages, .. } => {
            vessels::recall(job, &module_hash, stable_pages).await
        }
        Effect::ListSnapshots { canister } => vessels::list(canister).await,
        Effect::FindSnapshots { canister, known } => vessels::find(canister, &known).await,
        Effect::TakeSnapshot { canister, replaced } => vessels::take(canister, replaced).await,
        Effect::ReadImage { canister, snapshot } => vessels::read_image(job, canister, &snapshot).await,
        Effect::KeepModule { canister, snapshot, module_hash } => {
            vessels::keep_module(job, canister, &snapshot, &module_hash).await
        }
        Effect::Upgrade { canister, module_hash } => vessels::upgrade(job, canister, &module_hash).await,
        Effect::Measure { source, bucket_pages } => measure(job, source, bucket_pages).await,
        Effect::UploadMetadata { canister, saved, pages } => {
            vessels::upload_metadata(canister, &saved, pages).await
        }
        Effect::UploadRest { canister, saved, uploaded } => {
            vessels::upload_rest(canister, &saved, &uploaded).await
        }
        Effect::Pour { source, snapshot, bucket_pages, max_calls } => {
            let args = PourArgs { job: job.id(), snapshot: snapshot.0, bucket_pages, max_calls };
            kit(source, "decant_pour", &args, |progress: PourProgress| Value::Poured {
                next_page: progress.next_page,
                is_complete: progress.is_complete,
                wire_bytes: progress.wire_bytes,
            })
            .await
        }
        Effect::LoadSnapshot { canister, snapshot } => vessels::load(canister, &snapshot).await,
        Effect::DeleteSnapshot { canister, snapshot } => vessels::delete(canister, &snapshot).await,
    }
}

fn pulled(progress: PullProgress) -> Value {
    let PullProgress { is_complete, done_bytes, wire_bytes, verified, .. } = progress;
    // A root that is none is as good as no answer: the target is asked again.
    let verified = verified.and_then(sealed);
    Value::Pulled { is_complete, done_bytes, wire_bytes, verified }
}

/// Calls a method that may be repeated: it waits a bounded time.
async fn ask(canister: Principal, method: &str, args: &impl CandidType) -> Result<Response, CallFailed> {
    let call = Call::bounded_wait(canister, method).change_timeout(TIMEOUT_SECONDS);
    money::send(call.with_arg(args)).await
}

/// A call to the kit that changes something: safe to repeat, so it waits a bounded time.
async fn kit<R: CandidType + DeserializeOwned>(
    canister: Principal,
    method: &str,
    args: &impl CandidType,
    value: impl FnOnce(R) -> Value,
) -> Outcome {
    match ask(canister, method, args).await {
        // Whoever answers something else than a kit does ran code of its own.
        Ok(response) => answered(response, value).unwrap_or_else(Outcome::Unknown),
        Err(error) => failed_effect(&error),
    }
}

/// What a kit answered.
///
/// # Errors
/// No kit answers so.
fn answered<R: CandidType + DeserializeOwned>(
    response: Response,
    value: impl FnOnce(R) -> Value,
) -> Result<Outcome, Reason> {
    match replies::told::<Result<R, KitError>>(response) {
        Ok(Ok(answer)) => Ok(Outcome::Done(value(answer))),
        Ok(Err(error)) => Ok(refused(&error)),
        Err(why) => Err(Reason::new(ReasonCode::NoKit, why)),
    }
}

/// A call to the kit that hashes. Hooks of the dapp may run, and trap: whatever that left, it is undone with all that the job
/// did to the canister before.
async fn hash(canister: Principal, method: &str, args: JobArgs) -> Outcome {
    let response = match ask(canister, method, &args).await {
        Ok(response) => response,
        Err(error) => return failed_question(&error),
    };
    let mut is_malformed = false;
    let outcome = answered(response, |progress: SealProgress| match progress {
        SealProgress::Working { done_bytes, .. } => Value::Working { done_bytes },
        SealProgress::Done(seal) => match sealed(seal) {
            Some(seal) => Value::Hashed(seal),
            None => {
                is_malformed = true;
                Value::Acknowledged
            }
        },
    });
    if is_malformed {
        return Outcome::Refused(Reason::new(
            ReasonCode::NoKit,
            format!("{method} answered a root that is none"),
        ));
    }
    outcome.unwrap_or_else(Outcome::Refused)
}

/// The cycles travel in a message of the source, unbounded. The question does not: nobody waits for ever for a canister
/// that may never answer, and a drain that is asked for again sends what is left.
async fn drain(job: &Job, source: Principal, to: Principal, keep: u128) -> Outcome {
    let args = DrainArgs { job: job.id(), to, keep };
    let drained_before = job.counters().drained_cycles;
    kit(source, "decant_drain", &args, |amount: Nat| Value::Drained {
        total_cycles: drained_before.saturating_add(amount.0.try_into().unwrap_or(0)),
    })
    .await
}

/// Sends what is left of the cycles of a source that runs the vessel. Whether it did is seen by its balance alone.
pub(crate) async fn drain_rest(job: JobId, source: Principal, to: Principal) {
    for _ in 0..DRAIN_TRIES {
        if ask(source, "decant_drain", &DrainArgs { job, to, keep: 0 }).await.is_ok() {
            return;
        }
    }
}

async fn swap(job: &Job, index: Principal, from: Principal, to: Principal) -> Outcome {
    if job.target() == Some(to) {
        store::name_route(to);
    }
    let was_anothers = job.target() == Some(to) && store::emptied_by(to, u64::MAX).is_some();
    let args = SwapArgs { job: job.id(), from, to, is_recycled: was_anothers.then_some(true) };
    let response = ask(index, "decant_swap", &args).await;
    let response = match response {
        Ok(response) => response,
        Err(error) => return failed_effect(&error),
    };
    match replies::told::<Result<(), SwapError>>(response) {
        Ok(Ok(())) => Outcome::Done(Value::Acknowledged),
        Ok(Err(error)) => {
            let code = match &error {
                SwapError::NotAuthorised { .. } => ReasonCode::NotAuthorised,
                SwapError::UnknownRoute { .. } => ReasonCode::NoRoute,
                SwapError::Conflict { .. } => ReasonCode::RouteConflict,
            };
            Outcome::Refused(Reason::new(code, error.to_string()))
        }
        // Nobody knows what an index did that answers something else.
        Err(why) => Outcome::Unknown(Reason::new(ReasonCode::Rejected, why)),
    }
}

/// Tells somebody what became of jobs. Whether it answered.
pub(crate) async fn tell(who: Principal, batch: &[Ended]) -> bool {
    ask(who, "decant_ended", &batch).await.is_ok()
}

async fn manage(method: &str, args: &impl CandidType) -> Outcome {
    match management::ask_for(TIMEOUT_SECONDS, method, args).await {
        Ok(_) => Outcome::Done(Value::Acknowledged),
        Err(error) => failed(&error),
    }
}

/// A stop is answered when all calls of the canister are closed, after 5 minutes at the latest (spec, `stop_canister`). It
/// goes on when nobody waits for that any more: its status says how it ended.
async fn stop(canister: Principal) -> Outcome {
    let stopped =
        management::ask_for(STOP_SECONDS, "stop_canister", &OfCanister { canister_id: canister }).await;
    match stopped.as_ref().map_err(failed) {
        Ok(_) => Outcome::Done(Value::Acknowledged),
        Err(Outcome::Unknown(reason)) => {
            Outcome::Unknown(Reason::new(ReasonCode::StopTimedOut, reason.detail()))
        }
        Err(other) => other,
    }
}

async fn install(job: &Job, canister: Principal, role: ModuleRole, hash: &Digest) -> Outcome {
    let Some(Plan { strategy, tombstone, .. }) = store::plan(job.plan().plan_id).map(|record| record.plan)
    else {
        return Outcome::Refused(Reason::new(ReasonCode::WrongModule, "the plan is gone"));
    };
    let (mode, module, arg) = match (role, strategy) {
        (ModuleRole::Compact, Strategy::Relocate(relocation)) => {
            (InstallMode::Install, Some(relocation.module), relocation.init_arg)
        }
        (ModuleRole::Compact, _) => (InstallMode::Install, None, ByteBuf::new()),
        // Plans of earlier builds name a tombstone of their own; all others leave a vessel.
        (ModuleRole::Tombstone, _) if tombstone.as_ref().is_some_and(|it| it.hash.as_slice() == hash.0) => {
            (InstallMode::Reinstall, tombstone, tombstone_arg(job))
        }
        (ModuleRole::Tombstone, _) => return vessels::entomb(job, canister).await,
    };
    let Some(module) = module else {
        return Outcome::Refused(Reason::new(ReasonCode::WrongModule, "the plan names no such module"));
    };
    let args = InstallChunkedCode {
        mode,
        target_canister: canister,
        store_canister: Some(ic_cdk::api::canister_self()),
        chunk_hashes_list: module.chunk_hashes.into_iter().map(|hash| ChunkHash { hash }).collect(),
        wasm_module_hash: module.hash,
        arg,
    };
    installed(management::ask_for(TIMEOUT_SECONDS, "install_chunked_code", &args).await)
}

/// What the tombstone is told.
fn tombstone_arg(job: &Job) -> ByteBuf {
    #[derive(CandidType)]
    struct Arg {
        moved_to: Principal,
        job: u64,
        coordinator: Principal,
    }
    let moved_to = job.target().unwrap_or(Principal::management_canister());
    let arg = Arg { moved_to, job: job.id(), coordinator: ic_cdk::api::canister_self() };
    ByteBuf::from(candid::encode_one(arg).unwrap_or_default())
}

/// How a canister is, and what somebody else did to its code since.
async fn look(job: &Job, canister: Principal, since_nanos: u64) -> Outcome {
    let mut view = match canister_status(job, canister).await {
        Outcome::Done(Value::Canister(view)) => view,
        other => return other,
    };
    let info = match management::history(canister).await {
        Ok(response) => replies::told::<Info>(response),
        Err(error) => return failed(&error),
    };
    let Ok(Info { recent_changes }) = info else {
        return Outcome::Refused(Reason::new(ReasonCode::Rejected, "the history does not decode"));
    };
    let others = recent_changes.iter().rev().filter(|change| change.timestamp_nanos > since_nanos);
    for change in others.filter(|change| !is_own(&change.origin)) {
        let Some(details) = &change.details else { continue };
        let what = told(&change.origin, details);
        if is_emptying(details) {
            view.emptied.get_or_insert_with(|| what.clone());
        }
        view.acted.get_or_insert(what);
    }
    Outcome::Done(Value::Canister(view))
}

pub(crate) fn is_own(origin: &Origin) -> bool {
    matches!(origin, Origin::Canister { canister_id } if *canister_id == ic_cdk::api::canister_self())
}

/// Whether it took stable memory away, or put another in its place.
fn is_emptying(change: &Change) -> bool {
    match change {
        Change::Uninstall | Change::Load {} => true,
        Change::Deployment { mode, .. } => *mode != DeploymentMode::Upgrade,
    }
}

/// What somebody did, for people.
fn told(origin: &Origin, change: &Change) -> String {
    let who = match origin {
        Origin::User { user_id } => user_id,
        Origin::Canister { canister_id } => canister_id,
    };
    match change {
        Change::Uninstall => format!("{who} uninstalled it"),
        Change::Load {} => format!("{who} loaded a snapshot"),
        Change::Deployment { mode, module_hash } => {
            let hash = decant_words::hex(module_hash.get(..6).unwrap_or_default());
            let how = match mode {
                DeploymentMode::Upgrade => "upgraded it to",
                DeploymentMode::Install | DeploymentMode::Reinstall => "installed",
            };
            format!("{who} {how} {hash}")
        }
    }
}

/// What a sealed vessel holds, and how large its compact image would be.
async fn measure(job: &Job, source: Principal, bucket_pages: u16) -> Outcome {
    let status = match ask(source, "decant_status", &()).await {
        Ok(response) => replies::told::<KitStatus>(response),
        Err(error) => return failed_question(&error),
    };
    let Ok(KitStatus { layout, stable_pages, .. }) = status else {
        return Outcome::Refused(Reason::new(ReasonCode::NoKit, "its status does not decode"));
    };
    let args = PourArgs { job: job.id(), snapshot: ByteBuf::new(), bucket_pages, max_calls: 0 };
    kit(source, "decant_pour", &args, |progress: PourProgress| {
        vessels::measured(layout, stable_pages, &progress)
    })
    .await
}

/// Whether the plan names the module, where it names some.
fn is_planned(job: &Job, module: Option<&[u8]>) -> bool {
    let Some(plan) = store::plan(job.plan().plan_id).map(|record| record.plan) else { return false };
    let named: Vec<&[u8]> = match &plan.strategy {
        Strategy::Relocate(relocation) => match &relocation.sources {
            Some(sources) => sources.iter().map(|hash| hash.as_slice()).collect(),
            None => return true,
        },
        other => {
            other.by_vessel().into_iter().flat_map(|by| &by.modules).map(|it| it.hash.as_slice()).collect()
        }
    };
    module.is_some_and(|module| named.contains(&module))
}

async fn canister_status(job: &Job, canister: Principal) -> Outcome {
    let of = OfCanister { canister_id: canister };
    let response = match management::ask_for(TIMEOUT_SECONDS, "canister_status", &of).await {
        Ok(response) => response,
        Err(error) if is_gone(&error) => return Outcome::Done(Value::Gone),
        Err(error) => return failed(&error),
    };
    let Ok(status) = replies::told::<Status>(response) else {
        return Outcome::Refused(Reason::new(ReasonCode::Rejected, "the status does not decode"));
    };
    let metrics = status.memory_metrics.as_ref();
    let mut controllers = status.settings.controllers.clone();
    controllers.sort();
    let stable_pages = number(metrics.and_then(|metrics| metrics.stable_memory_size.as_ref())) / PAGE_BYTES;
    let module = status.module_hash.as_ref().and_then(|hash| digest(hash));
    Outcome::Done(Value::Canister(CanisterView {
        run_state: match status.status {
            RunState::Running => engine::RunState::Running,
            RunState::Stopping => engine::RunState::Stopping,
            RunState::Stopped => engine::RunState::Stopped,
        },
        module_hash: module.map(|module| vessels::called(job, canister, module, stable_pages)),
        settings: Settings {
            controllers,
            others: ByteBuf::from(candid::encode_one(status.settings.others()).unwrap_or_default()),
        },
        balance_cycles: u128::try_from(&status.cycles.0).unwrap_or(u128::MAX),
        snapshots_bytes: number(metrics.and_then(|metrics| metrics.snapshots_size.as_ref())),
        memory_bytes: number(status.memory_size.as_ref()),
        stable_pages,
        freezing_cycles: freezing_cycles(&status),
        freezing_seconds: number(status.settings.freezing_threshold.as_ref()),
        is_planned: is_planned(job, status.module_hash.as_ref().map(|hash| hash.as_slice())),
        chunk_store_bytes: number(metrics.and_then(|metrics| metrics.wasm_chunk_store_size.as_ref())),
        minimum_call_cycles: number(status.settings.minimum_incoming_canister_call_cycles.as_ref()).into(),
        heap_limit_bytes: Some(number(status.settings.wasm_memory_limit.as_ref())).filter(|bytes| *bytes > 0),
        has_public_snapshots: matches!(status.settings.snapshot_visibility, Some(Visibility::Public)),
        version: status.version,
        acted: None,
        emptied: None,
    }))
}

/// A figure that a replica may not tell.
fn number(figure: Option<&Nat>) -> u64 {
    figure.map_or(0, |figure| u64::try_from(&figure.0).unwrap_or(u64::MAX))
}

/// Cycles below which a canister is frozen: what it burns in the seconds of its freezing threshold.
fn freezing_cycles(status: &Status) -> u128 {
    const SECONDS_A_DAY: u128 = 86_400;
    let per_day = u128::from(number(status.idle_cycles_burned_per_day.as_ref()));
    let seconds = u128::from(number(status.settings.freezing_threshold.as_ref()));
    per_day.saturating_mul(seconds) / SECONDS_A_DAY
}

/// The settings that a source had, for its target.
fn restored(settings: Settings) -> Result<NewSettings, Reason> {
    let others: NewSettings = candid::decode_one(&settings.others)
        .map_err(|error| Reason::new(ReasonCode::Contradiction, error.to_string()))?;
    Ok(NewSettings { controllers: Some(settings.controllers), ..others })
}

/// What a canister of the pool has (spec: the defaults of `create_canister`).
fn defaults() -> NewSettings {
    NewSettings {
        controllers: Some(vec![ic_cdk::api::canister_self()]),
        compute_allocation: Some(Nat::from(0u8)),
        memory_allocation: Some(Nat::from(0u8)),
        freezing_threshold: Some(Nat::from(2_592_000u32)),
        log_visibility: Some(Visibility::Controllers),
        snapshot_visibility: Some(Visibility::Controllers),
        status_visibility: Some(Visibility::Controllers),
        minimum_incoming_canister_call_cycles: Some(Nat::from(0u8)),
        environment_variables: Some(Vec::new()),
        reserved_cycles_limit: Some(Nat::from(5_000_000_000_000_u64)),
        log_memory_limit: Some(Nat::from(4_096_u32)),
        wasm_memory_limit: Some(Nat::from(3_221_225_472_u64)),
        wasm_memory_threshold: Some(Nat::from(0u8)),
    }
}

async fn kit_status(canister: Principal) -> Outcome {
    let response = ask(canister, "decant_status", &()).await;
    let status = match response {
        Ok(response) => replies::told::<KitStatus>(response),
        Err(error) if is_gone(&error) => return Outcome::Done(Value::Gone),
        Err(error) => return failed_question(&error),
    };
    match status {
        Ok(status) => Outcome::Done(Value::Kit(KitView {
            kit_version: status.kit_version,
            fence: fence(&status.fence),
            layout: match status.layout {
                LayoutSummary::Empty => LayoutView::Empty,
                LayoutSummary::Raw => LayoutView::Raw,
                LayoutSummary::Managed { memories, used_pages, .. } => {
                    LayoutView::Managed { memories, used_pages }
                }
                LayoutSummary::Unreadable { reason } => LayoutView::Unreadable { reason },
            },
            stable_pages: status.stable_pages,
            has_root: status.root.is_some(),
        })),
        Err(why) => Outcome::Refused(Reason::new(ReasonCode::NoKit, why)),
    }
}

fn fence(fence: &Fence) -> FenceView {
    let holder =
        |hold: &Hold| Holder { job: hold.job, is_own: hold.coordinator == ic_cdk::api::canister_self() };
    match fence {
        Fence::Open => FenceView::Open,
        Fence::Frozen(hold) => FenceView::Frozen(holder(hold)),
        Fence::Sealed(hold) => FenceView::Sealed(holder(hold)),
        Fence::Importing(hold) => FenceView::Importing(holder(hold)),
        Fence::Moved { hold, to } => FenceView::Moved { holder: holder(hold), to: *to },
    }
}

fn sealed(Seal { root, used_pages, fingerprint }: Seal) -> Option<engine::Seal> {
    digest(&root).map(|root| engine::Seal { root, used_pages, fingerprint })
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest)
}
