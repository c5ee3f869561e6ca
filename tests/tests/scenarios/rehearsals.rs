//! Whole rehearsals: every layout, every end of the originals, and states of every size.

use decant_cli::rehearsal::{self, Generation, Options, Report, Retention, Silent, Strategy};
use decant_tests::{engine, modules};

fn rehearse(options: &Options) -> Report {
    let report =
        rehearsal::run(engine(), modules(), options, &mut Silent).expect("the rehearsal runs to its end");
    assert!(report.is_well(), "{report}");
    assert_eq!(report.relocated, u64::from(options.canisters));
    assert_eq!(report.verified, u64::from(options.canisters));
    assert_eq!((report.lost, report.orphans, report.routes_wrong, report.compact_excess_pages), (0, 0, 0, 0));
    report
}

#[test]
fn the_fleet_of_the_incident_gets_its_memory_back() {
    let report = rehearse(&Options { canisters: 4, ..Options::default() });
    // A header page, 128 pages of a bucket; then a header page and the pages in use.
    assert_eq!(report.stable_bytes_bloated, 4 * 129 * 65_536);
    assert!(report.stable_bytes_after * 20 < report.stable_bytes_bloated, "{report}");
    // Design, section 9, wants 24: one job takes so many; four share what is asked once a plan, and who is told of their end.
    assert!(report.update_messages_per_job <= 25.0, "{report}");
    assert!(report.wire_bytes_per_state_byte < 0.6, "{report}");
    assert!(report.fenced_rounds_max <= 12, "{report}");
}

#[test]
fn stable_structures_in_several_virtual_memories_are_relocated() {
    let options = Options { canisters: 2, generation: Generation::Structures, ..Options::default() };
    let report = rehearse(&options);
    assert!(report.stable_bytes_after * 20 < report.stable_bytes_bloated, "{report}");
}

#[test]
fn a_fleet_of_all_layouts_is_relocated() {
    rehearse(&Options { canisters: 6, state_kib: 60, generation: Generation::Mixed, ..Options::default() });
}

#[test]
fn originals_are_kept_for_a_while_and_then_deleted() {
    let options = Options { canisters: 2, state_kib: 20, retention: Retention::Frozen, ..Options::default() };
    assert_eq!(rehearse(&options).originals_deleted, 2);
}

#[test]
fn originals_become_tombstones() {
    let options =
        Options { canisters: 2, state_kib: 20, retention: Retention::Tombstone, ..Options::default() };
    assert_eq!(rehearse(&options).originals_deleted, 0);
}

#[test]
fn an_empty_state_is_relocated() {
    rehearse(&Options { canisters: 2, state_kib: 0, ..Options::default() });
}

#[test]
fn a_state_of_64_mib_is_relocated() {
    rehearse(&Options { canisters: 1, state_kib: 64 * 1024, ..Options::default() });
}

#[test]
fn a_thousand_canisters_of_200_kib_are_relocated_in_less_than_12_gib() {
    rehearse(&Options { canisters: 1_000, state_kib: 200, ..Options::default() });
    // Design, section 9. The embedded engine holds its canisters in this process.
    #[cfg(target_os = "linux")]
    assert!(peak_kib() < 12 << 20, "{} KiB", peak_kib());
}

/// Most KiB that this process ever held.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

#[test]
fn a_repack_keeps_every_id_at_less_than_0_014_of_the_price_of_a_relocation() {
    // A build is surveyed once: in a fleet of this size that is a small part of a job.
    let options = Options { canisters: 25, ..Options::default() };
    let relocation = rehearse(&options);
    let repack = rehearse(&Options { strategy: Strategy::Repack, ..options });
    assert_eq!((repack.originals_deleted, repack.snapshots_left), (0, 0));
    assert_eq!(repack.stable_bytes_bloated, relocation.stable_bytes_bloated);
    assert!(repack.stable_bytes_after <= relocation.stable_bytes_after, "{relocation}\n{repack}");
    assert!(repack.cycles_per_job * 1_000 <= relocation.cycles_per_job * 14, "{relocation}\n{repack}");
    let (slow, fast) = (relocation.payback_days, repack.payback_days);
    assert!(fast.zip(slow).is_some_and(|(fast, slow)| fast <= slow * 0.014), "{fast:?} and {slow:?} days");
}

#[test]
fn canisters_of_several_layouts_are_repacked_and_their_snapshots_kept_for_a_while() {
    let options = Options {
        canisters: 4,
        state_kib: 60,
        generation: Generation::Mixed,
        retention: Retention::Frozen,
        strategy: Strategy::Repack,
        ..Options::default()
    };
    assert_eq!(rehearse(&options).snapshots_left, 0);
}

#[test]
fn a_fleet_whose_code_nobody_changes_is_relocated_through_vessels() {
    let options =
        Options { canisters: 3, state_kib: 60, strategy: Strategy::RelocateVessel, ..Options::default() };
    assert_eq!(rehearse(&options).originals_deleted, 3);
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let raw = Options { generation: Generation::Raw, strategy: Strategy::Repack, ..Options::default() };
    let tombs = Options { retention: Retention::Tombstone, strategy: Strategy::Repack, ..Options::default() };
    for (options, instead) in [(raw, "--generation managed"), (tombs, "--retention none")] {
        let refused = rehearsal::run(engine(), modules(), &options, &mut Silent).expect_err("it is refused");
        assert!(format!("{refused:#}").contains(instead), "{refused:#}");
    }
}
