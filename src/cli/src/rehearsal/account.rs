//! Accounts for everything when the relocation is over: every user field by field, every old id, every canister.

use super::calls::{kept, query, snapshot_count};
use super::drive::Driven;
use super::fleet::{Fleet, User};
use super::world::World;
use super::{Options, Progress, Report, Retention};
use anyhow::{Context, anyhow};
use candid::{CandidType, Principal};
use decant_api::jobs::{JobView, Outcome};
use decant_layout::Image;
use decant_user_model::{Config, Entry, Follow, Post, Profile, Store, UserState};
use pocket_ic::common::rest::RawCanisterId;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Threads that read users back: the client and the instance take turns on one, so that a second fills the gaps.
const LANES: usize = 3;
/// Users that a thread reads before the figures are added up.
const READ_AHEAD: usize = 16;
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
    let mut report = Report::begin(options, driven);
    for batch in fleet.users.chunks(LANES * READ_AHEAD) {
        for findings in read_back(world, &jobs, batch)? {
            report.add(findings);
        }
        progress.done(batch.len() as u64);
    }
    report.settle_wire(driven);
    let fleet = fleet.users.iter().map(|user| user.original);
    report.orphans = orphans(world, fleet.chain(canisters_now(driven)))?.len() as u64;
    Ok(report)
}

/// Reads users back on some threads: while the instance answers one, what it answered to another is compared.
fn read_back(
    world: &World,
    jobs: &BTreeMap<Principal, &JobView>,
    users: &[User],
) -> anyhow::Result<Vec<Findings>> {
    std::thread::scope(|scope| {
        let lanes: Vec<_> = users
            .chunks(READ_AHEAD)
            .map(|lane| {
                scope.spawn(move || -> anyhow::Result<Vec<Findings>> {
                    lane.iter().map(|user| account_user(world, user, jobs)).collect()
                })
            })
            .collect();
        let mut all = Vec::with_capacity(users.len());
        for lane in lanes {
            all.extend(lane.join().map_err(|_| anyhow!("a thread that reads users back panicked"))??);
        }
        Ok(all)
    })
}

/// What was found out about one user.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) is_verified: bool,
    pub(super) state_bytes: u64,
    pub(super) routes_wrong: u64,
    pub(super) stable_bytes: u64,
    pub(super) is_original_deleted: bool,
    pub(super) excess_pages: u64,
    pub(super) snapshots_left: u64,
    pub(super) complaint: Option<String>,
}

fn account_user(
    world: &World,
    user: &User,
    jobs: &BTreeMap<Principal, &JobView>,
) -> anyhow::Result<Findings> {
    let job = jobs.get(&user.original).with_context(|| format!("user {} has no job", user.number))?;
    let expected = match (job.committed_nanos, job.target) {
        (Some(_), Some(target)) => target,
        _ => user.original,
    };
    let routed: Option<Principal> = query(&world.pic, world.index, "route", (user.number,))?;
    let by_index: Principal = query(&world.pic, world.index, "decant_resolve", (user.original,))?;
    let by_coordinator: Principal = query(&world.pic, world.coordinator, "decant_resolve", (user.original,))?;
    let model = user.model.state();
    let mut findings = Findings {
        state_bytes: cbor_bytes(&model)?,
        routes_wrong: u64::from(routed != Some(expected))
            + u64::from(by_index != expected)
            + u64::from(by_coordinator != expected),
        ..Findings::default()
    };
    let Some(canister) = routed else { return Ok(findings) };
    match differences(world, canister, &model) {
        Ok(found) if found.is_empty() => findings.is_verified = true,
        Ok(found) => findings.complaint = Some(format!("user {}: {}", user.number, found.join("; "))),
        Err(error) => findings.complaint = Some(format!("user {}: {error:#}", user.number)),
    }
    findings.snapshots_left = snapshot_count(&world.pic, world.operator, canister)?;
    let image = world.pic.get_stable_memory(canister);
    findings.stable_bytes = image.len() as u64;
    let is_original_gone = !world.pic.canister_exists(user.original);
    findings.is_original_deleted = is_original_gone && expected != user.original;
    if job.outcome == Outcome::Done {
        findings.excess_pages = excess_pages(&image, 0, job)?;
        // A retained original still holds its memory.
        if !is_original_gone && expected != user.original {
            findings.stable_bytes += kept(&world.pic, world.operator, &[user.original])?.stable_bytes;
        }
    }
    Ok(findings)
}

fn cbor_bytes(state: &UserState) -> anyhow::Result<u64> {
    let mut bytes = Vec::new();
    ciborium::into_writer(state, &mut bytes)?;
    Ok(bytes.len() as u64)
}

