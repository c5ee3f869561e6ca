//! The way back, undo by undo, from the top of the stack to its bottom: users first, then what the job left behind.
//! Each is safe where nothing was done. What somebody else made of a canister meanwhile is theirs, and stays.

use crate::left::{hex, module_as_left};
use crate::relocate::revert;
use crate::rules::{Next, Rules, Verdict, When, happened, wrong};
use crate::vessel::{EMPTY_MODULE, VesselState, controlled_itself, find_snapshots, look, note_owners};
use crate::{
    CanisterView, Effect, FenceView, Job, Reason, ReasonCode, RunState, SnapshotId, State, Undo, Value, Why,
};

/// What the topmost undo says of itself.
pub(crate) fn rules(job: &Job, undo: Undo) -> Option<Rules> {
    match undo {
        Undo::SwapBack { index } => swap_back(job, index),
        Undo::StopSource => Some(stop_source(job)),
        Undo::LoadSaved => load_saved(job),
        Undo::StartSource => Some(start_source(job)),
        Undo::CheckUnserved => check_unserved(job),
        Undo::CheckSealed => check_sealed(job),
        Undo::ThawSource => Some(thaw_source(job)),
        Undo::Disown => disown(job),
        // It parks the job: `apply` does that.
        Undo::Ask => Some(Rules::none()),
        Undo::DropSaved | Undo::DropUploaded => drop_snapshot(job, undo),
        Undo::CheckTarget => check_target(job),
        Undo::UninstallTarget => uninstall_target(job),
        Undo::StartTarget => start_target(job),
        Undo::ResetTarget => reset_target(job),
        // The driver gives it to the pool.
        Undo::ReturnTarget => Some(Rules::none()),
        Undo::OfOldBuild => None,
    }
}

/// The call undid it.
fn undone(_: &mut Job, value: Value) -> Result<Next, Why> {
    match value {
        Value::Acknowledged => Ok(Next::Undone),
        other => wrong(&other),
    }
}

/// The route names the source. Swapping again is answered as the first time.
fn swap_back(job: &Job, index: u16) -> Option<Rules> {
    let index = *job.indexes.get(usize::from(index))?;
    let swap = Effect::Swap { index, from: job.target?, to: job.source };
    // No route names the target, or it names what an operator made it name.
    Some(Rules::call(swap).done(undone).refused(|_, code| {
        matches!(code, ReasonCode::NoRoute | ReasonCode::RouteConflict).then_some(Next::Undone)
    }))
}

/// The vessel stops, as whatever is loaded onto.
fn stop_source(job: &Job) -> Rules {
    let source = job.source;
    let looked = look(job.source_left.as_ref(), source);
    Rules::call(Effect::Stop { canister: source }).done(undone).look(When::First, looked, |job, value| {
        Ok(match value {
            Value::Gone => Verdict::Happened,
            Value::Canister(view) if !is_ours(job, view) => Verdict::Happened,
            Value::Canister(view) => happened(view.run_state == RunState::Stopped),
            other => return wrong(other),
        })
    })
}

/// Whether there is no code but the vessel, or none at all, and nobody else did that.
fn is_ours(job: &Job, view: &CanisterView) -> bool {
    let vessel = job.held.as_ref().and_then(|held| held.vessel_hash);
    view.acted.is_none() && (view.module_hash == vessel || view.module_hash == Some(EMPTY_MODULE))
}

