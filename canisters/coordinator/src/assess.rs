//! A live view of canisters before there is any plan. A composite query: it costs nothing, and what it changes is forgotten.

use crate::management::{self, OfCanister, RunState, Status, Visibility};
use crate::outcomes::is_gone;
use crate::replies;
use crate::{enrolment, money, store, views};
use candid::{Nat, Principal};
use decant_api::assess::{AssessArgs, Assessment, Price, Refusal};
use decant_api::source::{KitStatus, LayoutSummary};
use decant_engine::{Digest, ReasonCode};
use decant_words::Hand;
use ic_cdk::call::Call;

/// Canisters in one answer: two calls for each, of the hundred that a composite query may make (code,
/// `INSTRUCTION_OVERHEAD_PER_QUERY_CALL`: 50 M of 5 B instructions).
const CANISTERS: usize = 40;
/// Controllers that a canister can have (spec).
const CONTROLLERS: usize = 10;
const PAGE_BYTES: u64 = 65_536;

/// Looks at each, in order; those beyond the limit are left out.
pub(crate) async fn assess(args: AssessArgs) -> Vec<Assessment> {
    let mut all = Vec::new();
    for canister in args.canisters.into_iter().take(CANISTERS) {
        all.push(assess_one(canister, args.bucket_pages.max(1)).await);
    }
    all
}

async fn assess_one(canister: Principal, bucket_pages: u16) -> Assessment {
    let mut seen = Assessment {
        canister,
        job: store::job_of(canister),
        refusals: Vec::new(),
        module: None,
        is_known_build: false,
        has_kit: false,
        stable_pages: None,
        compact_pages: None,
        in_place: Price { cycles: 0, payback_days: None },
        fresh: Price { cycles: 0, payback_days: None },
    };
    if let Err(error) = enrolment::check(canister, ic_cdk::api::canister_self()) {
        seen.refusals.push(Refusal {
            code: "NotEnrolled".to_owned(),
            text: error.to_string(),
            only_fresh: false,
        });
    } else {
        look(&mut seen).await;
        ask_kit(&mut seen, bucket_pages).await;
    }
    price(&mut seen, &crate::govern::hand());
    seen
}

fn refuse(seen: &mut Assessment, code: ReasonCode, only_fresh: bool) {
    seen.refusals.push(Refusal { code: views::code_name(code), text: code.text().to_owned(), only_fresh });
}

/// What the management canister tells a controller.
async fn look(seen: &mut Assessment) {
    let reply = match management::call("canister_status", &OfCanister { canister_id: seen.canister }).await {
        Ok(response) => replies::told::<Status>(response),
        Err(error) if is_gone(&error) => return refuse(seen, ReasonCode::Gone, false),
        Err(_) => return refuse(seen, ReasonCode::NotAuthorised, false),
    };
    let Ok(status) = reply else { return refuse(seen, ReasonCode::Rejected, false) };
    // A public status is told to everybody: control is another thing.
    if !status.settings.controllers.contains(&ic_cdk::api::canister_self()) {
        refuse(seen, ReasonCode::NotAuthorised, false);
    }
    let metrics = status.memory_metrics.as_ref();
    seen.stable_pages =
        metrics.and_then(|it| it.stable_memory_size.as_ref()).map(|bytes| number(bytes) / PAGE_BYTES);
    let hash: Option<[u8; 32]> = status.module_hash.as_ref().and_then(|hash| hash.as_slice().try_into().ok());
    seen.is_known_build = hash.is_some_and(|hash| store::module(&Digest(hash)).is_some());
    seen.module = status.module_hash;
    let settings = &status.settings;
    let is_set = |figure: Option<&Nat>| figure.is_some_and(|figure| number(figure) > 0);
    let found = [
        (seen.module.is_none(), ReasonCode::NoKit, false),
        (!matches!(status.status, RunState::Running), ReasonCode::NotRunning, false),
        (is_set(settings.minimum_incoming_canister_call_cycles.as_ref()), ReasonCode::WantsCycles, false),
        (
            matches!(settings.snapshot_visibility, Some(Visibility::Public)),
            ReasonCode::PublicSnapshots,
            false,
        ),
        (status.settings.controllers.len() >= CONTROLLERS, ReasonCode::TooManyControllers, false),
        (metrics.is_some_and(|it| is_set(it.snapshots_size.as_ref())), ReasonCode::HasSnapshots, true),
        (seen.stable_pages == Some(0), ReasonCode::NotWorthIt, false),
    ];
    for (_, code, only_fresh) in found.into_iter().filter(|(is_so, ..)| *is_so) {
        refuse(seen, code, only_fresh);
    }
}

/// What one with the kit tells of its layout.
async fn ask_kit(seen: &mut Assessment, bucket_pages: u16) {
    if seen.module.is_none() || seen.refusals.iter().any(|it| it.code == "NotRunning") {
        return;
    }
    let Ok(response) = money::send(Call::bounded_wait(seen.canister, "decant_status")).await else { return };
    let Ok(status) = replies::told::<KitStatus>(response) else { return };
    seen.has_kit = true;
    let slack = u64::from(bucket_pages - 1);
    seen.compact_pages = match status.layout {
        LayoutSummary::Empty => Some(1),
        LayoutSummary::Raw => Some(status.stable_pages.saturating_add(1)),
        LayoutSummary::Managed { memories, used_pages, .. } => {
            Some(used_pages.saturating_add(u64::from(memories).saturating_mul(slack)).saturating_add(1))
        }
        LayoutSummary::Unreadable { .. } => None,
    };
    match seen.compact_pages {
        None => refuse(seen, ReasonCode::Unreadable, false),
        Some(compact) if seen.stable_pages.is_some_and(|pages| pages <= compact) => {
            refuse(seen, ReasonCode::AlreadyCompact, false);
        }
        Some(_) => {}
    }
}

fn price(seen: &mut Assessment, hand: &Hand) {
    let saved = seen.stable_pages.zip(seen.compact_pages).map(|(before, after)| {
        u128::from(before.saturating_sub(after)).saturating_mul(hand.page_year_cycles)
    });
    let price = |cycles: u128| Price {
        cycles,
        payback_days: saved
            .and_then(|saved| cycles.saturating_mul(365).checked_div(saved))
            .map(|days| u64::try_from(days).unwrap_or(u64::MAX)),
    };
    seen.in_place = price(hand.job_cycles);
    seen.fresh = price(hand.job_cycles.saturating_add(hand.creation_cycles));
}

fn number(figure: &Nat) -> u64 {
    u64::try_from(&figure.0).unwrap_or(u64::MAX)
}