/// Pages beyond what lies before the manager, its header and the pages in use, rounded up to buckets.
pub(super) fn excess_pages(image: &[u8], manager_page: u32, job: &JobView) -> anyhow::Result<u64> {
    let pages = image.len() as u64 / decant_layout::PAGE_BYTES;
    let before = u64::from(manager_page);
    let header = usize::try_from(before * decant_layout::PAGE_BYTES)?;
    let least = match Image::parse_at(manager_page, image.get(header..).unwrap_or_default(), pages)? {
        Image::Empty => 0,
        Image::Raw { .. } => job.used_pages,
        Image::Managed(layout) => {
            let bucket = u64::from(layout.bucket_size_pages());
            1 + before
                + layout
                    .memories()
                    .iter()
                    .map(|memory| memory.size_pages().div_ceil(bucket) * bucket)
                    .sum::<u64>()
        }
    };
    Ok(pages.saturating_sub(least))
}

/// What a user's canister counts.
#[derive(CandidType, Deserialize)]
struct Stats {
    posts: u64,
    follows: u64,
    entries: u64,
    sequence: u64,
    text_bytes: u64,
}

/// What a canister says that its model does not, field by field: no answer grows with the state.
///
/// # Errors
/// It does not answer.
pub fn differences(world: &World, canister: Principal, expected: &UserState) -> anyhow::Result<Vec<String>> {
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
    compare("posts", posts(world, canister, expected.posts.len())? == expected.posts);
    let follows: BTreeMap<Principal, u64> = follows(world, canister, expected.follows.len())?
        .into_iter()
        .map(|follow| (follow.canister, follow.sequence))
        .collect();
    compare("follows", follows == expected.follows);
    compare("history", history(world, canister, expected.history.len())? == expected.history);
    // What pages don't tell: whether there is more behind the last one, and what no page shows.
    let stats: Stats = query(pic, canister, "stats", ())?;
    let counts = [expected.post_count(), expected.follow_count(), expected.entry_count()];
    compare("number of items", [stats.posts, stats.follows, stats.entries] == counts);
    compare("sequence", stats.sequence == expected.core.sequence);
    compare("bytes of text", stats.text_bytes == expected.core.text_bytes);
    Ok(found)
}

fn posts(world: &World, canister: Principal, expected: usize) -> anyhow::Result<Vec<Post>> {
    pages(expected, |read: &[Post]| query(&world.pic, canister, "posts", (read.len() as u64, PAGE)))
}

fn follows(world: &World, canister: Principal, expected: usize) -> anyhow::Result<Vec<Follow>> {
    let after = |read: &[Follow]| read.last().map(|follow| follow.canister);
    pages(expected, |read| query(&world.pic, canister, "follows", (after(read), PAGE)))
}

fn history(world: &World, canister: Principal, expected: usize) -> anyhow::Result<Vec<Entry>> {
    pages(expected, |read: &[Entry]| query(&world.pic, canister, "history", (read.len() as u64, PAGE)))
}

/// Reads page after page, until as many items are there as are expected or no more come. Whether there are more than that
/// tell the counts.
fn pages<T>(expected: usize, next: impl Fn(&[T]) -> anyhow::Result<Vec<T>>) -> anyhow::Result<Vec<T>> {
    let mut all = Vec::new();
    while all.len() < expected {
        let page = next(&all)?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    Ok(all)
}

/// Canisters of the instance that are neither among those that users, jobs, the pool or the like own nor around the fleet.
///
/// # Errors
/// A known one has no id of a canister.
pub fn orphans(world: &World, owned: impl IntoIterator<Item = Principal>) -> anyhow::Result<Vec<Principal>> {
    let mut known: Vec<Principal> = world.around_the_fleet().to_vec();
    known.extend(owned);
    known.sort();
    let numbers: Vec<u64> = known.iter().map(|id| World::number(*id)).collect::<Result<_, _>>()?;
    let first = numbers.iter().min().copied().unwrap_or(0);
    let last = numbers.iter().max().copied().unwrap_or(0);
    let mut orphans = Vec::new();
    for number in first..=last.saturating_add(SLACK) {
        let mut bytes = vec![1; 10];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let id: Principal = RawCanisterId { canister_id: bytes }.into();
        if known.binary_search(&id).is_err() && world.pic.canister_exists(id) {
            orphans.push(id);
        }
    }
    Ok(orphans)
}

/// Whether originals are to be deleted.
pub fn deletes_originals(options: &Options) -> bool {
    options.strategy.moves() && matches!(options.retention, Retention::Frozen | Retention::None)
}
