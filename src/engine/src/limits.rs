//! How often, how long, how much.

use crate::{
    Job, JobId, PlanEssentials, Reason, ReasonCode, RevertState, Stage, State, Strategy, TimeNanos,
    VesselState,
};

const SECOND_NANOS: u64 = 1_000_000_000;
/// Tries of what others have to mend that are made every two minutes: those of two hours.
const MANY_WAITS: u32 = 60;
/// Bytes of a page of stable memory.
pub(crate) const PAGE_BYTES: u64 = 65_536;

/// Limits of every job. They decide, but don't change a job: a journal replays under any limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Tries of a step before the commit point, observations included; then the job rolls back.
    pub max_tries_before_commit: u32,
    /// Longest time from the first `stop_canister` of a source to its end, before the commit point: users wait.
    pub stop_deadline_nanos: u64,
    /// Refusals of a step after the commit point; then a person has to decide. The way back asks nobody: it goes on.
    pub max_refusals_settled: u32,
    /// Calls that a sliced step may take, each with progress.
    pub max_slices: u32,
    /// Wait after the first try that failed; it doubles with each.
    pub backoff_base_nanos: u64,
    /// Longest wait between two tries.
    pub backoff_cap_nanos: u64,
    /// Longest wait between two tries after that on a way back whose users are served: somebody has to mend what it waits for, and
    /// each try costs.
    pub backoff_last_nanos: u64,
    /// Longest time from the first try of a step before the commit point to its progress.
    pub step_deadline_nanos: u64,
    /// Longest wait for a canister from the pool.
    pub pool_deadline_nanos: u64,
    /// Most batches of frames that a call to pull may read.
    pub max_batches_per_pull: u32,
    /// Most slices that a call to pour may write.
    pub max_calls_per_pour: u32,
    /// Cycles that a source keeps up to its deletion.
    pub keep_until_deletion_cycles: u128,
    /// Cycles that a source keeps to live on as a tombstone.
    pub keep_as_tombstone_cycles: u128,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_tries_before_commit: 8,
            // As long as three times what the platform waits for open calls (spec, `stop_canister`: 5 minutes).
            stop_deadline_nanos: 15 * 60 * SECOND_NANOS,
            max_refusals_settled: 24,
            max_slices: 100_000,
            backoff_base_nanos: SECOND_NANOS,
            backoff_cap_nanos: 120 * SECOND_NANOS,
            backoff_last_nanos: 900 * SECOND_NANOS,
            step_deadline_nanos: 30 * 60 * SECOND_NANOS,
            pool_deadline_nanos: 24 * 3_600 * SECOND_NANOS,
            max_batches_per_pull: 16,
            max_calls_per_pour: 64,
            // Nothing that follows is paid by the source. What its last message prepaid comes back to it, 82 B on 13 nodes:
            // 40 B instructions of its own, 40 B of the reply's, and 2 MiB of that. No canister can send these away, since
            // whatever sends cycles prepays as much.
            keep_until_deletion_cycles: 1_000_000_000,
            // An installation prepays 300 B instructions, and what the memory costs until it is gone.
            keep_as_tombstone_cycles: 400_000_000_000,
        }
    }
}

impl Limits {
    /// Cycles that the calls of a repack charge a small canister, with room: measured 9.9 B (facts.md).
    pub const REPACK_CYCLES: u128 = 50_000_000_000;
    /// Cycles that an upgrade prepays at least, on 13 nodes: 300 B instructions (code, `MAX_INSTRUCTIONS_PER_INSTALL_CODE`).
    /// What is not used comes back, but must be there.
    pub const UPGRADE_PREPAID_CYCLES: u128 = 300_000_000_000;

    /// Seconds that a source may be fenced before the commit point, whatever its plan says.
    pub const FENCE_SECONDS: u64 = 2 * 3_600;
    /// Bytes of state that pass in a second of the fence at least, where a target pulls them: 2 MiB to and fro in two rounds
    /// of a second, if nothing is compressed; both ends hash some 40 MB in a round of 2 B instructions.
    const PULLED_BYTES_PER_SECOND: u64 = 800_000;
    /// And where a vessel pours them: 16 slices of 1.9 MB in three rounds, hashed before and after. With room, as above.
    const POURED_BYTES_PER_SECOND: u64 = 4_000_000;

    /// Seconds in which so many pages pass while the source is fenced, where nothing can be compressed.
    pub fn seconds_to_pass(strategy: Strategy, used_pages: u64) -> u64 {
        let per_second = match strategy {
            Strategy::Repack => Self::POURED_BYTES_PER_SECOND,
            _ => Self::PULLED_BYTES_PER_SECOND,
        };
        used_pages.saturating_mul(PAGE_BYTES).div_ceil(per_second)
    }

    /// Whether so many pages can pass while the source is fenced.
    ///
    /// # Errors
    /// How long they would take.
    pub(crate) fn passes_in_time(plan: &PlanEssentials, used_pages: u64) -> Result<(), Reason> {
        let (seconds, most) = (Self::seconds_to_pass(plan.strategy, used_pages), plan.fence_seconds());
        if seconds <= most {
            return Ok(());
        }
        let detail = format!("{used_pages} pages pass in {seconds} s, and users wait for {most} s at most");
        Err(Reason::new(ReasonCode::TooLarge, detail))
    }

    /// Most tries of that state, one that can still fail.
    pub(crate) fn max_tries(&self, state: &State) -> u32 {
        match state {
            // An empty pool costs nobody anything, and a stop goes on whether it is asked for again or not: their deadlines
            // are the only limits.
            State::Admitted { .. } => u32::MAX,
            state if is_stopping(state) => u32::MAX,
            _ => self.max_tries_before_commit,
        }
    }

