//! The endpoints of a source. Each authorises, converts and delegates; [`export!`](crate::export) exports
//! them.

use candid::Principal;
use decant_api::source::Fence;
pub use decant_api::source::{
    Batch, DigestPage, DigestsArgs, DrainArgs, FramesArgs, FreezeArgs, JobArgs, KitStatus, Manifest,
    OfferArgs, OpenArgs, Opening, PrecopyArgs, PrecopyBatch, RetireArgs, SealProgress,
};
use decant_api::{JobId, KitError};
use ic_cdk::api::{canister_version, instruction_counter, is_controller, msg_caller, time};

use crate::fence::{self, Act, Asker};
use crate::hooks::Hooks;
use crate::limits::BEFORE_SLICE_INSTRUCTIONS;
use crate::sealing::{Sealed, Sealing};
use crate::stable::CanisterMemory;
use crate::state::{self, Kit};
use crate::{budget, cycles, pair, precopy};

/// What everybody may know.
pub fn status() -> KitStatus {
    state::with(|kit| kit.status())
}

/// Lets a target read what stable memory holds while the canister still serves: until it is frozen, or offered to
/// another one.
///
/// # Errors
/// [`KitError::NotAuthorised`] unless the caller is a controller, [`KitError::HeldByOther`],
/// [`KitError::WrongFence`] unless it is open.
pub fn offer(args: OfferArgs) -> Result<KitStatus, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| {
        kit.check(Act::Offer, &asker)?;
        kit.offer = Some(asker.hold(args.reader, time()));
        Ok(kit.status())
    })
}

/// Frames of what stable memory holds now, from a chunk on, as many as fit a reply.
///
/// # Errors
/// [`KitError::NotAuthorised`] for anybody but the reader that it is offered to and controllers;
/// [`KitError::HeldByOther`], [`KitError::WrongFence`] unless it is open and offered to that job;
/// [`KitError::Layout`] unless a `MemoryManager` laid it out.
pub fn precopy(args: PrecopyArgs) -> Result<PrecopyBatch, KitError> {
    let caller = msg_caller();
    state::with(|kit| {
        fence::check_precopy(&kit.fence, kit.offer.as_ref(), args.job, caller, is_controller(&caller))
    })?;
    precopy::frames(&CanisterMemory, args.from, budget::read())
}

/// Closes the fence for a job: from now on the application's updates are refused and its timer is disarmed.
///
/// # Errors
/// [`KitError::NotAuthorised`] unless the caller is a controller, [`KitError::HeldByOther`],
/// [`KitError::WrongFence`].
pub fn freeze(args: FreezeArgs) -> Result<KitStatus, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| {
        if kit.act(Act::Freeze { reader: args.reader, now_nanos: time() }, &asker)? {
            kit.clear();
        }
        // At a repetition too: what was under way at the first call may have armed it again.
        kit.timer.park();
        Ok(kit.status())
    })
}

/// Saves the state, loads it again so that the canister has its heap whatever the save hook did to it, and hashes what is
/// in stable memory, a slice a call; answers what is sealed when all is hashed.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`], [`KitError::WrongFence`]; [`KitError::Layout`] if
/// stable memory is no image. It traps if a hook does, and with the words of [`KitError::NotAPair`] if the hooks do not do
/// what an upgrade does: nothing has happened then.
pub fn seal(hooks: &Hooks, args: JobArgs) -> Result<SealProgress, KitError> {
    let asker = controller(args.job)?;
    let is_saved = state::with(|kit| {
        kit.check(Act::Seal, &asker)?;
        Ok(kit.sealing.is_some())
    })?;
    if !is_saved {
        // Refused by a trap: nothing of it has happened then, so the canister has its heap and its stable memory.
        let fingerprint = pair::save_and_load(hooks, &CanisterMemory)
            .unwrap_or_else(|error| ic_cdk::trap(error.to_string()));
        let progress = state::with(|kit| {
            kit.timer.park();
            let sealing = Sealing::new(&CanisterMemory, kit.told, fingerprint)?;
            let progress = sealing.progress();
            kit.sealing = Some(sealing);
            // From here on: what is written between two slices is in no digest either.
            kit.watch.begin(canister_version());
            Ok(progress)
        })?;
        if instruction_counter() > BEFORE_SLICE_INSTRUCTIONS {
            return Ok(progress);
        }
    }
    state::with(|kit| {
        let sealing = sealing(kit)?;
        let progress = sealing.run(&CanisterMemory, budget::slice(sealing.chunk_bytes()))?;
        let (done_bytes, root) = (sealing.done_bytes(), sealing.sealed().map(|sealed| sealed.root()));
        (kit.bytes_done, kit.root) = (done_bytes, root);
        if root.is_some() {
            kit.act(Act::FinishSeal, &asker)?;
        }
        Ok(progress)
    })
}

