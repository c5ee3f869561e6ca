//! `decant proposal`: decisions as people write them, as voters read them, and as governance executes them.
//!
//! The file is Candid text with comments, held against the types that the coordinator takes; what voters read comes from the
//! code that its validator runs.

mod files;
mod modules;

use crate::{candid_text, text};
use anyhow::{Context, anyhow, ensure};
use candid::IDLArgs;
use clap::{Args, Subcommand, ValueEnum};
use decant_api::govern::Decision;
use files::Submission;
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::PathBuf;

/// Bytes of a payload in hexadecimal that a file may hold; a plan has a few KiB.
const HEX_BYTES: u64 = 4 << 20;
/// First bytes of Candid (specification of Candid, "Parameters and Results").
const CANDID: &[u8] = b"DIDL";

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  decant proposal example repack > plan.txt                      a plan to change, with what is decided in comments
  decant proposal render plan.txt --module user.wasm             as voters read it; its hashes are those of the file
  decant proposal encode plan.txt --out proposal --function-id 1000 --title 'Repack the user canisters'
  decant proposal decode 4449444c0d6b05...                       what a payload will do, for whoever votes on it

Exits 0 if all is well, 1 if a module is not the one that is named; see decant --help. docs/deploy.md has the way to a vote.")]
pub struct Proposal {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Prints a decision as the coordinator's validator renders it for voters.
    Render(Written),
    /// Encodes a decision: its payload in hexadecimal, the SHA-256 that an SNS shows of it, and files for other tools.
    Encode(Encode),
    /// Says what a payload will do, in the words of the validator.
    Decode {
        /// The payload in hexadecimal, or a file with it, in hexadecimal or as it is.
        #[arg(value_name = "HEX|FILE")]
        payload: String,
    },
    /// Prints a decision to begin with.
    Example {
        /// A plan of which strategy, or which other decision.
        #[arg(value_enum)]
        of: Example,
    },
}

#[derive(Debug, Clone, Args)]
struct Written {
    /// The decision as Candid text, such as `decant proposal example` prints.
    file: PathBuf,
    /// A module that the decision names, as it will be uploaded; may be repeated. All that it names must be there then.
    #[arg(long, value_name = "FILE")]
    module: Vec<PathBuf>,
}

#[derive(Debug, Clone, Args)]
struct Encode {
    #[command(flatten)]
    written: Written,
    /// Writes payload.bin, payload.hex and decision.txt into this directory; with --function-id also proposal.txt, for quill.
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    #[command(flatten)]
    submission: Submission,
}

/// Decisions of which there is an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Example {
    /// In place, through a vessel.
    Repack,
    /// To fresh canisters, with the kit.
    Relocate,
    /// To fresh canisters, through vessels.
    RelocateVessel,
    /// Other bounds or another pace for a plan.
    Change,
    /// A plan ends.
    End,
    /// Who operates, and who observes.
    Name,
    /// Cycles are paid out.
    Pay,
}

impl Example {
    fn text(self) -> &'static str {
        match self {
            Self::Repack => include_str!("../../../../scripts/proposals/plans/repack.txt"),
            Self::Relocate => include_str!("../../../../scripts/proposals/plans/relocate.txt"),
            Self::RelocateVessel => include_str!("../../../../scripts/proposals/plans/relocate-vessel.txt"),
            Self::Change => include_str!("../../../../scripts/proposals/plans/change.txt"),
            Self::End => include_str!("../../../../scripts/proposals/plans/end.txt"),
            Self::Name => include_str!("../../../../scripts/proposals/plans/name.txt"),
            Self::Pay => include_str!("../../../../scripts/proposals/plans/pay.txt"),
        }
    }
}

/// Runs the command; answers whether all is well.
///
/// # Errors
/// A file is no decision: the error names the line and what it should be.
pub fn run(arguments: &Proposal) -> anyhow::Result<bool> {
    match &arguments.action {
        Action::Render(written) => {
            let decision = written.read()?;
            crate::print(&(decant_words::text(&decision, None) + "\n"))?;
            written.check(&decision)
        }
        Action::Encode(encode) => run_encode(encode),
        Action::Decode { payload } => {
            crate::print(&decoded(&payload_of(payload)?)?)?;
            Ok(true)
        }
        Action::Example { of } => {
            crate::print(of.text())?;
            Ok(true)
        }
    }
}

