//! Scenarios through the `pocket_ic` client, in one binary: the engine and the modules are made once.

mod assets;
mod failures;
mod field;
mod idioms;
mod layouts;
mod metadata;
mod others;
mod precopy;
mod proposals;
mod put_back;
mod rehearsals;
mod repack;
mod repack_canisters;
mod repack_faults;
mod repack_large;
mod repack_ledger;
mod repack_refusals;
mod repack_relocations;
mod repack_shapes;
mod repack_survivors;
mod schedules;
mod settings;
mod survives_people;
mod targets;
mod vessel;
