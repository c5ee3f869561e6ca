//! Whether the compact build of a plan can be a target: its `init` must leave stable memory alone. The first target tells,
//! before a second canister is created for the plan.

use crate::store;
use decant_api::plan::Strategy;
use decant_engine::{Job, Reason, ReasonCode, State};

/// Why no more targets are made for a plan, if so.
pub(crate) fn refusal(plan_id: u64) -> Option<Reason> {
    let is_refused = store::plan(plan_id).is_some_and(|record| record.fits == Some(false));
    is_refused.then(|| {
        let detail =
            format!("the init of plan {plan_id}'s build touches stable memory, as its first target showed");
        Reason::new(ReasonCode::NotEmpty, detail)
    })
}

/// Canisters that a plan needs now, when so many of these jobs have none: one, until the first target has told.
pub(crate) fn wanted(plan_id: u64, jobs: &[Job]) -> usize {
    let waiting = jobs.iter().filter(|job| job.target().is_none()).count();
    let is_open = store::plan(plan_id)
        .is_some_and(|record| record.fits.is_none() && matches!(record.plan.strategy, Strategy::Relocate(_)));
    if !is_open {
        return waiting;
    }
    let is_on_trial = jobs.iter().any(|job| job.plan().plan_id == plan_id && job.target().is_some());
    waiting.min(usize::from(!is_on_trial))
}

/// A job left the state in which its target was told to wait for a state; answers whether its plan was on trial until now.
pub(crate) fn told(job: &Job) -> bool {
    let fits = match job.state() {
        State::RollingBack { reason, .. } if reason.code() == ReasonCode::NotEmpty => false,
        State::RollingBack { .. } => return false,
        _ => true,
    };
    let plan_id = job.plan().plan_id;
    let is_news = store::plan(plan_id).is_some_and(|record| record.fits != Some(fits));
    if is_news {
        store::change_plan(plan_id, |record| record.fits = Some(fits));
    }
    is_news
}
