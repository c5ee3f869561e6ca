//! Files that other tools take.

use crate::{candid_text, files};
use anyhow::Context;
use candid::CandidType;
use clap::Args;
use decant_api::govern::Decision;
use serde_bytes::ByteBuf;
use std::path::Path;

/// How it is proposed to an SNS.
#[derive(Debug, Clone, Args)]
pub(super) struct Submission {
    /// The number that was registered with scripts/proposals/register.
    #[arg(long, value_name = "N", requires = "out", requires = "title", value_parser = clap::value_parser!(u64).range(1_000..))]
    function_id: Option<u64>,
    /// Title of the proposal.
    #[arg(long, requires = "function_id")]
    title: Option<String>,
    /// Where it is discussed.
    #[arg(long, requires = "function_id", default_value = "", hide_default_value = true)]
    url: String,
}

/// What quill takes as `sns make-proposal --proposal-path` (dfinity/ic, `rs/sns/governance/canister/governance.did`).
#[derive(CandidType)]
struct Proposal<'a> {
    title: &'a str,
    url: &'a str,
    summary: String,
    action: Option<Action>,
}

#[derive(CandidType)]
enum Action {
    ExecuteGenericNervousSystemFunction { function_id: u64, payload: ByteBuf },
}

impl Submission {
    pub(super) fn write(&self, directory: &Path, decision: &Decision, payload: &[u8]) -> anyhow::Result<()> {
        std::fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        let put = |name: &str, bytes: &[u8]| files::write(&directory.join(name), bytes);
        put("payload.bin", payload)?;
        put("payload.hex", (hex::encode(payload) + "\n").as_bytes())?;
        put("decision.txt", (candid_text::write(decision)? + "\n").as_bytes())?;
        let (Some(function_id), Some(title)) = (self.function_id, &self.title) else { return Ok(()) };
        let payload = ByteBuf::from(payload);
        let proposal = Proposal {
            title,
            url: &self.url,
            summary: "Executes a decision of Decant. What it does is rendered in the payload.".to_owned(),
            action: Some(Action::ExecuteGenericNervousSystemFunction { function_id, payload }),
        };
        put("proposal.txt", (candid_text::write(&proposal)? + "\n").as_bytes())
    }
}