/// All that a reader needs first.
///
/// # Errors
/// [`KitError::NotAuthorised`] for anybody but the registered reader and controllers;
/// [`KitError::HeldByOther`], [`KitError::WrongFence`] unless sealed for that job.
pub fn open(args: OpenArgs) -> Result<Opening, KitError> {
    let has_copy = args.has_copy.unwrap_or(false);
    for_reader(args.job, |sealed| sealed.opening(&CanisterMemory, has_copy, budget::read()))
}

/// The manifest.
///
/// # Errors
/// As [`open`].
pub fn manifest(args: JobArgs) -> Result<Manifest, KitError> {
    for_reader(args.job, |sealed| Ok(sealed.manifest().clone()))
}

/// Digests of chunks, as many as fit a reply.
///
/// # Errors
/// As [`open`]; [`KitError::Transfer`] past the last chunk.
pub fn digests(args: DigestsArgs) -> Result<DigestPage, KitError> {
    for_reader(args.job, |sealed| sealed.page(args.first))
}

/// Frames of wanted chunks, as many as fit a reply.
///
/// # Errors
/// As [`open`]; [`KitError::Transfer`] for chunks that do not exist.
pub fn frames(args: FramesArgs) -> Result<Batch, KitError> {
    for_reader(args.job, |sealed| sealed.frames(&CanisterMemory, &args.wanted, budget::read()))
}

/// Looks at the state once more and asks the dapp for its fingerprint once more. Of a sealed source the platform's word is
/// enough that nothing but the kit ran since it was saved; otherwise, and always once it is retired, stable memory is
/// hashed, a slice a call.
///
/// # Errors
/// [`KitError::RootChanged`] if either differs from the seal. Otherwise as [`seal`].
pub fn recheck(hooks: &Hooks, args: JobArgs) -> Result<SealProgress, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| kit.check(Act::Recheck, &asker))?;
    let fingerprint = (hooks.fingerprint)();
    state::with(|kit| {
        let is_retired = matches!(kit.fence, Fence::Moved { .. });
        let is_undisturbed = !is_retired && kit.watch.is_undisturbed();
        let sealing = sealing(kit)?;
        let budget = budget::slice(sealing.chunk_bytes());
        sealed(kit)?.recheck(&CanisterMemory, is_undisturbed, budget, &fingerprint)
    })
}

/// Opens the fence again, as if nothing had happened: the timer that was disarmed is armed as it was. What was
/// offered to the job no longer is.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`]; [`KitError::WrongFence`] once the state has moved.
pub fn thaw(args: JobArgs) -> Result<KitStatus, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| {
        if kit.act(Act::Thaw, &asker)? {
            kit.clear();
            kit.timer.restore();
        }
        kit.offer = kit.offer.take().filter(|offer| !asker.holds(offer));
        Ok(kit.status())
    })
}