/// The source holds what it held when it was saved: heap, stable memory, module. Nothing is loaded over a canister that
/// somebody else made something of, or that ran its own module.
fn load_saved(job: &Job) -> Option<Rules> {
    let (source, held) = (job.source, job.held.as_ref()?);
    let snapshot = held.saved.clone()?;
    let looked = look(job.source_left.as_ref(), source);
    let saved = hex(&snapshot.0);
    let rules = Rules::call(Effect::LoadSnapshot { canister: source, snapshot })
        // Somebody deleted it: nothing brings it back.
        .refused(move |job, code| {
            let detail = format!("{saved} of {source}");
            let reason = Reason::new(code, detail);
            (code == ReasonCode::NoSnapshot).then(|| Next::Park { reason, resume: job.state.clone() })
        })
        .done(|job, value| {
            if let (Some(left), Some(held)) = (&mut job.source_left, &mut job.held) {
                // The upgrade to the vessel disarmed the timer, and a snapshot that was taken arms none.
                job.times.timer_lost_nanos = held.timer_nanos.filter(|_| held.is_undressed);
                left.module = Some(held.module_hash);
                held.is_undressed = false;
            }
            undone(job, value)
        })
        .look(When::First, looked, |job, value| {
            let view = match value {
                Value::Canister(view) => view,
                // There is nothing to load onto.
                Value::Gone => return Ok(Verdict::Happened),
                other => return wrong(other),
            };
            if let Some(what) = view.emptied.as_ref().filter(|_| target_may_hold(job)) {
                return Ok(Verdict::Follow(keep_copies(job, what)));
            }
            if let Some(what) = &view.acted {
                return Ok(Verdict::Follow(leave_to_others(job, what, view.emptied.is_some())));
            }
            if is_ours(job, view) {
                if let Some(held) = &mut job.held {
                    held.is_undressed = true;
                }
                return Ok(match view.run_state {
                    RunState::Stopped => Verdict::NotYet,
                    // Somebody started the vessel, which takes no calls: it is stopped once more.
                    _ => Verdict::Follow(first(job, Undo::StopSource)),
                });
            }
            Ok(own_module(job, view))
        });
    Some(rules)
}

/// The source runs its own module: it was never undressed, or it is dressed already.
fn own_module(job: &mut Job, view: &CanisterView) -> Verdict {
    let is_own = view.module_hash.is_some() && view.module_hash == job.own_module();
    let Some(held) = &job.held else { return Verdict::Happened };
    if !is_own {
        return Verdict::Follow(leave_to_others(job, "another module, or none", view.module_hash.is_none()));
    }
    if !held.is_undressed || job.target.is_some() {
        return Verdict::Happened;
    }
    // It is dressed: did nothing run it since, for sure? Or it is loaded, by a call whose reply never came.
    let dressed_version = job.source_left.as_ref().and_then(|left| left.version);
    let is_untouched = view.version.is_some() && view.version == dressed_version;
    let is_bloated = view.stable_pages >= job.counters.source_pages;
    match held.root {
        _ if is_untouched && view.run_state == RunState::Stopped => Verdict::NotYet,
        _ if job.attempt.is_unsure && (view.version.is_some() || is_bloated) => Verdict::Happened,
        // It serves, or served: what was saved does not have what users wrote since. It goes forward.
        Some(root) => Verdict::Follow(Next::Enter(State::Vessel(VesselState::Starting { root }))),
        None => Verdict::Follow(leave_to_others(job, "its own module", false)),
    }
}

/// Nothing is loaded. The source starts, and an operator says whether what stands may stay. Where somebody took its state
/// the snapshot is the last copy of that, and stays.
fn leave_to_others(job: &mut Job, what: &str, is_emptied: bool) -> Next {
    let saved = saved(job);
    let then = if is_emptied { "stays: load it, or delete it" } else { "goes with a retry" };
    let detail = format!("{what}. It is left so; snapshot {saved} is from before, and {then}");
    if let State::RollingBack { reason, undo } = &mut job.state {
        *reason = Reason::new(ReasonCode::OthersActed, detail);
        if is_emptied {
            undo.retain(|it| !matches!(it, Undo::DropSaved | Undo::DropUploaded));
        }
        if !undo.contains(&Undo::Ask) {
            undo.push(Undo::Ask);
            undo.sort_unstable();
        }
    }
    Next::Undone
}

