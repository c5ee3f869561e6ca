//! What governance decides: checked and rendered for voters when it is proposed, checked again when it is executed. A
//! decision that changes something says what it changes, so that what voters read is what happens, or nothing does.

#[cfg(test)]
mod tests;

use crate::money::{self, FLOOR_CYCLES, Prices};
use crate::store::{self, Bounds};
use crate::{audit, driver, pace, payouts, plans};
use candid::Principal;
use decant_api::govern::{Decision, PlanView, Roles, Terms};
use decant_api::plan::Plan;
use decant_words::Hand;

/// Renders a decision for people, or says why it can't be executed. Whether chunks are stored is only known to a call.
pub(crate) fn render(decision: &Decision) -> Result<String, String> {
    check(decision)?;
    Ok(decant_words::text(decision, Some(&hand())))
}

/// What the coordinator has, and what things cost now.
pub(crate) fn hand() -> Hand {
    let prices = Prices::now();
    Hand {
        liquid_cycles: ic_cdk::api::canister_liquid_cycle_balance(),
        floor_cycles: FLOOR_CYCLES,
        job_cycles: money::least(None, 0, prices),
        creation_cycles: ic_cdk::api::cost_create_canister(),
        page_year_cycles: prices.here(decant_words::PAGE_YEAR_CYCLES),
    }
}

/// Renders a decision for voters, or says why it can't be executed.
pub(crate) async fn validate(decision: &Decision) -> Result<String, String> {
    let rendered = render(decision)?;
    check_by_call(decision).await?;
    Ok(rendered)
}

async fn check_by_call(decision: &Decision) -> Result<(), String> {
    match decision {
        Decision::Approve { plan, .. } => plans::check_chunks(plan).await,
        Decision::End { .. } | Decision::Change { .. } | Decision::Name { .. } | Decision::Pay(_) => Ok(()),
    }
}

/// Does what was decided, if it is still true. `by` is who says that it was.
pub(crate) async fn execute(by: Principal, decision: Decision) -> Result<(), String> {
    check_by_call(&decision).await?;
    // The world may have moved during the call: what is checked in this message is acted upon.
    check(&decision)?;
    match decision {
        Decision::Approve { plan, pace } => {
            let hash = audit::hash(&plan);
            let id = store::add_plan(plan);
            store::change_course(id, |course| course.set_pace(pace.unwrap_or_default()));
            audit::approved(by, id, hash);
        }
        Decision::End { plan, .. } => {
            store::change_course(plan, |course| course.has_ended = true);
            audit::decided(by, format!("plan {plan} is ended"));
        }
        Decision::Change { plan, now, .. } => {
            store::change_course(plan, |course| {
                course.bounds = Some(Bounds {
                    max_canisters: now.max_canisters,
                    max_cycles: now.max_cycles,
                    max_in_flight: now.max_in_flight,
                });
                course.set_pace(now.pace);
                course.tempo = None;
            });
            store::forget_terms(plan);
            driver::go_on();
            audit::decided(by, format!("plan {plan} has other terms: {}", decant_words::terms(&now)));
        }
        Decision::Name { now, .. } => {
            let text = format!("other roles: {}", decant_words::roles(&now));
            store::set_roles(now);
            audit::decided(by, text);
        }
        Decision::Pay(payout) => {
            payouts::execute(payout.clone()).await?;
            audit::paid_out(by, &payout);
        }
    }
    Ok(())
}

fn check(decision: &Decision) -> Result<(), String> {
    decant_words::check(decision)?;
    match decision {
        Decision::Approve { plan, .. } => {
            plans::check_room()?;
            plans::check_means(plan)
        }
        Decision::End { plan, title } => {
            let record = open_plan(*plan)?;
            match record.title == *title {
                true => Ok(()),
                false => {
                    Err(format!("plan {plan} has another title: {}", decant_words::quoted(&record.title)))
                }
            }
        }
        Decision::Change { plan, was, now } => check_change(*plan, was, now),
        Decision::Name { was, .. } => check_roles(was),
        Decision::Pay(payout) => payouts::check_means(payout.cycles),
    }
}

/// A plan that governance has not ended.
fn open_plan(id: u64) -> Result<Plan, String> {
    let record = store::plan(id).ok_or_else(|| format!("there is no plan {id} that can be read"))?;
    match store::course(id).has_ended {
        true => Err(format!("plan {id} is ended")),
        false => Ok(record.plan),
    }
}

fn check_change(id: u64, was: &Terms, now: &Terms) -> Result<(), String> {
    let plan = open_plan(id)?;
    let there = store::course(id).terms(&plan);
    if there != *was {
        return Err(format!("was: plan {id} has other terms now: {}", decant_words::terms(&there)));
    }
    let changed = Plan {
        max_canisters: now.max_canisters,
        max_cycles: now.max_cycles,
        max_in_flight: now.max_in_flight,
        ..plan
    };
    decant_words::check_plan(&changed)?;
    plans::check_means(&changed)
}

fn check_roles(was: &Roles) -> Result<(), String> {
    let there = store::roles();
    match there == *was {
        true => Ok(()),
        false => Err(format!("was: the roles are others now: {}", decant_words::roles(&there))),
    }
}

/// A plan as it is now.
pub(crate) fn plan(id: u64) -> Option<PlanView> {
    let record = store::plan(id)?;
    let course = store::course(id);
    let terms = course.terms(&record.plan);
    let waits = pace::waits_for(id);
    Some(PlanView {
        tempo: course.tempo.unwrap_or(terms.max_in_flight).min(terms.max_in_flight),
        terms,
        has_ended: course.has_ended,
        enrolled: record.used.enrolled,
        started: course.started,
        spent_cycles: record.used.cycles,
        waits_for: waits.as_ref().map(|wait| wait.text()),
        waits_until_nanos: waits.and_then(|wait| wait.until_nanos()),
        held: pace::held(id).len() as u64,
        plan: record.plan,
    })
}
