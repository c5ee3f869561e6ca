//! The compact image goes into a snapshot of the source itself, is loaded, and checked where it lies.

use super::checks::{find_snapshots, image, new_snapshot};
use super::undress::starts_vessel;
use super::{Sought, VesselState as At, look, poured_undo, sealed_undo};
use crate::left::{has_now, module_as_left, stopped_as_left};
use crate::relocate::source_gone;
use crate::rules::{Next, Rules, Verdict, When, happened, not_yet, run_state, wrong};
use crate::{
    CanisterView, Digest, Effect, Job, Limits, Reason, ReasonCode, RunState, State, Undo, Value, VesselRole,
    Why,
};

/// The source is sealed. How large is the compact image, and is it still worth it?
pub(super) fn measuring(job: &Job, root: Digest) -> Rules {
    let measure = Effect::Measure { source: job.source, bucket_pages: job.plan.bucket_pages };
    Rules::call(measure)
        .done(move |job, value| {
            let Value::Image(view) = &value else { return wrong(&value) };
            Ok(match image(job, view) {
                Ok(compact_pages) => {
                    job.counters.nested_pages = view.nested_pages;
                    let Some(held) = job.held.as_mut() else { return Err(Why::WrongState) };
                    held.compact_pages = compact_pages;
                    Next::Enter(State::Vessel(At::Owning { root }))
                }
                Err(reason) => Next::Fail(reason),
            })
        })
        .undo(sealed_undo(job))
}

/// It is. A vessel writes to a snapshot of its own canister as its own controller. Whoever else controls it still does.
pub(super) fn owning(job: &Job, root: Digest) -> Option<Rules> {
    let source = job.source;
    let mut controllers = job.held.as_ref()?.owners.clone();
    controllers.push(source);
    let rules = Rules::call(Effect::SetControllers { canister: source, controllers })
        .then(move |_| State::Vessel(At::Planned { root }))
        .look_at(When::First, look(job.source_left.as_ref(), source), source_gone, |job, view| {
            module_as_left(job.source_left.as_ref(), view)
                .map_or_else(Verdict::Yield, |()| happened(note_owners(job, view)))
        })
        .undo(sealed_undo(job))
        .undo_call(Undo::Disown);
    Some(rules)
}

/// Remembers who else controls the source now; answers whether it controls itself.
pub(crate) fn note_owners(job: &mut Job, view: &CanisterView) -> bool {
    let (source, all) = (job.source, &view.settings.controllers);
    if let Some(held) = &mut job.held {
        held.owners = all.iter().filter(|it| **it != source).copied().collect();
    }
    all.contains(&source)
}

fn owned_undo(job: &Job) -> Vec<Undo> {
    let mut undo = sealed_undo(job);
    undo.push(Undo::Disown);
    undo.sort_unstable();
    undo
}

fn filled_undo(job: &Job) -> Vec<Undo> {
    let mut undo = poured_undo(job);
    undo.push(Undo::Disown);
    undo.sort_unstable();
    undo
}

/// It may. An uploaded snapshot is zeros of the size that it is told; certified data and timer as saved.
pub(super) fn planned(job: &Job, root: Digest) -> Option<Rules> {
    let (source, held, sought) = (job.source, job.held.as_ref()?, Sought::uploaded(job));
    let upload =
        Effect::UploadMetadata { canister: source, saved: held.saved.clone()?, pages: held.compact_pages };
    let rules = Rules::call(upload)
        .done(move |job, value| {
            let (Value::Snapshot(id), Some(held)) = (&value, &mut job.held) else { return wrong(&value) };
            held.uploaded = Some(id.clone());
            Ok(Next::Enter(State::Vessel(At::Furnishing { root })))
        })
        .look(When::AfterLost, find_snapshots(job, source), move |job, value| {
            new_snapshot(job, value, None, &sought)
        })
        .undo(owned_undo(job))
        .undo_call(Undo::DropUploaded)
        .makes_snapshot(sought);
    Some(rules)
}

/// What a snapshot has besides pages: an empty module, over which the vessel is installed. The same bytes at the same place.
pub(super) fn furnishing(job: &Job, root: Digest) -> Option<Rules> {
    let held = job.held.as_ref()?;
    let (saved, uploaded) = (held.saved.clone()?, held.uploaded.clone()?);
    let rules = Rules::call(Effect::UploadRest { canister: job.source, saved, uploaded })
        .then(move |_| State::Vessel(At::Pouring { root }))
        .undo(filled_undo(job));
    Some(rules)
}

/// It lacks nothing but pages, which the vessel writes, the header page last; it answers where it is.
pub(super) fn pouring(job: &Job, root: Digest, limits: &Limits) -> Option<Rules> {
    let pour = Effect::Pour {
        source: job.source,
        snapshot: job.held.as_ref()?.uploaded.clone()?,
        bucket_pages: job.plan.bucket_pages,
        max_calls: limits.max_calls_per_pour,
    };
    let rules = Rules::call(pour)
        .done(move |job, value| {
            let Value::Poured { next_page, is_complete, wire_bytes } = value else { return wrong(&value) };
            job.counters.wire_bytes = job.counters.wire_bytes.max(wire_bytes);
            Ok(match is_complete {
                true => Next::Enter(State::Vessel(At::Disowning { root })),
                false => Next::Again { done_bytes: next_page },
            })
        })
        .undo(filled_undo(job));
    Some(rules)
}

