//! What governance and operators said of a plan since it was approved, and how far it is: the bounds that are in force, its
//! pace, and what holds it up. Apart from the plan, which never changes.

use super::records::Record;
use super::records::in_cbor_alone;
use super::{Memory, memory};
use decant_api::govern::{Breaker, Canaries, Hours, Pace, Terms};
use decant_api::plan::Plan;
use decant_engine::TimeNanos;
use ic_stable_structures::StableBTreeMap;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// Ended jobs that a breaker looks back on: a bit each.
pub(crate) const LOOKS_BACK: u32 = u128::BITS;
const _: () = assert!(LOOKS_BACK == decant_words::LOOKS_BACK);

thread_local! {
    static COURSES: RefCell<StableBTreeMap<u64, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(25)));
    /// Of plans that were asked for: looked at for each job that may start.
    static KNOWN: RefCell<std::collections::BTreeMap<u64, Course>> = const { RefCell::new(std::collections::BTreeMap::new()) };
}

/// The course of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Course {
    /// Bounds in place of the plan's own.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub(crate) bounds: Option<Bounds>,
    /// First jobs, and how long they are watched.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    canaries: Option<(u64, Option<u64>)>,
    #[serde(rename = "h", default)]
    holds_before_fence: bool,
    /// Failures, of how many.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    breaker: Option<(u32, u32)>,
    /// From minute, to minute.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    hours: Option<(u16, u16)>,
    /// Seconds that users may wait.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    max_wait_seconds: Option<u32>,
    /// Jobs at a time that operators allow; none: as many as the plan.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(crate) tempo: Option<u32>,
    /// Governance ended it.
    #[serde(rename = "e", default)]
    pub(crate) has_ended: bool,
    /// Jobs that made a call, less those that were refused before their users waited.
    #[serde(rename = "s", default)]
    pub(crate) started: u64,
    /// An operator let those behind the canaries go, or their time is over.
    #[serde(rename = "r", default)]
    pub(crate) are_canaries_released: bool,
    /// When the last canary was through.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub(crate) soaked_from_nanos: Option<TimeNanos>,
    /// A canary went back after its users had waited, whoever wanted it.
    #[serde(rename = "u", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_turned: bool,
    /// How the last jobs ended, the latest in the lowest bit: 1 is rolled back.
    #[serde(rename = "f", default)]
    failures: u128,
}

/// Bounds of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    #[serde(rename = "n")]
    pub(crate) max_canisters: u64,
    #[serde(rename = "c")]
    pub(crate) max_cycles: u128,
    #[serde(rename = "f")]
    pub(crate) max_in_flight: u32,
}

in_cbor_alone!(Course);

impl Course {
    /// How the plan is gone about.
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            canaries: self.canaries.map(|(jobs, soak_seconds)| Canaries { jobs, soak_seconds }),
            holds_before_fence: self.holds_before_fence,
            breaker: self.breaker.map(|(failures, of_last)| Breaker { failures, of_last }),
            hours: self.hours.map(|(from_minute, to_minute)| Hours { from_minute, to_minute }),
            max_wait_seconds: self.max_wait_seconds,
        }
    }

    /// Says how.
    pub(crate) fn set_pace(&mut self, pace: Pace) {
        let canaries = pace.canaries.map(|it| (it.jobs, it.soak_seconds));
        if canaries != self.canaries {
            // Those that were approved first are not those.
            (self.are_canaries_released, self.soaked_from_nanos, self.has_turned) = (false, None, false);
        }
        self.canaries = canaries;
        self.holds_before_fence = pace.holds_before_fence;
        self.breaker = pace.breaker.map(|it| (it.failures, it.of_last));
        self.hours = pace.hours.map(|it| (it.from_minute, it.to_minute));
        self.max_wait_seconds = pace.max_wait_seconds;
    }

    /// The terms in force of a plan.
    pub(crate) fn terms(&self, plan: &Plan) -> Terms {
        let bounds = self.bounds.unwrap_or(Bounds {
            max_canisters: plan.max_canisters,
            max_cycles: plan.max_cycles,
            max_in_flight: plan.max_in_flight,
        });
        Terms {
            max_canisters: bounds.max_canisters,
            max_cycles: bounds.max_cycles,
            max_in_flight: bounds.max_in_flight,
            pace: self.pace(),
        }
    }

    /// A job whose users waited has ended.
    pub(crate) fn note_end(&mut self, is_failure: bool) {
        self.failures = self.failures << 1 | u128::from(is_failure);
    }

    /// How many of the last so many failed.
    pub(crate) fn failures_of_last(&self, jobs: u32) -> u32 {
        let mask = 1_u128.checked_shl(jobs).map_or(u128::MAX, |bit| bit - 1);
        (self.failures & mask).count_ones()
    }

    /// What failed so far is not counted any more.
    pub(crate) fn forgive(&mut self) {
        self.failures = 0;
    }
}