/// The snapshot from before, for people.
pub(crate) fn saved(job: &Job) -> String {
    job.held.as_ref().and_then(|held| held.saved.as_ref()).map(|id| hex(&id.0)).unwrap_or_default()
}

/// Somebody took the state of a source that was fenced, and its target may hold it: neither that nor the snapshot from before
/// is touched, whatever an operator does. A source that is opened is so as it stands.
fn keep_copies(job: &mut Job, what: &str) -> Next {
    let target = job.target.map(|target| target.to_text()).unwrap_or_default();
    let snapshot = match saved(job) {
        id if id.is_empty() => id,
        id => format!(" and snapshot {id} of it"),
    };
    let detail = format!(
        "source {}: {what}. Target {target}{snapshot} may hold what it held, and are left alone: a retry starts the source as it \
         stands; to keep the target, route to it in each index and skip",
        job.source
    );
    let reason = Reason::new(ReasonCode::OthersActed, detail);
    let State::RollingBack { undo, .. } = &job.state else { return Next::Undone };
    if !undo.iter().any(|it| matches!(it, Undo::SwapBack { .. })) {
        job.target = None;
    }
    // Whoever loads a snapshot from within the fence brings that back.
    let is_kept = |it: &Undo| matches!(it, Undo::SwapBack { .. } | Undo::ThawSource);
    let undo = undo.iter().copied().filter(is_kept).chain([Undo::StartSource]).collect();
    Next::Park { reason: reason.clone(), resume: State::RollingBack { reason, undo } }
}

/// One more undo, before the topmost one is looked at again.
fn first(job: &Job, once_more: Undo) -> Next {
    let mut again = job.state.clone();
    if let State::RollingBack { undo, .. } = &mut again {
        undo.push(once_more);
    }
    Next::Enter(again)
}

/// The source runs. Where it is gone and a target may hold its state, an operator looks before that is emptied; so where
/// somebody took its state, of which a snapshot, or the target, is the last copy.
fn start_source(job: &Job) -> Rules {
    let source = job.source;
    let rules = Rules::call(Effect::Start { canister: source }).done(undone);
    let (when, looked) = match job.plan.strategy.is_by_vessel() {
        true => (When::First, look(job.source_left.as_ref(), source)),
        // The kit's own fence tells: below.
        false => (When::IfStale, Effect::CanisterStatus { canister: source }),
    };
    rules.look(when, looked, |job, value| match value {
        Value::Canister(view) => {
            if let Some(what) = view.emptied.as_ref().filter(|_| has_copies(job)) {
                if target_may_hold(job) {
                    return Ok(Verdict::Follow(keep_copies(job, what)));
                }
                leave_to_others(job, what, true);
            }
            Ok(happened(view.run_state == RunState::Running))
        }
        Value::Gone => Ok(source_gone(job)),
        other => wrong(other),
    })
}

/// Whether the target may hold what the source held: one by vessel pulls what was sealed.
fn target_may_hold(job: &Job) -> bool {
    job.target.is_some() && job.held.as_ref().is_none_or(|held| held.root.is_some())
}

/// Whether a copy of what the source held is still to be cleared away.
fn has_copies(job: &Job) -> bool {
    let is_clearing = |it: &Undo| matches!(it, Undo::DropSaved | Undo::DropUploaded | Undo::UninstallTarget);
    matches!(&job.state, State::RollingBack { undo, .. } if undo.iter().any(is_clearing))
}

fn source_gone(job: &Job) -> Verdict {
    Verdict::Follow(ask_for_target(job, ReasonCode::Gone))
}

/// The source has no state any more: an operator looks before a target that may hold it is emptied.
fn ask_for_target(job: &Job, code: ReasonCode) -> Next {
    let Some(target) = job.target else { return Next::Undone };
    let detail =
        format!("source {}; target {target} may hold its state, and is left alone by a skip", job.source);
    Next::Park { reason: Reason::new(code, detail), resume: job.state.clone() }
}

