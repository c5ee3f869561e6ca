//! What is asked of an operator: each with what happened, and the command that moves it on. The most urgent first.

use super::picture::{Group, Picture, PlanPicture};
use super::words::{counted, cycles, moment, number, span};
use crate::pace::Wait;
use crate::store::{Pause, Standing};
use decant_engine::TimeNanos;

/// Time that users wait after which somebody should look: a job takes minutes, and goes back after two hours.
const FENCED_NANOS: u64 = 1_800_000_000_000;
/// Time without any change of a job that works after which somebody should look.
const STILL_NANOS: u64 = 3_600_000_000_000;
/// Days of cycles below which somebody should top up: what a freezing threshold is by default.
const RUNWAY_DAYS: u64 = 30;

/// Something that a person is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// For tools: one of few.
    pub(super) kind: &'static str,
    /// In a line.
    pub(super) title: String,
    /// What happened, and what to do about it.
    pub(super) what: String,
    /// To what, one a line.
    pub(super) details: Vec<String>,
    /// When that is done: what it does, and the command.
    pub(super) commands: Vec<(&'static str, String)>,
}

/// All that is asked now.
pub(super) fn asks(now: &Picture) -> Vec<Ask> {
    let mut asks: Vec<Ask> = put_back(now).into_iter().collect();
    asks.extend(users_wait(now));
    let parked = now.groups.iter().filter(|group| group.standing == Standing::Parked);
    asks.extend(parked.map(|group| settle(now, group)));
    asks.extend(now.plans.iter().filter_map(|plan| look_at_plan(now, plan)));
    asks.extend(now.plans.iter().filter_map(|plan| held(now, plan)));
    asks.extend(unread(now));
    asks.extend(paused(now));
    asks.extend(short(now));
    asks.extend(still(now));
    asks
}

/// A call of the coordinator, as it is typed.
fn call(now: &Picture, method: &str, argument: &str) -> String {
    format!("icp canister call {} {method} '{argument}' -n ic", now.own)
}

fn all(now: &Picture, command: &str, code: &str) -> String {
    let argument = format!(
        "(variant {{ {command} }}, record {{ plan = null; code = opt \"{code}\"; after = 0 : nat64 }})"
    );
    call(now, "decant_all", &argument)
}

fn resume(now: &Picture) -> String {
    call(now, "decant_pause", "(variant { Running })")
}

fn put_back(now: &Picture) -> Option<Ask> {
    let at_nanos: TimeNanos = now.put_back_nanos?;
    Some(Ask {
        kind: "put_back",
        title: "The coordinator was put back from a snapshot".to_owned(),
        what: format!(
            "At {} a snapshot of it was loaded. What it remembers is older than what is, and it leaves all jobs alone. \
             Let it go on only if no job moved on since that snapshot was taken; otherwise reinstall it (docs/deploy.md).",
            moment(at_nanos)
        ),
        details: Vec::new(),
        commands: vec![("Let it go on", resume(now))],
    })
}

fn settle(now: &Picture, group: &Group) -> Ask {
    let more = group.count.saturating_sub(group.first.len() as u64);
    let mut details: Vec<String> =
        group.first.iter().map(|(id, source, why)| format!("job {id}, canister {source}: {why}")).collect();
    if more > 0 {
        details.push(format!("and {} more", number(more)));
    }
    Ask {
        kind: "parked",
        title: format!("{} parked: {}", counted(group.count, "job"), group.text),
        what: format!("Reason {}. Until somebody decides nothing is done with these.", group.code),
        details,
        commands: vec![
            ("When it is settled, let them go on", all(now, "Retry", &group.code)),
            (
                "Or leave undone what they can't do; an original then stays as it is",
                all(now, "Skip", &group.code),
            ),
        ],
    }
}

fn release(now: &Picture, plan: &PlanPicture, what: &str) -> String {
    call(now, "decant_release", &format!("({} : nat64, variant {{ {what} }})", plan.id))
}

/// No job of a plan is started until somebody has looked.
fn look_at_plan(now: &Picture, plan: &PlanPicture) -> Option<Ask> {
    let (kind, what) = match plan.waits? {
        Wait::Release => ("canaries", "Canaries"),
        Wait::Broken { .. } => ("broken", "Breaker"),
        Wait::Ended | Wait::Tempo | Wait::Canaries | Wait::Soak(_) | Wait::Hours(_) | Wait::Places => {
            return None;
        }
    };
    Some(Ask {
        kind,
        title: format!("Plan {} starts no job: {}", plan.id, plan.waits?.text()),
        what: format!("{} in line wait for it.", counted(plan.queued, "job")),
        details: Vec::new(),
        commands: vec![
            ("Read what became of the last ones", format!("https://{}.raw.icp0.io/logs?level=warn", now.own)),
            ("Release the others", release(now, plan, what)),
        ],
    })
}

