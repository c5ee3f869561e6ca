//! What the kit keeps, on the heap: see the crate's documentation for why that is safe.

use std::cell::RefCell;

use decant_api::KitError;
use decant_api::source::{Fence, Hold, KitStatus};
use decant_transfer::Digest;
use ic_cdk::api::canister_version;
use serde_bytes::ByteBuf;

use crate::fence::{self, Act, Asker};
use crate::import::Import;
use crate::sealing::Sealing;
use crate::stable::{CanisterMemory, Stable};
use crate::timer::ParkedTimer;
use crate::view::{self, Told};
use crate::watch::Watch;

/// Version of the interface.
const KIT_VERSION: u32 = 1;

/// The same as a digit: what [`export!`](crate::export) writes into the module's metadata, as `decant:kit`.
pub const KIT_VERSION_DIGIT: [u8; 1] = [b'0' + KIT_VERSION as u8];
const _: () = assert!(KIT_VERSION < 10, "the version needs more digits");

/// Everything.
#[derive(Default)]
pub(crate) struct Kit {
    /// What the canister takes.
    pub(crate) fence: Fence,
    /// What is told of stable memory: of a dapp's nothing but what its header says.
    pub(crate) told: Told,
    /// Who may read while it is open; nobody once it is not.
    pub(crate) offer: Option<Hold>,
    /// The dapp's timer while it is fenced.
    pub(crate) timer: ParkedTimer,
    /// Whether anybody else ran: since the save of a source, since the beginning of an import.
    pub(crate) watch: Watch,
    /// A source's work, from the first call of seal on.
    pub(crate) sealing: Option<Sealing>,
    /// A target's work, while it imports.
    pub(crate) import: Option<Import>,
    /// The import that this canister came from.
    pub(crate) activated: Option<Asker>,
    /// The sealed, or on a target the verified root.
    pub(crate) root: Option<Digest>,
    /// Bytes hashed by a source, bytes written by a target.
    pub(crate) bytes_done: u64,
}

thread_local! {
    static KIT: RefCell<Kit> = RefCell::default();
}

/// Works on the state. Not while a hook runs: a hook may ask the guards.
pub(crate) fn with<R>(work: impl FnOnce(&mut Kit) -> R) -> R {
    KIT.with_borrow_mut(work)
}

/// A message of the kit begins, or goes on after a call: it is none of those that [`Watch`] looks for. To be called by
/// whatever runs in a message of its own, before anything else.
pub(crate) fn entered() {
    with(|kit| kit.watch.saw(canister_version()));
}

impl Kit {
    /// Whether an act is allowed; the fence stays as it is.
    pub(crate) fn check(&self, act: Act, asker: &Asker) -> Result<(), KitError> {
        fence::next(&self.fence, &act, asker).map(|_| ())
    }

    /// Moves the fence. Answers whether it moved: a repetition changes nothing.
    pub(crate) fn act(&mut self, act: Act, asker: &Asker) -> Result<bool, KitError> {
        let next = fence::next(&self.fence, &act, asker)?;
        let moves = next.is_some();
        if let Some(next) = next {
            self.fence = next;
        }
        Ok(moves)
    }

    /// Forgets the work of a job that is over.
    pub(crate) fn clear(&mut self) {
        (self.sealing, self.import, self.root, self.bytes_done) = (None, None, None, 0);
        self.offer = None;
        self.watch.end();
    }

    /// What everybody may know.
    pub(crate) fn status(&self) -> KitStatus {
        KitStatus {
            kit_version: KIT_VERSION,
            fence: self.fence.clone(),
            layout: view::summary(&CanisterMemory, self.told),
            stable_pages: CanisterMemory.size_pages(),
            root: self.root.map(|root| ByteBuf::from(*root.as_bytes())),
            bytes_done: self.bytes_done,
        }
    }
}