/// The source takes all calls.
fn thaw_source(job: &Job) -> Rules {
    let source = job.source;
    let rules = Rules::call(Effect::Thaw { source }).done(undone).refused(|job, code| match code {
        // Another job's fence is not ours to open.
        ReasonCode::HeldByOther => Some(Next::Undone),
        // It was never closed, and whatever somebody put there has none.
        ReasonCode::NoKit if job.times.fenced_nanos.is_none() => Some(Next::Undone),
        // An operator wants it as it stands.
        ReasonCode::NoKit if !has_copies(job) => Some(Next::Undone),
        // It never answers again.
        ReasonCode::Gone | ReasonCode::NoKit => Some(ask_for_target(job, code)),
        _ => None,
    });
    // Before it was fenced what others do is theirs; to thaw twice is as to thaw once.
    let Some(since_nanos) = job.times.fenced_nanos else { return rules };
    // Whoever installed it anew since took what the target may hold, and with it the fence.
    rules.look(When::First, Effect::Look { canister: source, since_nanos }, |job, value| match value {
        Value::Canister(view) => Ok(match view.emptied.as_ref().filter(|_| has_copies(job)) {
            Some(what) => Verdict::Follow(keep_copies(job, what)),
            None => Verdict::NotYet,
        }),
        Value::Gone => Ok(source_gone(job)),
        other => wrong(other),
    })
}

/// The target of a job that was reverted was sealed, and users write to one canister: was it opened while the routes were
/// swapped back? Then an operator decides which of the two goes on. One that has no kit any more, or does not run, takes no
/// writes that were meant for the source.
fn check_sealed(job: &Job) -> Option<Rules> {
    let target = job.target?;
    // It may not be able to answer.
    let call = match job.waits_for_others() {
        true => Effect::CanisterStatus { canister: target },
        false => Effect::KitStatus { canister: target },
    };
    let rules = Rules::call(call).done(move |job, value| {
        let takes_writes = match &value {
            Value::Gone => false,
            Value::Kit(view) => !revert::is_sealed(job, view.fence),
            Value::Canister(view) if job.waits_for_others() => {
                view.run_state == RunState::Running && module_as_left(job.target_left.as_ref(), view).is_ok()
            }
            other => return wrong(other),
        };
        let State::RollingBack { undo, .. } = &job.state else { return Err(Why::WrongState) };
        if !takes_writes {
            return Ok(Next::Undone);
        }
        // It may be this coordinator that could not ask: the kit is asked once more.
        if matches!(value, Value::Canister(_)) && job.attempt.done_bytes == 0 {
            return Ok(Next::Again { done_bytes: 1 });
        }
        Ok(one_of_two(undo, revert::reopened(target)))
    });
    Some(rules.refused(|_, code| (code == ReasonCode::NoKit).then_some(Next::Undone)))
}

/// The target was dressed and stopped when the routes were swapped. Did somebody start it since, so that users whose route
/// names it wrote there? Then an operator decides which of the two goes on.
fn check_unserved(job: &Job) -> Option<Rules> {
    let target = job.target?;
    let rules = Rules::call(look(job.target_left.as_ref(), target)).done(move |job, value| {
        let State::RollingBack { undo, .. } = &job.state else { return Err(Why::WrongState) };
        match value {
            // It holds nothing, or not any more.
            Value::Gone => Ok(Next::Undone),
            Value::Canister(view) if view.module_hash.is_none() => Ok(Next::Undone),
            Value::Canister(view) => Ok(match still_ours(job, &view) {
                Ok(()) => Next::Undone,
                Err(what) => {
                    let detail = format!("target {target} {what}, and may hold what users wrote");
                    one_of_two(undo, Reason::new(ReasonCode::WrittenSince, detail))
                }
            }),
            other => wrong(&other),
        }
    });
    Some(rules)
}

