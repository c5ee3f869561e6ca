//! What pre-copy saves of the time in which a source is fenced: `scripts/bench precopy [MIB]`.
//!
//! About one page in a hundred changes between the copy and the freeze. Cycles that source and target burn from the
//! freeze to the last comparison stand for time. Design, section 9: at most 0.05 with 256 MiB.

use decant_tests::precopy::moved;

/// MiB of state, if nothing else is named.
const STATE_MIB: u32 = 64;

fn main() {
    // Cargo adds arguments of its own, such as `--bench`.
    let mib = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(STATE_MIB);
    // A post of 52 KB touches about two pages.
    let posts = mib * 16 / 200 + 1;
    let [without, with] = [false, true].map(|precopy| moved(mib * 1024, precopy, posts));
    println!(
        "{:<22} {:>16} {:>16} {:>7}",
        format!("{} bytes", with.state_bytes),
        "without",
        "pre-copied",
        "ratio"
    );
    let row = |name: &str, without: f64, with: f64| {
        println!("{name:<22} {without:>16.0} {with:>16.0} {:>7.3}", with / without);
    };
    row("bytes after the seal", without.wire_bytes as f64, with.wire_bytes as f64);
    let million = |cycles: u128| cycles as f64 / 1e6;
    for ((name, plain), (_, copied)) in without.burned.iter().zip(&with.burned) {
        row(&format!("{name}, M cycles"), million(*plain), million(*copied));
    }
    let sum = |burned: &[(&str, u128)]| million(burned.iter().map(|(_, cycles)| cycles).sum());
    row("fenced, M cycles", sum(&without.burned), sum(&with.burned));
}
