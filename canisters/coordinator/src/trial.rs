//! Whether the compact build of a plan can be a target: its `init` must leave stable memory alone. The first target tells,
//! before a second canister is created for the plan. What somebody else wrote to a target before that was closed says nothing
//! of the build.

use crate::management::{self, Change, DeploymentMode, Info, OfCanister, Status};
use crate::platform::{TIMEOUT_SECONDS, is_own};
use crate::replies;
use crate::store::{self, PlanRecord};
use candid::Principal;
use decant_api::plan::Strategy;
use decant_engine::{Job, Reason, ReasonCode, State};

/// Messages that ran on a target that has just refused to be closed: that one.
const OWN_MESSAGES: u64 = 1;

/// Why no more targets are made for a plan, if so.
pub(crate) fn refusal(plan_id: u64) -> Option<Reason> {
    let is_refused = store::used(plan_id).fits == Some(false);
    is_refused.then(|| {
        let detail =
            format!("the init of plan {plan_id}'s build touches stable memory, as its first target showed");
        Reason::new(ReasonCode::NotEmpty, detail)
    })
}

/// Canisters that the jobs of a plan wait for now: one, until the first target has told.
pub(crate) fn wanted(plan_id: u64) -> usize {
    let waiting = store::board(|board| board.wanting(plan_id));
    let Some(PlanRecord { plan, used }) = store::plan(plan_id) else { return 0 };
    match (used.fits, plan.strategy) {
        (Some(false), _) => 0,
        (None, Strategy::Relocate(_)) => {
            let working = store::board(|board| board.working(plan_id));
            let has_target = |id| store::job(id).is_some_and(|job| job.target().is_some());
            waiting.min(usize::from(!working.into_iter().any(has_target)))
        }
        _ => waiting,
    }
}

/// A job left the state in which its target was told to wait for a state; answers whether more
/// are to be created from now on.
pub(crate) fn told(job: &Job) -> bool {
    let fits = match job.state() {
        State::RollingBack { reason, .. } if reason.code() == ReasonCode::NotEmpty => false,
        State::RollingBack { .. } => return false,
        _ => true,
    };
    let plan_id = job.plan().plan_id;
    let known = store::used(plan_id).fits;
    // A build that was a target once can be one.
    let is_news = known != Some(true) && known != Some(fits);
    if is_news {
        store::change_used(plan_id, |used| used.fits = Some(fits));
    }
    is_news && fits
}

/// Why a target has stable memory before a state was brought to it: by `init` alone, or by whatever ran after that.
pub(crate) async fn blamed(target: Principal, reason: Reason) -> Reason {
    match is_as_installed(target).await {
        true => reason,
        false => {
            let detail = format!("its target {target} was written to before it was closed: enrol it again");
            Reason::new(ReasonCode::OthersActed, detail)
        }
    }
}

/// Whether nothing ran on a target since the coordinator installed its module, by the platform's own count. Unknown is no.
async fn is_as_installed(target: Principal) -> bool {
    let of = OfCanister { canister_id: target };
    let status = management::ask_for(TIMEOUT_SECONDS, "canister_status", &of).await;
    let (Ok(status), Ok(history)) = (status, management::history(target).await) else { return false };
    let (Ok(status), Ok(info)) = (replies::told::<Status>(status), replies::told::<Info>(history)) else {
        return false;
    };
    info.recent_changes.last().is_some_and(|last| {
        let is_installation =
            matches!(last.details, Some(Change::Deployment { mode: DeploymentMode::Install, .. }));
        is_installation
            && is_own(&last.origin)
            && status.version == last.canister_version.checked_add(OWN_MESSAGES)
    })
}
