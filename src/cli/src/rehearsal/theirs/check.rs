//! What somebody's canisters answer, against what their twins do.

use super::super::account::excess_pages;
use super::super::calls::{query, snapshot_count};
use super::super::world::World;
use super::ask::Ask;
use super::canisters::Pair;
use super::{Asks, Original};
use crate::{candid_text, text};
use anyhow::bail;
use candid::Principal;
use decant_api::jobs::{JobView, Outcome};
use pocket_ic::RejectResponse;

/// Letters of an answer, or of a rejection, in a complaint.
const LETTERS: usize = 240;

/// What a query was answered: a reply, or with which code it was rejected.
pub(super) type Answer = Result<Vec<u8>, String>;

/// What was found out about a canister.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Queries that were answered as by the twin.
    pub(super) same: u64,
    pub(super) queries: u64,
    pub(super) stable_bytes: u64,
    pub(super) excess_pages: u64,
    /// What does not hold, by the promise that says it should (`docs/safety.md`).
    pub(super) broken: Vec<(u8, String)>,
    /// What an ordinary upgrade does to the canister, whatever Decant does.
    pub(super) own: Vec<String>,
}

/// Asks every canister and its twin before anything is done.
///
/// # Errors
/// A query is rejected, or two that are equal answer differently: it can't be compared.
pub(super) fn ask_before(
    world: &World,
    originals: &[Original],
    asks: &Asks,
    copies: &mut [Pair],
) -> anyhow::Result<()> {
    for copy in copies.iter() {
        let name = &originals[copy.original].name;
        for ask in asks.queries(name) {
            let at = || format!("{name}: line {} of --ask, `{}`", ask.line, ask.text);
            if let Err(rejected) = answer(world, copy.canister, ask) {
                bail!(
                    "{} is rejected before anything is done: {rejected}; numbers need their type: `5 : nat64`",
                    at()
                );
            }
        }
    }
    // A query that tells the time, or its canister's id, shows that now.
    world.pic.advance_time(super::super::drive::ROUND);
    world.pic.tick();
    for copy in copies.iter_mut() {
        let name = &originals[copy.original].name;
        for ask in asks.queries(name) {
            let [one, other] =
                [copy.canister, copy.twin].map(|canister| code_of(answer(world, canister, ask)));
            if one != other {
                bail!(
                    "{name}: line {} of --ask, `{}`: two equal canisters answer differently before anything is done, {} and \
                     {}: what depends on a canister's id or on chance can't be compared, leave it out",
                    ask.line,
                    ask.text,
                    shown(&one),
                    shown(&other)
                );
            }
            copy.answers.push(one);
        }
    }
    Ok(())
}

fn answer(world: &World, canister: Principal, ask: &Ask) -> Result<Vec<u8>, RejectResponse> {
    world.pic.query_call(canister, ask.sender, &ask.method, ask.argument.clone())
}

/// The words of a rejection name the canister.
fn code_of(answer: Result<Vec<u8>, RejectResponse>) -> Answer {
    answer.map_err(|rejected| format!("{:?}", rejected.error_code))
}

fn shown(answer: &Answer) -> String {
    match answer {
        Ok(bytes) => text::line_of(&candid_text::show(bytes), LETTERS),
        Err(code) => format!("rejected, {code}"),
    }
}

/// Lets the twin do what the canister did, and compares them.
pub(super) fn check(
    world: &World,
    asks: &Asks,
    original: &Original,
    copy: &Pair,
    job: &JobView,
    manager_page: Option<u64>,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let is_done = job.outcome == Outcome::Done;
    live_as_twin(world, asks, original, copy, job, &mut found);
    let expected = job.target.filter(|_| job.committed_nanos.is_some()).unwrap_or(copy.canister);
    let routed: Option<Principal> = query(&world.pic, world.index, "route", (copy.user,))?;
    let resolved: Principal = query(&world.pic, world.coordinator, "decant_resolve", (copy.canister,))?;
    if routed != Some(expected) || resolved != expected {
        let routed = routed.map_or_else(|| "nowhere".to_owned(), |id| id.to_text());
        found.broken.push((
            3,
            format!("the state is in {expected}, the index leads to {routed}, the coordinator to {resolved}"),
        ));
    }
    for (ask, before) in asks.queries(&original.name).zip(&copy.answers) {
        let [now, twins] = [expected, copy.twin].map(|canister| code_of(answer(world, canister, ask)));
        found.queries += 1;
        if now == twins {
            found.same += 1;
            continue;
        }
        let wanted = match is_done {
            true => "its twin, which was upgraded once and written to alike,",
            false => "its twin, which was written to alike,",
        };
        found.broken.push((
            if is_done { 2 } else { 10 },
            format!(
                "`{}` (line {} of --ask) is answered {}, and by {wanted} {}; before it was {}",
                ask.text,
                ask.line,
                shown(&now),
                shown(&twins),
                shown(before)
            ),
        ));
    }
    let left = snapshot_count(&world.pic, world.operator, expected)?;
    if left > 0 {
        found.broken.push((5, format!("{left} snapshots are left")));
    }
    let image = world.pic.get_stable_memory(expected);
    found.stable_bytes = image.len() as u64;
    if is_done {
        let manager_page = u32::try_from(manager_page.unwrap_or_default())?;
        found.excess_pages = excess_pages(&image, manager_page, job)?;
        // Who writes behind the last bucket by other means does so again, as the twin shows.
        let has_own_pages = || -> anyhow::Result<bool> {
            let twins = world.pic.get_stable_memory(copy.twin);
            Ok(excess_pages(&twins, manager_page, job)? > 0)
        };
        if found.excess_pages > 0 && !has_own_pages()? {
            found.broken.push((7, format!("{} pages more than its buckets need", found.excess_pages)));
        }
    } else {
        // What was not given back may have its reason in the module itself.
        upgrade_twin(world, original, copy, &mut found);
    }
    Ok(found)
}

/// The twin is written to in the same order, and upgraded once where the canister was: its users were told at the ends of
/// the fence, and can't have written in the middle.
fn live_as_twin(
    world: &World,
    asks: &Asks,
    original: &Original,
    copy: &Pair,
    job: &JobView,
    found: &mut Found,
) {
    let asked: Vec<&Ask> = asks.updates(&original.name).collect();
    let mut upgrade_due_nanos = match (&job.outcome, job.fenced_nanos, job.served_nanos.or(job.ended_nanos)) {
        (Outcome::Done, Some(fenced), Some(served)) => Some(fenced.midpoint(served)),
        _ => None,
    };
    for (written, ask) in copy.written.iter().zip(asked.iter().cycle()) {
        if upgrade_due_nanos.take_if(|due| written.at_nanos > *due).is_some() {
            upgrade_twin(world, original, copy, found);
        }
        let reply = world.pic.update_call(copy.twin, ask.sender, &ask.method, ask.argument.clone());
        if reply.is_ok() != written.is_taken {
            let words = |is_taken| if is_taken { "taken" } else { "rejected" };
            let [one, other] = [written.is_taken, reply.is_ok()].map(words);
            found.broken.push((2, format!("`{}` was {one}, and by its twin {other}", ask.text)));
        }
    }
    if upgrade_due_nanos.is_some() {
        upgrade_twin(world, original, copy, found);
    }
}

fn upgrade_twin(world: &World, original: &Original, copy: &Pair, found: &mut Found) {
    if let Err(rejected) = original.upgrade(world, copy.twin) {
        found.own.push(format!(
            "an ordinary upgrade to the same module fails too: {}",
            text::line_of(&rejected, LETTERS)
        ));
    }
}
