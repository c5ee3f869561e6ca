//! Accounts for everything when the relocation is over: every user field by field, every old id, every canister.

use super::calls::{query, stable_bytes};
use super::drive::Driven;
use super::fleet::{Fleet, User};
use super::world::World;
use super::{Options, Progress, Report, Retention};
use anyhow::Context;
use candid::Principal;
use decant_api::jobs::{JobView, Outcome};
use decant_layout::Image;
use decant_user_model::{self as model, Config, Entry, Follow, Post, Profile, Store, UserState};
use pocket_ic::common::rest::RawCanisterId;
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

/// Items that a page of a user's canister is asked for.
const PAGE: u32 = 1_000;
/// Ids past the last known one that are looked at for canisters that nobody knows.
const SLACK: u64 = 32;

/// The canisters that the relocation leaves besides the originals.
pub fn canisters_now(driven: &Driven) -> Vec<Principal> {
    let targets = driven.jobs.iter().filter_map(|job| job.target);
    targets.chain(driven.summary.pool.iter().copied()).collect()
}

/// Reads everything back and compares.
pub fn account(
    world: &World,
    fleet: &Fleet,
    driven: &Driven,
    options: &Options,
    progress: &mut dyn Progress,
) -> anyhow::Result<Report> {
    progress.phase("reading every user back", fleet.users.len() as u64);
    let jobs: BTreeMap<Principal, &JobView> = driven.jobs.iter().map(|job| (job.source, job)).collect();
    let mut report = Report::begin(options, driven, fleet.state_bytes()?);
    for user in &fleet.users {
        let job = jobs.get(&user.original).with_context(|| format!("user {} has no job", user.number))?;
        account_user(world, user, job, &mut report)?;
        progress.done(1);
    }
    report.orphans = orphans(world, fleet, driven)?;
    Ok(report)
}

fn account_user(world: &World, user: &User, job: &JobView, report: &mut Report) -> anyhow::Result<()> {
    let expected = match (job.committed_nanos, job.target) {
        (Some(_), Some(target)) => target,
        _ => user.original,
    };
    let routed: Option<Principal> = query(&world.pic, world.index, "route", (user.number,))?;
    let by_index: Principal = query(&world.pic, world.index, "decant_resolve", (user.original,))?;
    let by_coordinator: Principal = query(&world.pic, world.coordinator, "decant_resolve", (user.original,))?;
    report.routes_wrong += u64::from(routed != Some(expected))
        + u64::from(by_index != expected)
        + u64::from(by_coordinator != expected);
    let Some(canister) = routed else {
        report.lost += 1;
        return Ok(());
    };
    match differences(world, canister, &user.model) {
        Ok(found) if found.is_empty() => report.verified += 1,
        Ok(found) => {
            report.lost += 1;
            report.complaints.push(format!("user {}: {}", user.number, found.join("; ")));
        }
        Err(error) => {
            report.lost += 1;
            report.complaints.push(format!("user {}: {error:#}", user.number));
        }
    }
    report.stable_bytes_after += stable_bytes(&world.pic, canister, world.operator)?;
    let original_is_gone = !world.pic.canister_exists(user.original);
    report.originals_deleted += u64::from(original_is_gone && expected != user.original);
    if job.outcome == Outcome::Done {
        report.compact_excess_pages += excess_pages(world, canister, job)?;
        // A retained original still holds its memory.
        if !original_is_gone {
            report.stable_bytes_after += stable_bytes(&world.pic, user.original, world.operator)?;
        }
    }
    Ok(())
}

/// Pages beyond the header and the pages in use, rounded up to buckets.
fn excess_pages(world: &World, canister: Principal, job: &JobView) -> anyhow::Result<u64> {
    let bytes = world.pic.get_stable_memory(canister);
    let pages = bytes.len() as u64 / decant_layout::PAGE_BYTES;
    let least = match Image::parse(&bytes, pages)? {
        Image::Empty => 0,
        Image::Raw { .. } => job.used_pages,
        Image::Managed(layout) => {
            let bucket = u64::from(layout.bucket_size_pages());
            1 + layout
                .memories()
                .iter()
                .map(|memory| memory.size_pages().div_ceil(bucket) * bucket)
                .sum::<u64>()
        }
    };
    Ok(pages.saturating_sub(least))
}

/// What a canister says that its model does not, field by field.
fn differences(world: &World, canister: Principal, expected: &UserState) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut compare = |field: &str, is_equal: bool| {
        if !is_equal {
            found.push(format!("{field} differs"));
        }
    };
    let pic = &world.pic;
    let profile: Profile = query(pic, canister, "profile", ())?;
    compare("profile", profile == expected.core.profile);
    let config: Config = query(pic, canister, "config", ())?;
    compare("config", config == expected.core.config);
    let balance: u128 = query(pic, canister, "balance", ())?;
    compare("balance", balance == expected.core.balance);
    compare("posts", posts(world, canister)? == expected.posts);
    let follows: BTreeMap<Principal, u64> =
        follows(world, canister)?.into_iter().map(|follow| (follow.canister, follow.sequence)).collect();
    compare("follows", follows == expected.follows);
    compare("history", history(world, canister)? == expected.history);
    let digest: ByteBuf = query(pic, canister, "digest", ())?;
    compare("digest", digest.as_slice() == model::digest(expected));
    debug_assert_eq!(expected.post_count(), expected.posts.len() as u64);
    Ok(found)
}

fn posts(world: &World, canister: Principal) -> anyhow::Result<Vec<Post>> {
    let mut all: Vec<Post> = Vec::new();
    loop {
        let page: Vec<Post> = query(&world.pic, canister, "posts", (all.len() as u64, PAGE))?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn follows(world: &World, canister: Principal) -> anyhow::Result<Vec<Follow>> {
    let mut all: Vec<Follow> = Vec::new();
    loop {
        let after = all.last().map(|follow| follow.canister);
        let page: Vec<Follow> = query(&world.pic, canister, "follows", (after, PAGE))?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn history(world: &World, canister: Principal) -> anyhow::Result<Vec<Entry>> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let page: Vec<Entry> = query(&world.pic, canister, "history", (all.len() as u64, PAGE))?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Canisters of the instance that neither a user, a job, the pool nor the world around the fleet owns.
fn orphans(world: &World, fleet: &Fleet, driven: &Driven) -> anyhow::Result<u64> {
    let mut known: Vec<Principal> = vec![world.governance, world.coordinator, world.index];
    known.extend(fleet.users.iter().map(|user| user.original));
    known.extend(canisters_now(driven));
    known.sort();
    let numbers: Vec<u64> = known.iter().map(|id| World::number(*id)).collect::<Result<_, _>>()?;
    let first = numbers.iter().min().copied().unwrap_or(0);
    let last = numbers.iter().max().copied().unwrap_or(0);
    let mut orphans = 0;
    for number in first..=last.saturating_add(SLACK) {
        let mut bytes = vec![1; 10];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let id: Principal = RawCanisterId { canister_id: bytes }.into();
        if known.binary_search(&id).is_err() && world.pic.canister_exists(id) {
            orphans += 1;
        }
    }
    Ok(orphans)
}

/// Whether originals are to be deleted.
pub fn deletes_originals(retention: Retention) -> bool {
    matches!(retention, Retention::Frozen | Retention::None)
}
