//! Makes the stack small: what stays of a source is a vessel, whose memory is paid for as long as it stands.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        // 128 KiB instead of 1 MiB. The stack comes first in memory: what does not fit traps.
        println!("cargo:rustc-cdylib-link-arg=-zstack-size=131072");
    }
}
