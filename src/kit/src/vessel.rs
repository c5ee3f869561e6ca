//! What a vessel does: the kit without a dapp. It keeps the state of its canister while the dapp's code is away.
//!
//! Its fence is closed from its first message on, and never opens: what comes back is the dapp's own module, by an
//! upgrade. No code but this runs in it, so nothing that was hashed is hashed again unless the source has moved.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use candid::{CandidType, Principal};
use decant_api::source::{Fence, JobArgs, KitStatus, SealProgress};
use decant_api::target::{PullArgs, PullProgress};
use decant_api::vessel::{PourArgs, PourProgress, VesselArgs, VesselRole};
use decant_api::{KitError, Refusal};
use decant_layout::{Accepted, HEADER_BYTES, Layout, MemoryContents, PAGE_BYTES, copies};
use decant_transfer::{ChunkId, DigestSet, Shape};
use futures_util::future::join_all;
use ic_cdk::api::{canister_liquid_cycle_balance, canister_self, is_controller, msg_caller, time};
use ic_cdk::call::Call;
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::fence::{self, Act, Asker};
use crate::hashing::transfer;
use crate::hooks::Hooks;
use crate::import::Import;
use crate::limits::{POUR_CALLS, POUR_TOGETHER, READ_TIMEOUT_SECONDS};
use crate::pour::{Slice, slices};
use crate::source::controller;
use crate::stable::{CanisterMemory, Stable};
use crate::state;
use crate::target::call_failed;
use crate::view::Told;
use crate::watch::Watch;

const UPLOAD: &str = "upload_canister_snapshot_data";

/// There is no dapp: the state is in stable memory already, and stays there.
const HOOKS: Hooks = Hooks { save: || (), load: || (), fingerprint: Vec::new };

thread_local! {
    static POUR: RefCell<Option<Pour>> = const { RefCell::new(None) };
    static IS_POURING: Cell<bool> = const { Cell::new(false) };
}

/// It was installed, or a canister was upgraded to it: whatever was known before is forgotten.
pub fn born(args: VesselArgs) {
    let asker = Asker { job: args.job, coordinator: msg_caller() };
    let hold = |peer| asker.hold(peer, time());
    let (fence, import) = match args.role {
        VesselRole::Source { reader, .. } => (Fence::Frozen(hold(reader)), None),
        VesselRole::Target { source, bucket_pages } => {
            (Fence::Importing(hold(source)), Some(Import::new(bucket_pages)))
        }
        VesselRole::Moved { to } => (Fence::Moved { hold: hold(to), to }, None),
    };
    let tail_is_dropped = matches!(args.role, VesselRole::Source { drops_tail: true, .. });
    // A page that no stable memory has: nothing is found there.
    let manager_page = args.manager_page.map_or(0, |page| u32::try_from(page).unwrap_or(u32::MAX));
    let accepted = Accepted { tail_is_dropped, ..Accepted::default() };
    state::with(|kit| {
        kit.told = Told { manager_page, accepted };
        (kit.fence, kit.import, kit.watch) = (fence, import, Watch::Alone);
    });
}

/// For `inspect_message`: takes what controllers ask of the vessel, and refuses everything else with a reason that says
/// what is going on, or where the state is.
pub fn inspect() {
    let is_ours = ic_cdk::api::msg_method_name().starts_with("decant_");
    match is_ours && is_controller(&msg_caller()) {
        true => ic_cdk::api::accept_message(),
        false => ic_cdk::trap(refusal()),
    }
}

/// Where the state is.
pub fn moved_to() -> Principal {
    match state::with(|kit| kit.fence.clone()) {
        Fence::Moved { to, .. } => to,
        _ => ic_cdk::trap(refusal()),
    }
}

/// As [`source::seal`](crate::source::seal).
///
/// # Errors
/// As there.
pub fn seal(args: JobArgs) -> Result<SealProgress, KitError> {
    crate::source::seal(&HOOKS, args)
}

/// As [`source::recheck`](crate::source::recheck).
///
/// # Errors
/// As there.
pub fn recheck(args: JobArgs) -> Result<SealProgress, KitError> {
    crate::source::recheck(&HOOKS, args)
}

/// As [`source::drain`](crate::source::drain).
///
/// # Errors
/// As there.
pub async fn drain(args: crate::source::DrainArgs) -> Result<u128, KitError> {
    crate::source::drain(&HOOKS, args).await
}

/// As [`target::pull`](crate::target::pull).
///
/// # Errors
/// As there.
pub async fn pull(args: PullArgs) -> Result<PullProgress, KitError> {
    crate::target::pull(&HOOKS, args).await
}

/// As [`target::verify`](crate::target::verify); the dapp loads the state when the canister is upgraded to it.
///
/// # Errors
/// As there.
pub fn verify(args: JobArgs) -> Result<SealProgress, KitError> {
    crate::target::verify(&HOOKS, args)
}

