//! What to type before and after a repack, and what it does not bring back.

use super::own::OwnModule;
use super::rewrite::{Options, Rewritten};
use candid::Principal;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Above this icp-cli installs a module in chunks, and clears the canister's chunk store for it
/// (`operations/install.rs`: module, argument and 500 bytes in 2 MiB).
const CHUNKED_INSTALL_BYTES: u64 = 2 * 1024 * 1024 - 500;
/// File that holds the module of nothing, next to the directory of the snapshot.
const NOTHING: &str = "nothing.wasm";

/// A canister, and how icp-cli reaches it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) canister: Principal,
    pub(super) network: String,
    pub(super) identity: Option<String>,
    /// Candid text of the argument that its `post_upgrade` takes.
    pub(super) args: Option<String>,
}

/// One canister, its files, and how it is repacked.
#[derive(Debug)]
pub(super) struct ByHand<'a> {
    pub(super) place: &'a Place,
    pub(super) own: &'a OwnModule,
    pub(super) source: &'a Path,
    pub(super) out: &'a Path,
    pub(super) options: &'a Options,
}

/// Where the module of nothing is kept.
pub(super) fn nothing_beside(source: &Path) -> PathBuf {
    source.with_file_name(NOTHING)
}

impl ByHand<'_> {
    /// Every step as a command of a shell.
    pub(super) fn all_steps(&self) -> String {
        let Self { own, .. } = self;
        let (source, out) = (word(self.source), word(self.out));
        let (nothing, module) = (word(&nothing_beside(self.source)), word(&own.path));
        let hash = &own.hash;
        let icp = |command: &str| self.icp(command);
        format!(
            "\
Look at the output of each step; what fails ends what is typed at once. {nothing} is written: 8 bytes without code.
{module} must be what the canister runs: {status} shows the module hash
0x{hash}

# 1. Nothing changes from here on. Users get errors until step 7.
{stop} &&
# 2. The exact way back: heap, stable memory, module.
BACK=$({create}) && echo \"$BACK\" &&
# 3. Its own pre_upgrade runs, once. It has no code then.
{undress} --mode upgrade --wasm {nothing} &&
# 4. What it saved.
SAVED=$({create}) && echo \"$SAVED\" &&
{download} \"$SAVED\" --output {source} &&
# 5. Repack and compare.
{repack} &&
{rest}",
            status = icp("status"),
            stop = icp("stop"),
            create = icp("snapshot create") + " --quiet",
            undress = icp("install"),
            download = icp("snapshot download"),
            repack = self.command(&source, &out),
            rest = self.steps_behind(&source, &out),
        )
    }

    /// The steps behind the repack, and what they lose.
    pub(super) fn next_steps(&self, rewritten: &Rewritten) -> String {
        let (source, out) = (word(self.source), word(self.out));
        let mut text = format!(
            "
In the shell of the steps before, or with BACK and SAVED as {} tells them:

{}
What an upgrade does not bring back:
",
            self.icp("snapshot list"),
            self.steps_behind(&source, &out)
        );
        // Writing to a text does not fail.
        let _ = write_losses(&mut text, self.own, rewritten);
        text
    }

    fn steps_behind(&self, source: &str, out: &str) -> String {
        let module = word(&self.own.path);
        let args = self.place.args.as_ref().map_or(String::new(), |args| format!(" --args {}", quoted(args)));
        let (restore, delete) = (self.icp("snapshot restore"), self.icp("snapshot delete"));
        format!(
            "\
decant repack --check{flags} {source} {out} &&
# 6. Upload and restore. An upload that breaks off goes on with --resume, and is not restored before it ends.
COMPACT=$({upload} --input {out} --quiet) && echo \"$COMPACT\" &&
{restore} \"$COMPACT\" &&
# 7. Its own module: its post_upgrade runs, once. Only then start.
{install} --mode upgrade --wasm {module}{args} &&
{start}
# 8. Look at it as its users do. When all is well, type these; after the last there is no way back:
# {delete} \"$COMPACT\"
# {delete} \"$SAVED\"
# {delete} \"$BACK\"

The way back, until it is started in step 7; what users write from then on is lost by it:

{stop} &&
{restore} \"$BACK\" &&
{start}
",
            flags = check_flags(self.options),
            upload = self.icp("snapshot upload"),
            install = self.icp("install"),
            start = self.icp("start"),
            stop = self.icp("stop"),
        )
    }

    fn icp(&self, command: &str) -> String {
        let Place { canister, network, identity, .. } = self.place;
        let network = quoted(network);
        let identity =
            identity.as_ref().map_or(String::new(), |identity| format!(" --identity {}", quoted(identity)));
        format!("icp canister {command} {canister} -n {network}{identity}")
    }

    /// The command that repacks.
    fn command(&self, source: &str, out: &str) -> String {
        let Self { options, own, place, .. } = self;
        let mut text = format!("decant repack {source} {out} --bucket-pages {}", options.bucket_pages);
        if options.growth_pages > 0 {
            text += &format!(" --growth-pages {}", options.growth_pages);
        }
        if options.free_buckets {
            text += " --free-buckets";
        }
        text += &check_flags(options);
        text += &format!(" --canister {} --module {}", place.canister, word(&own.path));
        if own.may_lose_heap {
            text += " --may-lose-heap";
        }
        text += &format!(" --network {}", quoted(&place.network));
        for (flag, value) in [("--identity", &place.identity), ("--args", &place.args)] {
            if let Some(value) = value {
                text += &format!(" {flag} {}", quoted(value));
            }
        }
        text
    }
}

/// A path as a shell and a command take it for one word that is no flag.
fn word(path: &Path) -> String {
    let path = path.display().to_string();
    match path.starts_with('-') {
        true => quoted(&format!("./{path}")),
        false => quoted(&path),
    }
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%,=".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// What a comparison has to know too.
fn check_flags(options: &Options) -> String {
    let manager_page = match options.manager_page {
        0 => String::new(),
        page => format!(" --manager-page {page}"),
    };
    let drop_tail = if options.drop_tail { " --drop-tail" } else { "" };
    let drop_memories = options.drop_memories.iter().map(|memory| format!(" --drop-memory {memory}"));
    manager_page + drop_tail + &drop_memories.collect::<String>()
}

fn write_losses(text: &mut String, own: &OwnModule, rewritten: &Rewritten) -> std::fmt::Result {
    writeln!(text, "- the heap: the module's post_upgrade rebuilds it from stable memory")?;
    writeln!(text, "- the global timer: every upgrade disarms it, post_upgrade arms it")?;
    if rewritten.chunks > 0 {
        match own.size_bytes > CHUNKED_INSTALL_BYTES {
            true => writeln!(
                text,
                "- the chunk store ({} chunks): icp-cli clears it when it installs a module of {} bytes in chunks; the\n  \
                 files are in wasm_chunk_store",
                rewritten.chunks, own.size_bytes
            )?,
            false => writeln!(text, "+ the chunk store ({} chunks) comes back", rewritten.chunks)?,
        }
    }
    writeln!(text, "+ certified data come back, unless post_upgrade sets others")
}
