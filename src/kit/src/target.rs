//! The endpoints of a target. Each authorises, converts and delegates; [`export!`](crate::export) exports
//! them.

use std::cell::Cell;

use candid::{CandidType, Principal};
use decant_api::KitError;
use decant_api::source::{DigestsArgs, FramesArgs, OpenArgs, PrecopyArgs, PrecopyBatch};
pub use decant_api::source::{JobArgs, KitStatus, SealProgress};
pub use decant_api::target::{BeginArgs, PrecopyPullArgs, PullArgs, PullProgress};
use decant_transfer::Digest;
use ic_cdk::api::{canister_version, instruction_counter, time};
use ic_cdk::call::{Call, CallFailed};
use serde::de::DeserializeOwned;

use crate::budget;
use crate::fence::{self, Act, Asker};
use crate::hooks::Hooks;
use crate::import::{Import, Reply, Request, Verdict};
use crate::limits::{BEFORE_LOAD_INSTRUCTIONS, PULL_REQUESTS, READ_TIMEOUT_SECONDS};
use crate::replies::{self, DATA_BYTES};
use crate::source::controller;
use crate::stable::{CanisterMemory, Stable};
use crate::state;

/// Reject code of a call whose outcome is unknown (interface specification, "Reject codes").
const SYS_UNKNOWN: u32 = 6;

/// Makes an empty canister a target: nothing is taken until it is activated.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`], [`KitError::WrongFence`]; [`KitError::NotEmpty`];
/// [`KitError::Layout`] if the job began with another bucket size.
pub fn begin(args: BeginArgs) -> Result<KitStatus, KitError> {
    let asker = controller(args.job)?;
    let act = Act::Begin { source: args.source, now_nanos: time() };
    state::with(|kit| {
        kit.check(act, &asker)?;
        if let Some(import) = &kit.import {
            let begun = import.bucket_pages();
            if begun != args.bucket_pages {
                let reason = format!("the import began with buckets of {begun} pages");
                return Err(KitError::Layout { reason });
            }
            return Ok(kit.status());
        }
        let stable_pages = CanisterMemory.size_pages();
        if stable_pages > 0 {
            return Err(KitError::NotEmpty { stable_pages });
        }
        if kit.act(act, &asker)? {
            kit.clear();
            kit.timer.park();
            kit.activated = None;
            kit.import = Some(Import::new(args.bucket_pages));
            kit.watch.begin(canister_version());
        }
        Ok(kit.status())
    })
}

/// Reads what the source holds while that still serves, every chunk once, and writes it where it will be. While
/// another call of it, or of [`pull`], is under way it only tells how far that is.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`], [`KitError::WrongFence`]; [`KitError::CallFailed`]
/// if the source did not answer; what it says if it refused; [`KitError::Transfer`], [`KitError::Layout`] and
/// [`KitError::NotEmpty`]. What was written stays: go on with or without the rest.
pub async fn precopy(args: PrecopyPullArgs) -> Result<PullProgress, KitError> {
    let asker = controller(args.job)?;
    let source = source_of(&asker)?;
    let _pulling = match Pulling::begin() {
        Some(pulling) => pulling,
        None => return importing(&asker, |import| Ok(import.precopy_progress())),
    };
    for _ in 0..args.max_batches.min(PULL_REQUESTS) {
        let Some(from) = importing(&asker, |import| Ok(import.precopy_request()))? else { break };
        let args = PrecopyArgs { job: asker.job, from };
        let (batch, bytes) = answer::<PrecopyBatch>(source, "decant_precopy", &args).await?;
        let batch = batch?;
        importing(&asker, |import| import.accept_precopy(&batch, from, bytes, &mut CanisterMemory))?;
    }
    let progress = importing(&asker, |import| Ok(import.precopy_progress()))?;
    state::with(|kit| kit.bytes_done = progress.done_bytes);
    Ok(progress)
}