/// The course of a plan.
pub(crate) fn course(plan_id: u64) -> Course {
    let read = || {
        let bytes = COURSES.with_borrow(|courses| courses.get(&plan_id));
        bytes.and_then(|bytes| Course::decode(&bytes).ok()).unwrap_or_default()
    };
    KNOWN.with_borrow_mut(|known| *known.entry(plan_id).or_insert_with(read))
}

/// Changes it.
pub(crate) fn change_course<R>(plan_id: u64, change: impl FnOnce(&mut Course) -> R) -> R {
    let mut course = course(plan_id);
    let result = change(&mut course);
    KNOWN.with_borrow_mut(|known| known.insert(plan_id, course));
    COURSES.with_borrow_mut(|courses| courses.insert(plan_id, course.encode()));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_read_for_ever_and_one_of_nothing_is_what_a_plan_alone_says() {
        let mut course = Course { started: 7, tempo: Some(2), ..Course::default() };
        course.bounds = Some(Bounds { max_canisters: 1, max_cycles: 2, max_in_flight: 3 });
        course.set_pace(Pace {
            canaries: Some(Canaries { jobs: 5, soak_seconds: Some(60) }),
            holds_before_fence: true,
            breaker: Some(Breaker { failures: 2, of_last: 4 }),
            hours: Some(Hours { from_minute: 60, to_minute: 120 }),
            max_wait_seconds: Some(600),
        });
        course.note_end(true);
        let hex = decant_words::hex(&course.encode());
        assert_eq!(hex, GOLDEN, "what was written once is written, and read, for ever");
        assert_eq!(Course::decode(&course.encode()), Ok(course));
        let without_wait = Course { max_wait_seconds: None, ..course };
        assert_eq!(decant_words::hex(&without_wait.encode()), BEFORE_WAITS, "as earlier builds did");
        let turned = Course { has_turned: true, ..course };
        assert_eq!(decant_words::hex(&turned.encode()), WITH_TURNED);
        assert_eq!(Course::decode(&turned.encode()), Ok(turned));
        assert_eq!(Course::decode(b"\x01\xa0"), Ok(Course::default()));
        let plan = crate::tests::plan();
        let terms = Course::default().terms(&plan);
        assert_eq!((terms.max_canisters, terms.max_in_flight), (plan.max_canisters, plan.max_in_flight));
        assert_eq!(terms.pace, Pace::default());
    }

    const GOLDEN: &str = "01ab6162a3616e0161630261660361638205183c6168f5616b820204616482183c187861771902586174026165f46173076172f4616601";
    const WITH_TURNED: &str = "01ac6162a3616e0161630261660361638205183c6168f5616b820204616482183c187861771902586174026165f46173076172f46175f5616601";
    const BEFORE_WAITS: &str = "01aa6162a3616e0161630261660361638205183c6168f5616b820204616482183c18786174026165f46173076172f4616601";

    #[test]
    fn failures_are_counted_among_the_last_jobs() {
        let mut course = Course::default();
        for is_failure in [true, false, true, true] {
            course.note_end(is_failure);
        }
        assert_eq!([1, 2, 3, 4, 128].map(|jobs| course.failures_of_last(jobs)), [1, 2, 2, 3, 3]);
        course.forgive();
        assert_eq!(course.failures_of_last(128), 0);
    }
}
