//! What to type after a repack, and what it does not bring back.

use super::rewrite::Rewritten;
use super::snapshot_dir::{GLOBAL_TIMER, HOOK_STATUS, UPGRADE_MODULE};
use std::fmt::Write;
use std::path::Path;

/// Above this icp-cli installs a module in chunks, and clears the canister's chunk store for it
/// (`operations/install.rs`: module, argument and 500 bytes in 2 MiB).
const CHUNKED_INSTALL_BYTES: u64 = 2 * 1024 * 1024 - 500;

/// Status of a hook that has nothing to tell.
const NOT_SATISFIED: &str = "condition_not_satisfied";

/// The steps as commands of icp-cli, and what they lose.
pub(super) fn next_steps(source: &Path, out: &Path, rewritten: &Rewritten) -> String {
    let (source, module) = (quoted(source), quoted(&out.join(UPGRADE_MODULE)));
    let (out, flags) = (quoted(out), check_flags(rewritten));
    let mut text = format!(
        "
Only if the canister was stopped, then upgraded with its own module, then snapshotted, and not started since:
what it kept on its heap at any other time is not in this snapshot. Otherwise begin again.

  decant repack --check{flags} {source} {out}
  icp canister snapshot upload CANISTER --input {out}
  icp canister snapshot restore CANISTER NEW_SNAPSHOT
  icp canister install CANISTER --mode upgrade --wasm {module} --args ARGUMENT
  icp canister start CANISTER

NEW_SNAPSHOT is the id that the upload prints; an upload that breaks off goes on with --resume, and is not restored
before it ends. Leave --args out if the module's post_upgrade takes none. Between
restore and install the canister has no code that could run; install needs no skip_pre_upgrade (icp-cli
can't ask for it), since there is no pre_upgrade. Until the canister is started, this takes everything back:

  icp canister snapshot restore CANISTER OLD_SNAPSHOT
  icp canister start CANISTER

When all is well, both snapshots can go: icp canister snapshot delete CANISTER SNAPSHOT

What an upgrade does not bring back:
"
    );
    // Writing to a text does not fail.
    let _ = write_losses(&mut text, rewritten);
    text
}

/// As a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%,=".contains(letter);
    match !path.is_empty() && !path.starts_with('-') && path.chars().all(is_plain) {
        true => path,
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

/// What a comparison has to know too.
fn check_flags(rewritten: &Rewritten) -> String {
    let manager_page = match rewritten.before.prefix_pages {
        0 => String::new(),
        pages => format!(" --manager-page {pages}"),
    };
    let drop_tail = if rewritten.dropped.is_some() { " --drop-tail" } else { "" };
    let drop_memories =
        rewritten.dropped_memories.iter().map(|(_, it)| format!(" --drop-memory {}", it.memory));
    manager_page + drop_tail + &drop_memories.collect::<String>()
}

fn write_losses(text: &mut String, rewritten: &Rewritten) -> std::fmt::Result {
    writeln!(text, "- the heap: the module's post_upgrade rebuilds it from stable memory")?;
    let timer = rewritten.metadata.get(GLOBAL_TIMER).and_then(|timer| timer.get("active"));
    match timer.and_then(serde_json::Value::as_u64) {
        Some(nanos) => writeln!(
            text,
            "- the global timer, armed for {nanos} ns: every upgrade clears it, post_upgrade must arm it again, as it\n  \
             did in the upgrade before the snapshot"
        )?,
        None => writeln!(text, "- the global timer: none was armed; post_upgrade may arm one")?,
    }
    let hook =
        rewritten.metadata.get(HOOK_STATUS).filter(|status| !status.is_null() && **status != NOT_SATISFIED);
    if let Some(status) = hook {
        writeln!(
            text,
            "- the status of the low-memory hook ({status}): it stays as the canister has it, since a load refuses one\n  \
             that does not fit the empty heap; it is decided anew with the next message"
        )?;
    }
    if rewritten.chunks > 0 {
        match rewritten.module_bytes > CHUNKED_INSTALL_BYTES {
            true => writeln!(
                text,
                "- the chunk store ({} chunks): icp-cli clears it when it installs a module of {} bytes in chunks; the\n  \
                 files are in wasm_chunk_store",
                rewritten.chunks, rewritten.module_bytes
            )?,
            false => writeln!(text, "+ the chunk store ({} chunks) comes back", rewritten.chunks)?,
        }
    }
    writeln!(text, "+ certified data come back, unless post_upgrade sets others")
}
