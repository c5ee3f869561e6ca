//! Carries the vessel inside the coordinator's module, so that nobody uploads it: `scripts/build` makes it first.

use std::path::PathBuf;
use std::{env, fs, io};

/// Where `scripts/build` puts it, from the root of the workspace.
const BUILT: &str = "target/canisters/vessel.wasm.gz";

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let vessel = here.join("../..").join(BUILT);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", vessel.display());
    let is_wasm = env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm");
    let bytes = match fs::read(&vessel) {
        Ok(bytes) => bytes,
        // Unit tests and lints need no vessel; a coordinator without one can't work.
        Err(_) if !is_wasm => Vec::new(),
        Err(error) => {
            let hint =
                format!("{BUILT}: {error}; run scripts/build, which makes the vessel before the coordinator");
            return Err(io::Error::other(hint));
        }
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("vessel.wasm.gz"), bytes)
}