/// Reads from the source and writes the image, which the first pull also verifies if that fits into the message. While
/// another call of it is under way it only tells how far that is.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`], [`KitError::WrongFence`]; [`KitError::CallFailed`]
/// if the source did not answer, or refused; [`KitError::RootChanged`] if its root is not the one given; and
/// what [`KitError::Transfer`], [`KitError::Layout`] and [`KitError::NotEmpty`] say. Call again: what was
/// written stays.
pub async fn pull(hooks: &Hooks, args: PullArgs) -> Result<PullProgress, KitError> {
    let asker = controller(args.job)?;
    let root = digest(&args.root)?;
    let source = source_of(&asker)?;
    let _pulling = match Pulling::begin() {
        Some(pulling) => pulling,
        None => return importing(&asker, |import| Ok(import.progress())),
    };
    // A load that traps takes what this message wrote with it. It is told by verify, in a message of its own: the next pull
    // leaves it there.
    let verifies = importing(&asker, |import| Ok(import.is_first_pull()))?;
    for _ in 0..args.max_batches.min(PULL_REQUESTS) {
        let request = importing(&asker, |import| {
            import.resume(&root, &mut CanisterMemory)?;
            Ok(import.request())
        })?;
        let Some(request) = request else { break };
        let (reply, reply_bytes) = ask(source, &asker, request).await?;
        importing(&asker, |import| import.accept(reply, reply_bytes, &root, &mut CanisterMemory))?;
    }
    let progress = importing(&asker, |import| Ok(import.progress()))?;
    state::with(|kit| kit.bytes_done = progress.done_bytes);
    let verified = match verifies && progress.is_complete {
        // What it says otherwise it says again when it is asked.
        true => verify_as(hooks, &asker).ok().and_then(|verified| match verified {
            SealProgress::Done(seal) => Some(seal),
            SealProgress::Working { .. } => None,
        }),
        false => None,
    };
    Ok(PullProgress { verified, ..progress })
}

/// Hashes what was not read back since it was written, a slice a call, and all if anybody else's messages ran
/// here; when its root is the sealed one the dapp loads it and says its
/// fingerprint. The fence stays closed.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`], [`KitError::WrongFence`]; [`KitError::Transfer`]
/// before all is pulled; [`KitError::RootChanged`] if it is not what was sealed. It traps if the load hook
/// does: nothing has happened then.
pub fn verify(hooks: &Hooks, args: JobArgs) -> Result<SealProgress, KitError> {
    verify_as(hooks, &controller(args.job)?)
}

fn verify_as(hooks: &Hooks, asker: &Asker) -> Result<SealProgress, KitError> {
    let is_undisturbed = state::with(|kit| kit.watch.is_undisturbed());
    let (verdict, total_bytes) = importing(asker, |import| {
        let budget = budget::slice(import.chunk_bytes());
        let verdict = import.verify(&CanisterMemory, is_undisturbed, budget)?;
        Ok((verdict, import.progress().total_bytes))
    })?;
    match verdict {
        Verdict::Working(progress) => Ok(progress),
        Verdict::Done(seal) => Ok(SealProgress::Done(seal)),
        Verdict::Load if instruction_counter() > BEFORE_LOAD_INSTRUCTIONS => {
            Ok(SealProgress::Working { done_bytes: total_bytes, total_bytes })
        }
        Verdict::Load => {
            (hooks.load)();
            let fingerprint = (hooks.fingerprint)();
            state::with(|kit| kit.timer.park());
            importing(asker, |import| import.loaded(fingerprint)).map(SealProgress::Done)
        }
    }
}

/// Opens the fence of a target that is verified: from now on it is the canister that serves.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`]; [`KitError::WrongFence`] before it is verified,
/// and on an open canister that does not remember this job.
pub fn activate(args: JobArgs) -> Result<KitStatus, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| {
        kit.check(Act::Activate, &asker)?;
        let is_importing = fence::hold(&kit.fence).is_some();
        let verified = kit.import.as_ref().and_then(Import::verified_root);
        // One that was upgraded or installed again has forgotten the job. The coordinator finds out which.
        let was_activated = kit.activated == Some(asker);
        if is_importing && verified.is_none() || !is_importing && !was_activated {
            let wanted = "a target that is verified".to_owned();
            return Err(KitError::WrongFence { fence: Box::new(kit.fence.clone()), wanted });
        }
        if kit.act(Act::Activate, &asker)? {
            kit.import = None;
            kit.root = verified;
            kit.activated = Some(asker);
            kit.timer.restore();
        }
        Ok(kit.status())
    })
}