    /// Longest time from the first try of that state, one that can still fail, to its progress.
    pub(crate) fn deadline_nanos(&self, state: &State) -> u64 {
        match state {
            State::Admitted { .. } => self.pool_deadline_nanos,
            state if is_stopping(state) => self.stop_deadline_nanos,
            _ => self.step_deadline_nanos,
        }
    }

    /// When users have waited for as long as they may while the job can still fail, if they wait.
    pub fn fence_ends_nanos(&self, job: &Job) -> Option<TimeNanos> {
        let fenced_nanos = job.times.fenced_nanos.filter(|_| job.state.stage().can_fail())?;
        Some(fenced_nanos.saturating_add(job.plan.fence_seconds() * SECOND_NANOS))
    }

    /// When a job must not go on trying what it is at, if that can fail and has an end: users may be waiting
    /// without anybody knowing, for a reply to a stop or a freeze that never came.
    pub fn gives_up_nanos(&self, job: &Job) -> Option<TimeNanos> {
        let tries = job.state.stage().can_fail() && job.attempt.waits() > 0;
        let step_ends_nanos =
            tries.then(|| job.attempt.first_nanos.saturating_add(self.deadline_nanos(&job.state)));
        step_ends_nanos.into_iter().chain(self.fence_ends_nanos(job)).min()
    }

    /// When the next try may start: at once for the first one, later with each that failed.
    pub(crate) fn not_before_nanos(&self, job: &Job) -> TimeNanos {
        let waits = job.attempt.waits();
        if waits == 0 {
            return 0;
        }
        let is_patient = job.state.stage() == Stage::RollingBack && !job.keeps_users();
        let cap_nanos = match is_patient && waits > MANY_WAITS {
            true => self.backoff_last_nanos,
            false => self.backoff_cap_nanos,
        };
        job.attempt.last_nanos.saturating_add(self.backoff_nanos(job.id, waits, cap_nanos))
    }

    /// Doubles with each try up to the cap, less up to a quarter so that jobs that failed together don't come
    /// back together. The same for the same job and try.
    fn backoff_nanos(&self, job: JobId, tries: u32, cap_nanos: u64) -> u64 {
        let factor = 1_u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
        let full_nanos = self.backoff_base_nanos.saturating_mul(factor).min(cap_nanos);
        let spread_nanos = full_nanos / 4;
        full_nanos - mix(job ^ (u64::from(tries) << 32)) % spread_nanos.saturating_add(1)
    }
}

/// Whether the call of that state is the stop of a canister that users have calls open at.
fn is_stopping(state: &State) -> bool {
    match state {
        State::Frozen | State::Vessel(VesselState::Ready) => true,
        State::Reverting(reverting) => reverting.at == RevertState::TargetFrozen,
        _ => false,
    }
}

/// The finaliser of splitmix64: spreads neighbours far apart.
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_to_its_cap_and_never_past_it() {
        let limits = Limits::default();
        for job in 1..200 {
            let mut last_nanos = 0;
            for tries in 1..100 {
                let cap_nanos = limits.backoff_cap_nanos;
                let wait_nanos = limits.backoff_nanos(job, tries, cap_nanos);
                assert!(wait_nanos <= cap_nanos);
                assert!(wait_nanos >= limits.backoff_base_nanos / 4 * 3);
                assert!(wait_nanos >= last_nanos / 4 * 3, "job {job}, try {tries}");
                assert_eq!(
                    wait_nanos,
                    limits.backoff_nanos(job, tries, cap_nanos),
                    "the same job waits the same time"
                );
                last_nanos = wait_nanos;
            }
        }
    }

    #[test]
    fn jobs_that_fail_together_come_back_at_different_times() {
        let limits = Limits::default();
        let mut waits: Vec<_> = (1..100).map(|job| limits.backoff_nanos(job, 3, u64::MAX)).collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 90);
    }

    fn plan() -> PlanEssentials {
        PlanEssentials {
            plan_id: 1,
            strategy: Strategy::Repack,
            bucket_pages: 1,
            min_reclaimed_pages: 0,
            retention: crate::Retention::None,
            has_asset_checks: false,
            rolls_back_on_lost_timer: false,
            recycled_with_cycles: None,
            max_wait_seconds: None,
        }
    }

    #[test]
    fn a_state_passes_in_time_up_to_what_its_strategy_moves_while_users_may_wait() {
        let pulled = Limits::PULLED_BYTES_PER_SECOND;
        let poured = Limits::POURED_BYTES_PER_SECOND;
        for (strategy, per_second) in [(Strategy::RelocateVessel, pulled), (Strategy::Repack, poured)] {
            // A plan allows less than the two hours, and never more.
            for (max_wait_seconds, seconds) in [(None, 7_200), (Some(600), 600), (Some(u32::MAX), 7_200)] {
                let plan = PlanEssentials { strategy, max_wait_seconds, ..plan() };
                let pages = seconds * per_second / PAGE_BYTES;
                assert_eq!(Limits::passes_in_time(&plan, pages), Ok(()));
                let refusal = Limits::passes_in_time(&plan, pages + 2).expect_err("two pages too many");
                assert_eq!(refusal.code(), ReasonCode::TooLarge);
                assert!(Limits::passes_in_time(&plan, u64::MAX).is_err(), "nothing overflows");
            }
        }
    }

    #[test]
    fn a_back_off_of_nothing_waits_for_nothing() {
        let limits = Limits { backoff_base_nanos: 0, ..Limits::default() };
        assert_eq!(limits.backoff_nanos(1, 1, u64::MAX), 0);
    }
}
