//! The test canister that is written with the current ic-cdk: built once per process.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The wasm of `tests/canisters/notes`, built on first use into a target directory of its own.
pub(crate) fn wasm() -> Vec<u8> {
    static WASM: OnceLock<Vec<u8>> = OnceLock::new();
    WASM.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let target = root.join("target/wasm");
        let status = Command::new(env!("CARGO"))
            .current_dir(&root)
            .args([
                "build",
                "--locked",
                "--quiet",
                "--target",
                "wasm32-unknown-unknown",
                "--profile",
                "canister",
            ])
            .args(["-p", "replica-test-notes", "--target-dir"])
            .arg(&target)
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the test canister builds: rustup target add wasm32-unknown-unknown");
        std::fs::read(target.join("wasm32-unknown-unknown/canister/replica_test_notes.wasm"))
            .expect("the build leaves a module")
    })
    .clone()
}