/// The compact image is in it. The source controls itself no more, unless it did before: as it was.
pub(super) fn disowning(job: &Job, root: Digest) -> Option<Rules> {
    let source = job.source;
    let controllers = job.held.as_ref()?.owners.clone();
    let rules = Rules::call(Effect::SetControllers { canister: source, controllers })
        .then(move |_| State::Vessel(At::Halting { root }))
        .look_at(When::First, look(job.source_left.as_ref(), source), source_gone, |job, view| {
            module_as_left(job.source_left.as_ref(), view)
                .map_or_else(Verdict::Yield, |()| happened(!note_owners(job, view) || controlled_itself(job)))
        })
        .undo(filled_undo(job));
    Some(rules)
}

/// Whether the source was its own controller when the job began.
pub(crate) fn controlled_itself(job: &Job) -> bool {
    job.held.as_ref().is_some_and(|held| held.owns_itself)
}

/// The vessel is stopped, as whatever is loaded onto.
pub(super) fn halting(job: &Job, root: Digest) -> Rules {
    stops_vessel(job, State::Vessel(At::Halted { root }), poured_undo(job))
}

/// The source, a vessel, stops.
fn stops_vessel(job: &Job, next: State, undo: Vec<Undo>) -> Rules {
    let source = job.source;
    Rules::call(Effect::Stop { canister: source })
        .then(move |_| next)
        .look_at(When::First, look(job.source_left.as_ref(), source), source_gone, |job, view| {
            run_state(module_as_left(job.source_left.as_ref(), view), view, RunState::Stopped)
        })
        .undo(undo)
}

/// The compact image takes the place of the bloated one. Once more, it is as it was.
pub(super) fn halted(job: &Job, root: Digest) -> Option<Rules> {
    let source = job.source;
    let snapshot = job.held.as_ref()?.uploaded.clone()?;
    let rules =
        Rules::call(Effect::LoadSnapshot { canister: source, snapshot })
            .then(move |job| {
                if let Some(left) = &mut job.source_left {
                    left.module = Some(EMPTY_MODULE);
                }
                State::Vessel(At::Loaded { root })
            })
            .look_at(When::First, look(job.source_left.as_ref(), source), source_gone, |job, view| {
                match has_now(job, view, EMPTY_MODULE) {
                    true => Verdict::Happened,
                    false => not_yet(stopped_as_left(job.source_left.as_ref(), view)),
                }
            })
            .undo(poured_undo(job));
    Some(rules)
}

/// SHA-256 of the module that an uploaded snapshot has: a header and nothing else (`\0asm`, version 1).
pub const EMPTY_MODULE: Digest = Digest([
    0x93, 0xa4, 0x4b, 0xbb, 0x96, 0xc7, 0x51, 0x21, 0x8e, 0x4c, 0x00, 0xd4, 0x79, 0xe4, 0xc1, 0x43, 0x58,
    0x12, 0x2a, 0x38, 0x9a, 0xcc, 0xa1, 0x62, 0x05, 0xb1, 0xe4, 0xd0, 0xdc, 0x5f, 0x94, 0x76,
]);

/// The image is in place, below no code at all: the vessel over it.
pub(super) fn loaded(job: &Job, root: Digest) -> Option<Rules> {
    let source = job.source;
    let vessel_hash = job.held.as_ref()?.vessel_hash?;
    let role = VesselRole::Source { reader: source };
    let rules = Rules::call(Effect::InstallVessel { canister: source, role, vessel_hash })
        .then(move |job| {
            if let Some(left) = &mut job.source_left {
                left.module = Some(vessel_hash);
            }
            State::Vessel(At::Revived { root })
        })
        .look_at(When::IfStale, look(job.source_left.as_ref(), source), source_gone, move |job, view| {
            match has_now(job, view, vessel_hash) {
                true => Verdict::Happened,
                false => not_yet(module_as_left(job.source_left.as_ref(), view)),
            }
        })
        .undo(poured_undo(job));
    Some(rules)
}

/// The vessel is there again, and starts.
pub(super) fn revived(job: &Job, root: Digest) -> Rules {
    starts_vessel(job, State::Vessel(At::Proving { root }), poured_undo(job))
}

/// It runs. Is what is there now what was sealed?
pub(super) fn proving(job: &Job, root: Digest) -> Rules {
    Rules::call(Effect::Seal { source: job.source })
        .done(move |_, value| match value {
            Value::Working { done_bytes } => Ok(Next::Again { done_bytes }),
            Value::Hashed(seal) if seal.root == root => Ok(Next::Enter(State::Vessel(At::Resting { root }))),
            Value::Hashed(_) => Ok(Next::Fail(Reason::new(
                ReasonCode::RootMismatch,
                "the compact image is not what was sealed",
            ))),
            other => wrong(&other),
        })
        .undo(poured_undo(job))
}