/// Two canisters may each hold what the other lacks: the job waits before the source opens.
fn one_of_two(undo: &[Undo], why: Reason) -> Next {
    let detail = format!(
        "{}: a retry opens the source all the same; to keep the target, route to it in each index and skip",
        why.detail()
    );
    let reason = Reason::new(why.code(), detail);
    let is_check = |undo: &Undo| matches!(undo, Undo::CheckSealed | Undo::CheckUnserved);
    let undo = undo.iter().copied().filter(|undo| !is_check(undo)).collect();
    Next::Park { reason: reason.clone(), resume: State::RollingBack { reason, undo } }
}

/// The source does not control itself, unless it did before.
fn disown(job: &Job) -> Option<Rules> {
    let source = job.source;
    let controllers = job.held.as_ref()?.owners.clone();
    let rules = Rules::call(Effect::SetControllers { canister: source, controllers })
        .done(undone)
        .gone_means(|_| Next::Undone)
        .look(When::First, Effect::CanisterStatus { canister: source }, |job, value| match value {
            Value::Canister(view) => Ok(happened(!note_owners(job, view) || controlled_itself(job))),
            Value::Gone => Ok(Verdict::Happened),
            other => wrong(other),
        });
    Some(rules)
}

/// There is no snapshot of this job. The list says what there is to delete, also when nobody knows what became of
/// a call.
fn drop_snapshot(job: &Job, undo: Undo) -> Option<Rules> {
    // The second snapshot of a relocation is the target's.
    let canister = if undo == Undo::DropUploaded { job.image() } else { job.source };
    let rules = match job.held.as_ref()?.dropping.clone() {
        Some(snapshot) => Rules::call(Effect::DeleteSnapshot { canister, snapshot }),
        None if job.held.as_ref()?.is_unsure => Rules::call(find_snapshots(job, canister)),
        None => Rules::call(Effect::ListSnapshots { canister }),
    };
    let rules = rules
        .done(move |job, value| match value {
            Value::Snapshots(all) => Ok(listed(job, undo, &all, &[])),
            Value::Found(found) => {
                let Some(held) = &job.held else { return Err(Why::WrongState) };
                let made = held.made(&found, held.sought.as_ref());
                let all: Vec<SnapshotId> = found.into_iter().map(|it| it.id).collect();
                Ok(listed(job, undo, &all, &made))
            }
            Value::Acknowledged => Ok(dropped(job)),
            other => wrong(&other),
        })
        .refused(|job, code| match code {
            ReasonCode::NoSnapshot => Some(dropped(job)),
            // A canister that is gone has no snapshots.
            ReasonCode::Gone => Some(Next::Undone),
            _ => None,
        });
    Some(rules)
}

/// What a list of snapshots says when the job goes back: delete one of ours, or nothing is left. `made`: of which nobody knows
/// whether it is ours.
fn listed(job: &mut Job, undo: Undo, all: &[SnapshotId], made: &[SnapshotId]) -> Next {
    let done_bytes = job.attempt.done_bytes.saturating_add(1);
    let resume = job.state.clone();
    let drops_second =
        matches!(&job.state, State::RollingBack { undo, .. } if undo.contains(&Undo::DropUploaded));
    let Some(held) = &mut job.held else { return Next::Undone };
    let is_there = |id: &Option<SnapshotId>| id.as_ref().is_some_and(|id| all.contains(id));
    // What nobody knows of may be the second snapshot of a relocation, which is at the target.
    let is_elsewhere = undo == Undo::DropSaved && job.target.is_some() && drops_second;
    if held.is_unsure && !is_elsewhere {
        // The first list settles what nobody knew: whatever is new in a later one is somebody else's. What takes the
        // place of another one does so in one step: while that is there, what is new is not ours.
        held.is_unsure = false;
        // The size is known before the upload begins, and after the way back is taken.
        let has_place = is_there(if held.compact_pages == 0 { &held.saved } else { &held.uploaded });
        match made {
            _ if has_place => {}
            [] => {}
            [id] => {
                held.dropping = Some(id.clone());
                return Next::Again { done_bytes };
            }
            several => {
                let detail = format!("{} new snapshots; delete what this job made", several.len());
                return Next::Park { reason: Reason::new(ReasonCode::OthersActed, detail), resume };
            }
        }
    }
    let own = if undo == Undo::DropSaved { &mut held.saved } else { &mut held.uploaded };
    if is_there(own) {
        held.dropping = own.clone();
        return Next::Again { done_bytes };
    }
    *own = None;
    Next::Undone
}

