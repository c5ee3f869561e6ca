//! What a job proves, learnt from its events while their values are there: the job keeps root, counts and times, its journal
//! goes, and this is kept with the event of its end.

use super::kept::Evidence;
use super::records::Record;
use super::{Memory, events, memory};
use decant_api::JobId;
use decant_engine::{Event, ImageKind, Job, LayoutView, Outcome, State, Value};
use ic_stable_structures::StableBTreeMap;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;

/// Bytes of a fingerprint that are kept; of a longer one its SHA-256 is.
const FINGERPRINT_BYTES: usize = 32;

thread_local! {
    static EVIDENCE: RefCell<StableBTreeMap<JobId, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(21)));
}

/// What a job proved so far, or had when it ended. One that began with an earlier build has less.
pub(crate) fn evidence(job: JobId) -> Evidence {
    let bytes = EVIDENCE.with_borrow(|all| all.get(&job));
    let open = bytes.and_then(|bytes| Evidence::decode(&bytes).ok());
    open.or_else(|| events::evidence_of(job)).unwrap_or_default()
}

/// A job ends: what it proved goes with the event that says so.
pub(super) fn close(job: JobId) -> Evidence {
    let bytes = EVIDENCE.with_borrow_mut(|all| all.remove(&job));
    bytes.and_then(|bytes| Evidence::decode(&bytes).ok()).unwrap_or_default()
}

/// Pages that the compact image has at most.
pub(super) fn pages_after(job: &Job) -> u64 {
    match evidence(job.id()).pages_after {
        0 => job.counters().used_pages.saturating_add(1),
        pages => pages,
    }
}

/// What an event tells of a job, which has taken it, and was queued before or not.
pub(super) fn learn(job: &Job, was_queued: bool, event: &Event) {
    let Event::Replied { outcome: Outcome::Done(value), .. } = event else { return };
    let known = evidence(job.id());
    let mut learnt = known.clone();
    match value {
        Value::Canister(view) if was_queued => learnt.source_module = view.module_hash,
        // By this answer it was admitted. Later ones may be of its target.
        Value::Kit(view) if matches!(job.state(), State::Admitted { .. }) => {
            let slack = u64::from(job.plan().bucket_pages.saturating_sub(1));
            learnt.pages_after = match &view.layout {
                // As it was judged when the job was admitted: at most one bucket of a memory is not full.
                LayoutView::Managed { memories, used_pages } => {
                    used_pages.saturating_add(u64::from(*memories).saturating_mul(slack)).saturating_add(1)
                }
                LayoutView::Raw => view.stable_pages.saturating_add(1),
                LayoutView::Empty => 1,
                LayoutView::Unreadable { .. } => learnt.pages_after,
            };
        }
        Value::Image(view) => {
            if let ImageKind::Managed { compact_pages, .. } = view.kind {
                learnt.pages_after = compact_pages;
            }
        }
        // Of a target that an operator wants back it is no proof of what was moved.
        Value::Hashed(_) if matches!(job.state(), State::Reverting(_)) => {}
        Value::Hashed(seal) => {
            learnt.fingerprint_bytes = u32::try_from(seal.fingerprint.len()).unwrap_or(u32::MAX);
            learnt.fingerprint = match seal.fingerprint.len() {
                0..=FINGERPRINT_BYTES => seal.fingerprint.clone(),
                _ => ByteBuf::from(Sha256::digest(&seal.fingerprint).to_vec()),
            };
        }
        _ => {}
    }
    if learnt != known {
        keep(job.id(), &learnt);
    }
}

pub(super) fn keep(job: JobId, evidence: &Evidence) {
    EVIDENCE.with_borrow_mut(|all| all.insert(job, evidence.encode()));
}