fn held(now: &Picture, plan: &PlanPicture) -> Option<Ask> {
    (plan.held > 0).then(|| Ask {
        kind: "held",
        title: format!(
            "{} of plan {} wait before their users can't write any more",
            counted(plan.held, "job"),
            plan.id
        ),
        what: "The plan says that an operator lets each of them pass.".to_owned(),
        details: Vec::new(),
        commands: vec![("Let them pass", release(now, plan, &format!("Held = {} : nat32", plan.held)))],
    })
}

fn users_wait(now: &Picture) -> Option<Ask> {
    let (since_nanos, job) = now.oldest_fenced?;
    let waiting_nanos = now.now_nanos.saturating_sub(since_nanos);
    (waiting_nanos >= FENCED_NANOS).then(|| Ask {
        kind: "users_wait",
        title: format!("Users of {} wait, the longest for {}", counted(now.fenced, "canister"), span(waiting_nanos)),
        what: format!(
            "Job {job} has kept its canister from taking updates since {}. See what it met with; sending it back gives \
             users their canister as it was, as long as it is not committed.",
            moment(since_nanos)
        ),
        details: Vec::new(),
        commands: vec![
            ("See what it met with", call(now, "decant_job", &format!("({job} : nat64)"))),
            ("Send it back", call(now, "decant_abort", &format!("({job} : nat64)"))),
        ],
    })
}

fn unread(now: &Picture) -> Option<Ask> {
    let first = now.aside.first()?;
    let ids: Vec<String> = now.aside.iter().map(ToString::to_string).collect();
    Some(Ask {
        kind: "unread",
        title: format!("The records of {} can't be read", counted(now.aside.len() as u64, "job")),
        what:
            "Nobody touches these jobs until a build comes that reads them: upgrade the coordinator to one."
                .to_owned(),
        details: vec![format!("jobs {}", ids.join(", "))],
        commands: vec![(
            "When it is upgraded, look again",
            call(now, "decant_retry", &format!("({first} : nat64)")),
        )],
    })
}

fn paused(now: &Picture) -> Option<Ask> {
    let open = now.queued + now.working;
    let what = match now.pause {
        Pause::Running => return None,
        _ if open == 0 => return None,
        Pause::NoJobs => "No job is started; those on their way go on.",
        Pause::Hold => "No job is started, and none on its way comes nearer to its commit point.",
    };
    Some(Ask {
        kind: "paused",
        title: format!("The coordinator is paused, with {} open", counted(open, "job")),
        what: what.to_owned(),
        details: Vec::new(),
        commands: vec![("Go on", resume(now))],
    })
}

fn short(now: &Picture) -> Option<Ask> {
    let is_dry = now.runway_days.is_some_and(|days| days < RUNWAY_DAYS);
    let (title, what) = match (&now.waits_for, now.runway_days) {
        (Some(waits_for), _) => ("Jobs in line wait for cycles".to_owned(), sentence(waits_for)),
        (None, Some(days)) if is_dry => (
            format!("The coordinator freezes in {} if it does nothing", counted(days, "day")),
            format!(
                "It has {} cycles to spend, of which {} stay for jobs on their way.",
                cycles(now.liquid_cycles),
                cycles(now.floor_cycles)
            ),
        ),
        _ => return None,
    };
    Some(Ask {
        kind: "cycles",
        title,
        what,
        details: Vec::new(),
        commands: vec![("Top up", format!("icp canister top-up {} --amount 5t -n ic", now.own))],
    })
}

fn still(now: &Picture) -> Option<Ask> {
    let progress_nanos = now.progress_nanos?;
    let still_nanos = now.now_nanos.saturating_sub(progress_nanos);
    let works = now.working > 0 && now.pause == Pause::Running && now.put_back_nanos.is_none();
    (works && still_nanos >= STILL_NANOS).then(|| Ask {
        kind: "still",
        title: format!("No job has moved for {}", span(still_nanos)),
        what: format!(
            "{} on their way. Read why below, and in /logs?level=warn; the platform's log has traps.",
            counted(now.working, "job")
        ),
        details: Vec::new(),
        commands: vec![
            ("Read the platform's log", format!("icp canister logs {} -n ic", now.own)),
            ("Look at all jobs now", resume(now)),
        ],
    })
}

/// With a capital letter, and the stop that ends it.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}
