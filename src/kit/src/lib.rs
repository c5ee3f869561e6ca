//! What a dapp embeds so that its state can be moved to another canister.
//!
//! ```text
//! decant_kit::export! { save = save_state, load = load_state, fingerprint = fingerprint }
//!
//! #[pre_upgrade]
//! fn pre_upgrade() {
//!     decant_kit::refuse_upgrade_when_fenced();
//!     save_state();
//! }
//!
//! #[post_upgrade]
//! fn post_upgrade() {
//!     load_state();
//! }
//!
//! #[inspect_message]
//! fn inspect() {
//!     if !decant_kit::inspect() {
//!         ic_cdk::api::accept_message();
//!     }
//! }
//!
//! #[update(guard = "decant_kit::guard")]
//! fn post(text: String) -> u64 { .. }
//!
//! #[query(guard = "decant_kit::query_guard")]
//! fn posts(from: u64, limit: u32) -> Vec<Post> { .. }
//! ```
//!
//! The same wasm is a source and a target: [`source`] and [`target`] hold the endpoints, [`export!`] exports
//! them.
//! `init` must leave stable memory alone, because a target must be empty until the state arrives: create a
//! `MemoryManager` when it is first needed (`thread_local!` does that), not in `init`.
//!
//! # What the dapp must know
//!
//! - **Guards.** Every update method that changes state needs [`guard`]. A heartbeat can't be stopped from
//!   outside: let it return when `guard()` is an error. Timers are disarmed by the kit and armed again when
//!   the fence opens.
//! - **Strangers.** [`inspect`] keeps what strangers send to the kit's methods from costing the canister anything.
//!   Indexes have a table of their methods, and of who may call them, for both: [`access`].
//! - **The hooks.** `save` brings the heap into stable memory, `load` reads it back, as `pre_upgrade` and
//!   `post_upgrade` do. They run in update messages here: a source runs both in one, a target `load` alone, within 40 B
//!   instructions and 2 GiB of stable reads or writes, not the 300 B and 8 GiB of an upgrade. `fingerprint` is a few
//!   bytes of the dapp's own counts and sums; let it change with every change of state, so that a change of the heap
//!   after the seal is seen. It must not write.
//! - **Save and load are a pair.** `save` may take the state off the heap, as many a `pre_upgrade` does: the source loads it
//!   again in the same message, before anybody asks. A `load` that changes or erases what it read, or does not bring back
//!   all that the fingerprint counts, is refused: the message traps, so that nothing has happened, with the words of
//!   [`KitError::NotAPair`](api::KitError::NotAPair). Such a canister is repacked, or relocated through vessels, which
//!   it leaves and enters as in one ordinary upgrade. A source that is thawed runs on after `load`, on the heap that it
//!   had: timers that `load` sets take the place of those that the dapp has, or it has them twice.
//! - **Versions.** The kit tells by the canister's version whether anybody else's messages ran since the seal, or
//!   in a target since the import began; if not, nothing is hashed twice while users wait. Its endpoints count
//!   themselves: export them as they are, and do nothing else in the same message.
//! - **The fence lives on the heap**, and so does all progress. That is safe because a fenced canister
//!   refuses to be upgraded ([`refuse_upgrade_when_fenced`]), and what else clears the heap clears the state
//!   with it. Upgrading with
//!   `skip_pre_upgrade` opens the fence and loses what was not saved: it is for emergencies, after a seal.
//! - **Stable memory** may be raw (any bytes from offset 0), or laid out by a `MemoryManager` with buckets of
//!   any size.
//!
//! # Who may do what
//!
//! A job is known by its number *and* the coordinator that closed the fence. Controllers close the fence;
//! only the coordinator that closed it moves it on; the target that it registered reads, nobody else. A
//! controller may offer an open canister to a target, which reads it then until the fence closes.

mod budget;
mod endpoints;
mod fence;
mod guards;
mod hashing;
mod hooks;
mod import;
mod limits;
mod pair;
mod pour;
mod precopy;
mod sealing;
mod stable;
mod state;
mod timer;
mod view;
mod watch;
mod witness;

pub mod access;
pub mod cycles;
pub mod replies;
pub mod routes;
pub mod source;
pub mod target;
pub mod vessel;

pub use decant_api as api;
pub use guards::{guard, inspect, query_guard, refuse_upgrade_when_fenced};
pub use hooks::Hooks;
pub use state::KIT_VERSION_DIGIT;