/// What was to be deleted is: look again.
fn dropped(job: &mut Job) -> Next {
    let done_bytes = job.attempt.done_bytes.saturating_add(1);
    if let Some(held) = &mut job.held {
        held.dropping = None;
    }
    Next::Again { done_bytes }
}

/// Is the target still this job's? One that serves is not, whoever installed it: the coordinator may have been put back
/// from a snapshot.
fn check_target(job: &Job) -> Option<Rules> {
    let rules = Rules::call(Effect::KitStatus { canister: job.target? })
        .done(|job, value| match value {
            Value::Kit(view) => Ok(match view.fence {
                FenceView::Importing(holder) if holder.is_job(job.id) => Next::Undone,
                // It served, and nobody wrote since it was seen to hold what was moved.
                FenceView::Sealed(holder) if holder.is_job(job.id) && is_reverted(job) => Next::Undone,
                // Nobody ever brought it a state: what it holds is what its init made.
                FenceView::Open if !view.has_root && !is_reverted(job) => Next::Undone,
                _ => give_up_target(job, "holds a state that this job did not bring"),
            }),
            Value::Gone => Ok(give_up_target(job, "is gone")),
            other => wrong(&other),
        })
        // It has no module.
        .refused(|_, code| (code == ReasonCode::NoKit).then_some(Next::Undone));
    Some(rules)
}

/// Whether the job goes back behind its commit point: its target served.
fn is_reverted(job: &Job) -> bool {
    matches!(job.reason_code(), Some(ReasonCode::Reverted | ReasonCode::WrittenSince))
}

/// The target has no module and no state.
fn uninstall_target(job: &Job) -> Option<Rules> {
    let target = job.target?;
    let looked = look(job.target_left.as_ref(), target);
    let rules = Rules::call(Effect::Uninstall { canister: target })
        .done(|job, value| {
            if let Some(left) = &mut job.target_left {
                left.module = None;
            }
            undone(job, value)
        })
        .gone_means(|_| Next::Undone)
        .look(When::First, looked, |job, value| {
            let view = match value {
                Value::Canister(view) => view,
                Value::Gone => return Ok(Verdict::Follow(give_up_target(job, "is gone"))),
                other => return wrong(other),
            };
            if view.module_hash.is_none() && view.acted.is_none() {
                return Ok(Verdict::Happened);
            }
            Ok(match still_ours(job, view) {
                Ok(()) => Verdict::NotYet,
                Err(what) => Verdict::Follow(give_up_target(job, &what)),
            })
        });
    Some(rules)
}

/// Whether the target runs what this job installed, and not the dapp's module before its time.
fn still_ours(job: &Job, view: &CanisterView) -> Result<(), String> {
    let own =
        [job.plan.compact_module(), job.held.as_ref().and_then(|held| held.vessel_hash), job.own_module()];
    if let Some(what) = &view.acted {
        return Err(what.clone());
    }
    if !own.contains(&view.module_hash) {
        return Err("runs another module".to_owned());
    }
    let is_dressed = job.held.is_some() && view.module_hash == job.own_module();
    // One that was stopped again has another version than after its `post_upgrade`.
    let dressed_version = job.target_left.as_ref().and_then(|left| left.version);
    let ran = dressed_version.zip(view.version).is_some_and(|(dressed, now)| dressed != now);
    match is_dressed && (ran || view.run_state != RunState::Stopped) {
        true => Err("was started by somebody, or has other settings".to_owned()),
        false => Ok(()),
    }
}