/// The source that the job imports from.
fn source_of(asker: &Asker) -> Result<Principal, KitError> {
    state::with(|kit| {
        kit.check(Act::Import, asker)?;
        Ok(fence::hold(&kit.fence).map_or(Principal::anonymous(), |hold| hold.peer))
    })
}

/// Works on the import of a job, if it is still that one.
fn importing<R>(asker: &Asker, work: impl FnOnce(&mut Import) -> Result<R, KitError>) -> Result<R, KitError> {
    state::with(|kit| {
        kit.check(Act::Import, asker)?;
        match &mut kit.import {
            Some(import) => work(import),
            None => Err(KitError::Transfer { reason: "no import was begun".to_owned() }),
        }
    })
}

/// Asks the source. Safe to repeat, so it travels with a deadline.
async fn ask(source: Principal, asker: &Asker, request: Request) -> Result<(Reply, u64), KitError> {
    let job = asker.job;
    match request {
        Request::Open { has_copy } => {
            let args = OpenArgs { job, has_copy: Some(has_copy) };
            let (opening, bytes) = call(source, "decant_open", &args).await?;
            Ok((Reply::Opening(opening), bytes))
        }
        Request::Digests { first } => {
            let (page, bytes) = call(source, "decant_digests", &DigestsArgs { job, first }).await?;
            Ok((Reply::Digests(page), bytes))
        }
        Request::Frames(wanted) => {
            let (batch, bytes) = call(source, "decant_frames", &FramesArgs { job, wanted }).await?;
            Ok((Reply::Batch(batch), bytes))
        }
    }
}

/// The answer, and its size on the wire. A refusal is a failed call.
async fn call<R: CandidType + DeserializeOwned>(
    canister: Principal,
    method: &str,
    args: &impl CandidType,
) -> Result<(R, u64), KitError> {
    let (answer, bytes) = answer(canister, method, args).await?;
    match answer {
        Ok(answer) => Ok((answer, bytes)),
        Err(error) => Err(not_answered(canister, method, error.to_string())),
    }
}

/// The answer or the refusal, and its size on the wire.
async fn answer<R: CandidType + DeserializeOwned>(
    canister: Principal,
    method: &str,
    args: &impl CandidType,
) -> Result<(Result<R, KitError>, u64), KitError> {
    let call = Call::bounded_wait(canister, method).with_arg(args).change_timeout(READ_TIMEOUT_SECONDS);
    let response = call.await;
    state::entered();
    let response = response.map_err(|error| call_failed(canister, method, &error))?;
    let reply = response.into_bytes();
    match replies::decoded::<Result<R, KitError>>(&reply, DATA_BYTES) {
        Ok(answer) => Ok((answer, reply.len() as u64)),
        Err(why) => Err(not_answered(canister, method, why)),
    }
}

fn not_answered(canister: Principal, method: &str, reason: String) -> KitError {
    KitError::CallFailed { canister, method: method.to_owned(), reason, is_unknown: false }
}

/// A failed call as an error.
pub(crate) fn call_failed(canister: Principal, method: &str, error: &CallFailed) -> KitError {
    let is_unknown = match error {
        CallFailed::CallRejected(rejected) => rejected.raw_reject_code() == SYS_UNKNOWN,
        CallFailed::InsufficientLiquidCycleBalance(_) | CallFailed::CallPerformFailed(_) => false,
    };
    KitError::CallFailed { canister, method: method.to_owned(), reason: error.to_string(), is_unknown }
}

fn digest(bytes: &[u8]) -> Result<Digest, KitError> {
    let bytes = <[u8; Digest::BYTES]>::try_from(bytes);
    let wrong = |_| KitError::Transfer { reason: format!("a root has {} bytes", Digest::BYTES) };
    bytes.map(Digest::new).map_err(wrong)
}

/// Excludes a second pull. Released when dropped, so also when a callback traps.
struct Pulling(());

thread_local! {
    static IS_PULLING: Cell<bool> = const { Cell::new(false) };
}

impl Pulling {
    fn begin() -> Option<Self> {
        match IS_PULLING.replace(true) {
            true => None,
            false => Some(Self(())),
        }
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        IS_PULLING.set(false);
    }
}