/// Changes nothing: a vessel gives way to the dapp's module, it does not open.
///
/// # Errors
/// As [`source::thaw`](crate::source::thaw).
pub fn thaw(args: JobArgs) -> Result<KitStatus, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| kit.check(Act::Thaw, &asker).map(|()| kit.status()))
}

/// Says that the state is whole, so that the canister may be upgraded to the dapp's module. The fence stays closed.
///
/// # Errors
/// As [`target::activate`](crate::target::activate).
pub fn activate(args: JobArgs) -> Result<KitStatus, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| {
        kit.check(Act::Import, &asker)?;
        let verified = kit.import.as_ref().and_then(Import::verified_root);
        if verified.is_none() {
            let wanted = "a target that is verified".to_owned();
            return Err(KitError::WrongFence { fence: Box::new(kit.fence.clone()), wanted });
        }
        kit.root = verified;
        Ok(kit.status())
    })
}

/// Writes the next slices of the compact image of what is sealed into a snapshot of this canister; the header page last.
/// Safe to repeat; another snapshot, or another bucket size, begins anew.
///
/// # Errors
/// [`KitError::NotAuthorised`], [`KitError::HeldByOther`], [`KitError::WrongFence`] unless sealed by this job;
/// [`KitError::Layout`] unless a `MemoryManager` laid it out, or if it does not fit such buckets; [`KitError::Transfer`]
/// while another snapshot is written; [`KitError::CallFailed`] if a slice was not written: call again.
pub async fn pour(args: PourArgs) -> Result<PourProgress, KitError> {
    let asker = controller(args.job)?;
    state::with(|kit| kit.check(Act::Pour, &asker))?;
    let is_known = POUR.with_borrow(|pour| pour.as_ref().is_some_and(|pour| pour.is_for(&args)));
    if !is_known {
        let next = Pour::of_sealed(&args)?;
        if args.max_calls == 0 {
            return Ok(next.progress());
        }
        if IS_POURING.get() {
            return Err(transfer("another snapshot is being written: ask again when that is over"));
        }
        POUR.set(Some(next));
    }
    let _pouring = match Pouring::begin() {
        Some(pouring) => pouring,
        None => return pouring(|pour| Ok(pour.progress())),
    };
    let mut calls = args.max_calls.min(POUR_CALLS);
    while calls > 0 && !pouring(|pour| Ok(pour.is_complete))? {
        let writes = pouring(|pour| Ok(pour.writes(calls as usize)))?;
        calls = calls.saturating_sub(writes.len() as u32);
        let (ends, uploads): (Vec<_>, Vec<_>) =
            writes.into_iter().map(|write| ((write.end_page, write.bytes), write.call.into_future())).unzip();
        let answers = join_all(uploads).await;
        state::entered();
        state::with(|kit| kit.check(Act::Pour, &asker))?;
        for ((end_page, bytes), answer) in ends.into_iter().zip(answers) {
            answer.map_err(|error| call_failed(Principal::management_canister(), UPLOAD, &error))?;
            pouring(|pour| {
                pour.wrote(end_page, bytes);
                Ok(())
            })?;
        }
    }
    pouring(|pour| Ok(pour.progress()))
}

/// Why anybody else's message is not taken.
fn refusal() -> String {
    let refusal = state::with(|kit| fence::refusal(&kit.fence));
    refusal.as_ref().map(Refusal::to_string).unwrap_or_default()
}

/// Works on what is being poured.
fn pouring<R>(work: impl FnOnce(&mut Pour) -> Result<R, KitError>) -> Result<R, KitError> {
    POUR.with_borrow_mut(|pour| work(pour.as_mut().ok_or_else(|| transfer("nothing is being poured"))?))
}

/// A compact image on its way into a snapshot.
struct Pour {
    snapshot: ByteBuf,
    bucket_pages: u16,
    layout: Layout,
    compact: Layout,
    shape: Shape,
    /// By ordinal of the shape's chunks: whether it is zero.
    zeros: Vec<bool>,
    /// From here on nothing is written yet.
    next_page: u64,
    wire_bytes: u64,
    is_complete: bool,
    /// Pages that managers inside of virtual memories waste.
    nested_pages: u64,
}

/// A call that writes a part of it.
struct Write {
    call: Call<'static, 'static>,
    /// The page after it; none for the header page, behind which nothing is left.
    end_page: Option<u64>,
    bytes: u64,
}

