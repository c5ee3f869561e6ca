//! Cleanup callbacks. Canister interface, `call_on_cleanup`: the cleanup runs on the state before the callback that
//! trapped, and what it does lasts.

use crate::support::canisters::{OWNER, install_universal, run, try_run};
use crate::support::engine;
use crate::support::script::{Call, script};

const BILLION: u64 = 1_000_000_000;

#[test]
fn what_a_cleanup_prints_and_burns_lasts() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let call = Call::run(canister, script().reply())
        .on_reply(script().print(b"about to fail").burn(500 * BILLION).forget().trap(b"no"))
        .on_cleanup(script().print(b"cleaning").burn(7 * BILLION).forget());
    let before = pic.cycle_balance(canister);
    try_run(&pic, canister, script().call(call)).expect_err("the callback traps");
    let spent = before - pic.cycle_balance(canister);
    assert!((7 * u128::from(BILLION)..8 * u128::from(BILLION)).contains(&spent), "{spent}");
    let lines = pic.fetch_canister_logs(canister, OWNER).expect("the controller may read them");
    let texts: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(&line.content)).collect();
    for text in ["about to fail", "cleaning"] {
        assert!(texts.iter().any(|line| line == text), "{text} of {texts:?}");
    }
    run(&pic, canister, script().reply());
}