/// Opens the fence of a coordinator that is lost for good, once it is no controller any more: without control it
/// can neither retire this canister nor activate another one in its place.
///
/// # Errors
/// [`KitError::NotAuthorised`] unless the caller is a controller; [`KitError::WrongFence`] as long as the
/// coordinator is one, and once the state has moved.
pub fn release() -> Result<KitStatus, KitError> {
    let caller = msg_caller();
    if !is_controller(&caller) {
        return Err(KitError::NotAuthorised { caller });
    }
    state::with(|kit| {
        let has_control = fence::hold(&kit.fence).is_some_and(|hold| is_controller(&hold.coordinator));
        if let Some(open) = fence::released(&kit.fence, has_control)? {
            kit.fence = open;
            kit.clear();
            kit.timer.restore();
        }
        Ok(kit.status())
    })
}

/// Says where the state is now: the registered reader. A look that was half done is begun anew.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`]; [`KitError::WrongFence`] unless sealed, and for
/// any other place.
pub fn retire(args: RetireArgs) -> Result<KitStatus, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| {
        kit.act(Act::Retire { to: args.to }, &asker)?;
        if let Ok(sealed) = sealed(kit) {
            sealed.forget_recheck();
        }
        Ok(kit.status())
    })
}

/// Takes back that the state moved: the canister is sealed as before it was retired, and takes no updates before it is
/// thawed. Only for the coordinator and the job that moved it, which know that no other canister takes any.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`]; [`KitError::WrongFence`] unless its state has moved to that
/// place; [`KitError::Transfer`] if it holds none.
pub fn reinstate(args: RetireArgs) -> Result<KitStatus, KitError> {
    let asker = controller(args.job)?;
    let act = Act::Reinstate { to: args.to };
    state::with(|kit| {
        kit.check(act, &asker)?;
        sealed(kit)?;
        kit.act(act, &asker)?;
        Ok(kit.status())
    })
}

/// Looks once more at the state of a retired source, as [`recheck`] does, then sends its cycles away and answers how many.
/// Safe to repeat: what is left is sent then.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`]; [`KitError::WrongFence`] unless the state has
/// moved; [`KitError::Hashing`] until all is hashed, [`KitError::RootChanged`] if it is not what moved;
/// [`KitError::CallFailed`]. The cycles are still here then.
pub async fn drain(hooks: &Hooks, args: DrainArgs) -> Result<u128, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| kit.check(Act::Drain, &asker))?;
    // What a vessel leaves in place of a source holds no state.
    let holds_state = state::with(|kit| kit.sealing.is_some());
    if holds_state
        && let SealProgress::Working { done_bytes, total_bytes } = recheck(hooks, JobArgs { job: args.job })?
    {
        return Err(KitError::Hashing { done_bytes, total_bytes });
    }
    cycles::send_all_but(args.keep, args.to).await
}

/// The caller as the coordinator of a job, if it is a controller.
pub(crate) fn controller(job: JobId) -> Result<Asker, KitError> {
    state::entered();
    let caller: Principal = msg_caller();
    match is_controller(&caller) {
        true => Ok(Asker { job, coordinator: caller }),
        false => Err(KitError::NotAuthorised { caller }),
    }
}

fn for_reader<R>(job: JobId, read: impl FnOnce(&Sealed) -> Result<R, KitError>) -> Result<R, KitError> {
    state::entered();
    let caller = msg_caller();
    state::with(|kit| {
        fence::check_read(&kit.fence, job, caller, is_controller(&caller))?;
        read(sealed(kit)?)
    })
}

fn sealing(kit: &mut Kit) -> Result<&mut Sealing, KitError> {
    kit.sealing.as_mut().ok_or_else(|| lost("nothing was saved: thaw the canister and begin again"))
}

pub(crate) fn sealed(kit: &mut Kit) -> Result<&mut Sealed, KitError> {
    sealing(kit)?.sealed().ok_or_else(|| lost("not all is hashed: seal the canister first"))
}

fn lost(reason: &str) -> KitError {
    KitError::Transfer { reason: reason.to_owned() }
}