/// The target runs, as every canister of the pool.
fn start_target(job: &Job) -> Option<Rules> {
    let rules = Rules::call(Effect::Start { canister: job.target? }).done(undone);
    Some(rules.gone_means(|job| give_up_target(job, "is gone")))
}

/// Only the coordinator controls the target, which reserves nothing.
fn reset_target(job: &Job) -> Option<Rules> {
    let target = job.target?;
    let rules = Rules::call(Effect::ResetSettings { canister: target })
        .done(undone)
        .gone_means(|_| Next::Undone)
        .look(When::First, Effect::CanisterStatus { canister: target }, |job, value| match value {
            Value::Canister(view) if view.module_hash.is_none() && view.snapshots_bytes == 0 => {
                Ok(match view.run_state {
                    RunState::Running => Verdict::NotYet,
                    // Somebody stopped it.
                    _ => Verdict::Follow(first(job, Undo::StartTarget)),
                })
            }
            Value::Canister(_) => Ok(Verdict::Follow(give_up_target(job, "is not empty"))),
            Value::Gone => Ok(Verdict::Follow(give_up_target(job, "is gone"))),
            other => wrong(other),
        });
    Some(rules)
}

/// The topmost undo is to be left undone. A target that is not emptied does not go to the pool.
/// `why`: the job is parked for that. Where the source has no state any more, or the operator keeps what users wrote to the
/// target, that stays as it is, and so do routes.
pub(crate) fn skip(job: &mut Job, why: Option<ReasonCode>) {
    let is_of_source = matches!(&job.state, State::RollingBack { undo, .. }
        if matches!(undo.last(), Some(Undo::StartSource | Undo::ThawSource)));
    let keeps_target =
        [ReasonCode::Gone, ReasonCode::NoKit, ReasonCode::WrittenSince, ReasonCode::OthersActed];
    if is_of_source && why.is_some_and(|why| keeps_target.contains(&why)) {
        give_up_target(job, "may hold the last copy of the state");
        if let State::RollingBack { undo, .. } = &mut job.state {
            undo.retain(|it| {
                !matches!(
                    it,
                    Undo::SwapBack { .. }
                        | Undo::StartSource
                        | Undo::CheckUnserved
                        | Undo::CheckSealed
                        | Undo::ThawSource
                )
            });
        }
        return;
    }
    let State::RollingBack { undo, .. } = &job.state else { return };
    let is_of_target = matches!(
        undo.last(),
        Some(Undo::CheckTarget | Undo::UninstallTarget | Undo::StartTarget | Undo::ResetTarget)
    );
    if is_of_target {
        give_up_target(job, "was skipped by an operator");
    }
    // The snapshots are what is left of what the source held.
    if let State::RollingBack { reason, undo } = &mut job.state
        && undo.last() == Some(&Undo::LoadSaved)
    {
        undo.retain(|it| !matches!(it, Undo::DropSaved | Undo::DropUploaded));
        let detail = format!("the snapshot from before was not loaded, and is left. {}", reason.detail());
        *reason = Reason::new(reason.code(), detail);
    }
}

/// The target is somebody else's, or nobody's: it is left alone, and does not go to the pool.
fn give_up_target(job: &mut Job, what: &str) -> Next {
    let target = job.target.take();
    job.target_left = None;
    if let State::RollingBack { reason, undo } = &mut job.state {
        if let Some(target) = target {
            let detail = format!("target {target} {what}: left alone. {}", reason.detail());
            *reason = Reason::new(reason.code(), detail);
        }
        undo.retain(|it| {
            !matches!(
                it,
                Undo::ReturnTarget
                    | Undo::ResetTarget
                    | Undo::StartTarget
                    | Undo::UninstallTarget
                    | Undo::CheckTarget
            )
        });
        // The topmost one is taken off by what follows.
        undo.push(Undo::CheckTarget);
    }
    Next::Undone
}
