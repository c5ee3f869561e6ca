//! Whether the compact build of a plan can be a target: its `init` must leave stable memory alone. The first target tells,
//! before a second canister is created for the plan.

use crate::store::{self, PlanRecord};
use decant_api::plan::Strategy;
use decant_engine::{Job, Reason, ReasonCode, State};

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
    let is_news = store::used(plan_id).fits != Some(fits);
    if is_news {
        store::change_used(plan_id, |used| used.fits = Some(fits));
    }
    is_news && fits
}
