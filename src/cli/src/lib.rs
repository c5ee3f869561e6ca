//! What the `decant` command is made of.

pub mod candid_text;
pub mod dry_run;
pub mod engine;
pub mod faulty;
mod files;
mod html;
pub mod inspect;
pub mod plan;
pub mod prices;
pub mod proposal;
pub mod rehearsal;
pub mod repack;
pub mod schedules;
pub mod serve;
mod stable_file;
mod text;
pub mod watch;

pub use text::{complain, print};
