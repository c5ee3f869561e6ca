//! Sources that are copied while they serve: what users write meanwhile arrives too, and little is left to send.

use decant_api::jobs::Outcome;
use decant_tests::precopy::{Moved, moved, options};
use decant_tests::{assert_serves, enrol, fleet, modules, settle};

#[test]
fn a_job_with_pre_copy_is_done_and_nothing_is_lost() {
    let options = options(2 * 1024, true);
    let (mut world, mut users) = fleet(&options, &modules().kit);
    world.approve_plan(modules(), &options).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    let job = settle(&world).remove(0);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    assert_eq!(job.calls, 24, "the calls of a job, and two");
    assert_serves(&world, &mut users, 0, job.target.expect("it was relocated"));
}

#[test]
fn what_users_write_while_a_source_is_copied_arrives_and_little_is_sent_after_the_seal() {
    let Moved { state_bytes, wire_bytes, .. } = moved(4 * 1024, true, 2);
    assert!(wire_bytes < state_bytes / 10, "{wire_bytes} of {state_bytes} bytes");
}

#[test]
fn nobody_waits_for_a_second_hash_of_what_did_not_change() {
    let Moved { burned, .. } = moved(4 * 1024, true, 2);
    let of = |name: &str| burned.iter().find(|(call, _)| *call == name).expect("it was called").1;
    for call in ["verify", "recheck"] {
        assert!(of(call) < of("seal") / 4, "{call}: {burned:?}");
    }
}
