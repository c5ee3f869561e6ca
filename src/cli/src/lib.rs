//! What the `decant` command is made of.

pub mod dry_run;
pub mod engine;
pub mod rehearsal;
pub mod repack;
pub mod schedules;
pub mod serve;