fn run_encode(arguments: &Encode) -> anyhow::Result<bool> {
    let decision = arguments.written.read()?;
    let payload = candid::encode_one(&decision)?;
    if !arguments.written.check(&decision)? {
        let out = if arguments.out.is_some() { "nothing was written" } else { "no payload is printed" };
        crate::complain(&format!("{out}: mend the hashes, or leave --module out"));
        return Ok(false);
    }
    if let Some(directory) = &arguments.out {
        arguments.submission.write(directory, &decision, &payload)?;
    }
    let [digest, hexadecimal] = [sha256(&payload), hex::encode(&payload)];
    let printed =
        format!("payload         {} bytes\nPayload sha256  {digest}\n\n{hexadecimal}\n", payload.len());
    crate::print(&printed)?;
    Ok(true)
}

/// As an SNS shows it above what the validator renders (dfinity/ic, `rs/sns/governance/src/proposal.rs`).
fn sha256(payload: &[u8]) -> String {
    hex::encode(Sha256::digest(payload))
}

impl Written {
    fn read(&self) -> anyhow::Result<Decision> {
        let path = &self.file;
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let decision = candid_text::read_as(&text).with_context(|| path.display().to_string())?;
        decant_words::check(&decision)
            .map_err(|why| anyhow!("{}: a coordinator refuses this: {why}", path.display()))?;
        Ok(decision)
    }

    /// Whether the modules are those that the decision names; all are told.
    fn check(&self, decision: &Decision) -> anyhow::Result<bool> {
        if self.module.is_empty() {
            return Ok(true);
        }
        let wrong = modules::check(decision, &self.module)?;
        wrong.iter().for_each(|wrong| crate::complain(&format!("error: {wrong}")));
        Ok(wrong.is_empty())
    }
}

fn payload_of(text: &str) -> anyhow::Result<Vec<u8>> {
    let of_digits = |text: &str| {
        let digits: String = text.split_whitespace().collect();
        hex::decode(digits.strip_prefix("0x").unwrap_or(&digits))
    };
    match std::fs::metadata(text) {
        Ok(metadata) => {
            ensure!(metadata.len() <= HEX_BYTES, "{text} is no payload: it has {} bytes", metadata.len());
            let bytes = std::fs::read(text).with_context(|| format!("reading {text}"))?;
            if bytes.starts_with(CANDID) {
                return Ok(bytes);
            }
            of_digits(&String::from_utf8_lossy(&bytes))
                .with_context(|| format!("{text} holds no payload: neither Candid nor hexadecimal"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound || error.kind() == ErrorKind::InvalidFilename => {
            of_digits(text).with_context(|| {
                format!(
                    "{}: there is no file of that name, and it is no hexadecimal",
                    text::line_of(text, 80)
                )
            })
        }
        Err(error) => Err(error).with_context(|| format!("reading {text}")),
    }
}

/// What a payload will do, strictly: a field that this build does not know might do more.
fn decoded(payload: &[u8]) -> anyhow::Result<String> {
    IDLArgs::from_bytes(payload)
        .map_err(|error| anyhow!("this is no payload: it ends early, or is no Candid ({error})"))?;
    let shown = candid_text::show(payload);
    let decision: Decision = candid_text::read_as(&shown).map_err(|wrong| {
        anyhow!(
            "this is no decision that this build of Decant knows, so that it can't tell what it will do: {}; it holds {shown}",
            wrong.what
        )
    })?;
    decant_words::check(&decision).map_err(|why| {
        anyhow!("a coordinator refuses this payload, which does nothing: {why}; it holds {shown}")
    })?;
    let mut text = decant_words::text(&decision, None);
    text += &format!(
        "\n\nPayload sha256: {}\n\nAs Candid text:\n{}\n",
        sha256(payload),
        candid_text::write(&decision)?
    );
    Ok(text)
}