impl Pour {
    /// What is sealed, and nothing of it written yet.
    fn of_sealed(args: &PourArgs) -> Result<Self, KitError> {
        state::with(|kit| {
            let (view, digests) = crate::source::sealed(kit)?.parts();
            let raw =
                || KitError::Layout { reason: "no MemoryManager laid it out: nothing to repack".to_owned() };
            let layout = view.layout().cloned().ok_or_else(raw)?;
            let compact = layout
                .compact(u32::from(args.bucket_pages))
                .map_err(|error| KitError::Layout { reason: error.to_string() })?;
            let contents = layout.contents(|offset, buffer| {
                CanisterMemory.read(offset, buffer);
                Ok::<_, Infallible>(())
            });
            let wasted =
                |memory: &MemoryContents| memory.nested_usage().map(|usage| usage.reclaimable_pages());
            let nested_pages = contents.iter().flatten().filter_map(wasted).sum();
            let shape = view.shape().clone();
            let of_zeros = DigestSet::of_zeros(shape.clone());
            let zeros = of_zeros.digests().iter().zip(digests.digests()).map(|(zero, digest)| zero == digest);
            Ok(Self {
                snapshot: args.snapshot.clone(),
                bucket_pages: args.bucket_pages,
                layout,
                compact,
                zeros: zeros.collect(),
                shape,
                next_page: 0,
                wire_bytes: 0,
                is_complete: false,
                nested_pages,
            })
        })
    }

    fn is_for(&self, args: &PourArgs) -> bool {
        self.snapshot == args.snapshot && self.bucket_pages == args.bucket_pages
    }

    fn progress(&self) -> PourProgress {
        PourProgress {
            next_page: self.next_page,
            pages: self.compact.stable_size_pages(),
            is_complete: self.is_complete,
            wire_bytes: self.wire_bytes,
            nested_pages: Some(self.nested_pages).filter(|pages| *pages > 0),
        }
    }

    /// The next calls, as many as the cycles of this canister prepay, but one at least; the header page alone.
    fn writes(&self, limit: usize) -> Vec<Write> {
        let limit = limit.min(POUR_TOGETHER);
        let mut writes: Vec<Write> = Vec::new();
        let mut free_cycles = canister_liquid_cycle_balance();
        for slice in self.slices(limit) {
            let mut content = Vec::with_capacity((slice.pages() * PAGE_BYTES) as usize);
            for piece in &slice.pieces {
                let begin = content.len();
                content.resize(begin + (piece.pages * PAGE_BYTES) as usize, 0);
                CanisterMemory.read(piece.source_page * PAGE_BYTES, &mut content[begin..]);
            }
            let write = self.write(slice.target_page * PAGE_BYTES, content, Some(slice.end_page()));
            let cost = write.call.get_cost();
            if !writes.is_empty() && cost > free_cycles {
                break;
            }
            free_cycles = free_cycles.saturating_sub(cost);
            writes.push(write);
        }
        if writes.is_empty() {
            let mut header = self.compact.header_page();
            header.truncate(HEADER_BYTES);
            writes.push(self.write(self.compact.header_offset_bytes(), header, None));
        }
        writes
    }

    fn slices(&self, limit: usize) -> Vec<Slice> {
        let is_zero = |memory, page: u64| {
            let index = page / u64::from(self.shape.chunk_pages());
            let chunk = ChunkId { memory, index: u32::try_from(index).unwrap_or(u32::MAX) };
            self.shape.ordinal(chunk).and_then(|ordinal| self.zeros.get(ordinal)).copied().unwrap_or(false)
        };
        match copies(&self.layout, &self.compact) {
            Ok(runs) => slices(runs, self.next_page, limit, is_zero),
            // A layout has the memories of its own compact one.
            Err(_) => Vec::new(),
        }
    }

    fn write(&self, offset: u64, content: Vec<u8>, end_page: Option<u64>) -> Write {
        let bytes = content.len() as u64;
        let args = UploadArgs {
            canister_id: canister_self(),
            snapshot_id: &self.snapshot,
            kind: Kind::StableMemory { offset },
            chunk: ByteBuf::from(content),
        };
        // Safe to repeat, so it travels with a deadline.
        let call = Call::bounded_wait(Principal::management_canister(), UPLOAD)
            .with_arg(&args)
            .change_timeout(READ_TIMEOUT_SECONDS);
        Write { call, end_page, bytes }
    }

    fn wrote(&mut self, end_page: Option<u64>, bytes: u64) {
        self.wire_bytes += bytes;
        self.is_complete = end_page.is_none();
        self.next_page = end_page.unwrap_or_else(|| self.compact.stable_size_pages());
    }
}

/// As the management canister takes it.
#[derive(CandidType)]
struct UploadArgs<'a> {
    canister_id: Principal,
    snapshot_id: &'a ByteBuf,
    kind: Kind,
    chunk: ByteBuf,
}

#[derive(CandidType, Deserialize)]
enum Kind {
    #[serde(rename = "stable_memory")]
    StableMemory { offset: u64 },
}

/// Excludes a second pour. Released when dropped, so also when a callback traps.
struct Pouring(());

impl Pouring {
    fn begin() -> Option<Self> {
        match IS_POURING.replace(true) {
            true => None,
            false => Some(Self(())),
        }
    }
}

impl Drop for Pouring {
    fn drop(&mut self) {
        IS_POURING.set(false);
    }
}
