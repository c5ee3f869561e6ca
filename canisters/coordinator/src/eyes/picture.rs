//! All that is shown, at one moment: counters and indexes that the writer keeps, and the first few jobs of each kind. Whatever
//! the fleet, the same few records are read.

use crate::money::{self, FLOOR_CYCLES};
use crate::pace::{self, Wait};
use crate::store::tallies::{history, latest_plans, progress};
use crate::store::{self, Level, Line, Pause, Standing, Tally};
use crate::{driver, views};
use candid::Principal;
use decant_api::JobId;
use decant_engine::{Place, TimeNanos};

/// Jobs that are shown of those with the same reason.
const FIRST_JOBS: usize = 3;
/// Plans that are shown.
const PLANS: usize = 10;
/// Points of the chart.
const POINTS: u64 = 120;
/// Lines of the log on the page.
const LINES: usize = 20;
/// Jobs whose records can't be read that are named.
const ASIDE: usize = 20;

/// Jobs that stand the same way for the same reason.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) standing: Standing,
    pub(crate) code: String,
    /// What the code means, and what to do.
    pub(crate) text: &'static str,
    pub(crate) count: u64,
    /// The first of them: number, source, and why in full.
    pub(crate) first: Vec<(JobId, Principal, String)>,
}

/// A plan that is in force, or was.
#[derive(Debug, Clone)]
pub(crate) struct PlanPicture {
    pub(crate) id: u64,
    pub(crate) tally: Tally,
    pub(crate) enrolled: u64,
    pub(crate) queued: u64,
    pub(crate) working: u64,
    pub(crate) waiting: u64,
    pub(crate) parked: u64,
    pub(crate) spent_cycles: u128,
    pub(crate) max_cycles: u128,
    /// Why no job of it is started, if one is in line.
    pub(crate) waits: Option<Wait>,
    /// Jobs that wait for an operator before their fence.
    pub(crate) held: u64,
}

/// The coordinator at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) own: Principal,
    pub(crate) governance: Principal,
    pub(crate) now_nanos: TimeNanos,
    pub(crate) pause: Pause,
    pub(crate) put_back_nanos: Option<TimeNanos>,
    pub(crate) aside: Vec<JobId>,
    pub(crate) queued: u64,
    pub(crate) working: u64,
    pub(crate) waiting: u64,
    pub(crate) parked: u64,
    /// Strategy, state, jobs.
    pub(crate) states: Vec<(&'static str, &'static str, u64)>,
    pub(crate) groups: Vec<Group>,
    /// The job whose users wait longest, and since when.
    pub(crate) oldest_fenced: Option<(TimeNanos, JobId)>,
    pub(crate) fenced: u64,
    pub(crate) progress_nanos: Option<TimeNanos>,
    /// Of all plans.
    pub(crate) all: Tally,
    pub(crate) plans: Vec<PlanPicture>,
    pub(crate) history: Vec<(TimeNanos, Tally)>,
    pub(crate) waits_for: Option<String>,
    pub(crate) balance_cycles: u128,
    pub(crate) liquid_cycles: u128,
    pub(crate) floor_cycles: u128,
    pub(crate) spent_cycles: u128,
    pub(crate) runway_days: Option<u64>,
    pub(crate) pool: u64,
    pub(crate) calls: u64,
    pub(crate) target_calls: u64,
    pub(crate) heap_bytes: u64,
    pub(crate) stable_bytes: u64,
    pub(crate) lines: Vec<(u64, Line)>,
}

impl Picture {
    /// As it is now.
    pub(crate) fn now() -> Self {
        let config = store::config();
        let now_nanos = ic_cdk::api::time();
        let (oldest_fenced, fenced) = store::census(|census| census.fenced());
        Self {
            own: ic_cdk::api::canister_self(),
            governance: config.governance,
            now_nanos,
            pause: config.pause,
            put_back_nanos: config.put_back_nanos,
            aside: store::aside(ASIDE),
            queued: store::count(Place::Queued),
            working: store::count(Place::Working),
            waiting: store::count(Place::Waiting),
            parked: store::count(Place::Parked),
            states: store::census(|census| census.states().collect()),
            groups: groups(),
            oldest_fenced,
            fenced,
            progress_nanos: progress(),
            all: store::tallies::all(),
            plans: latest_plans(PLANS).into_iter().map(|(id, tally)| plan(id, tally)).collect(),
            history: history(POINTS, now_nanos),
            waits_for: driver::short().map(|short| short.text().to_owned()),
            balance_cycles: ic_cdk::api::canister_cycle_balance(),
            liquid_cycles: ic_cdk::api::canister_liquid_cycle_balance(),
            floor_cycles: FLOOR_CYCLES,
            spent_cycles: config.cycles_spent,
            runway_days: money::runway_days(),
            pool: store::pool_len(),
            calls: config.calls,
            target_calls: config.target_calls,
            heap_bytes: heap_bytes(),
            stable_bytes: ic_cdk::api::stable_size().saturating_mul(65_536),
            lines: store::log::latest(Level::Info, 0, LINES),
        }
    }
}

fn groups() -> Vec<Group> {
    let reasons = store::census(|census| census.reasons(FIRST_JOBS));
    let first = |standing: Standing, ids: Vec<JobId>| {
        // Only of those who are asked about is each named.
        let ids = if standing == Standing::Parked { ids } else { Vec::new() };
        let jobs = ids.into_iter().filter_map(store::job);
        jobs.map(|job| (job.id(), job.source(), job.explanation().unwrap_or_default())).collect()
    };
    reasons
        .into_iter()
        .map(|(standing, code, count, ids)| Group {
            standing,
            code: views::code_name(code),
            text: code.text(),
            count,
            first: first(standing, ids),
        })
        .collect()
}

fn plan(id: u64, tally: Tally) -> PlanPicture {
    let used = store::used(id);
    let count = |place| store::board(|board| board.count(id, place));
    PlanPicture {
        id,
        tally,
        enrolled: used.enrolled,
        queued: count(Place::Queued),
        working: count(Place::Working),
        waiting: count(Place::Waiting),
        parked: count(Place::Parked),
        spent_cycles: used.cycles,
        max_cycles: store::terms(id).max_cycles,
        waits: pace::waits_for(id),
        held: pace::held(id).len() as u64,
    }
}

/// Bytes of the heap, which never shrinks.
fn heap_bytes() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return (core::arch::wasm32::memory_size(0) as u64).saturating_mul(65_536);
    #[cfg(not(target_arch = "wasm32"))]
    0
}
