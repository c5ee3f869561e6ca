//! Logs of canisters.

use super::call::{Call, Outcome, decode, reply};
use crate::error::{ErrorCode, UserError};
use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

#[derive(CandidType, Deserialize)]
struct Arg {
    canister_id: Principal,
    filter: Option<Filter>,
}

/// Which lines are wanted, inclusive.
#[derive(CandidType, Deserialize)]
enum Filter {
    #[serde(rename = "by_idx")]
    ByIdx { start: u64, end: u64 },
    #[serde(rename = "by_timestamp_nanos")]
    ByTimestampNanos { start: u64, end: u64 },
}

impl Filter {
    fn takes(&self, line: &Line) -> bool {
        match self {
            Self::ByIdx { start, end } => (*start..=*end).contains(&line.idx),
            Self::ByTimestampNanos { start, end } => (*start..=*end).contains(&line.timestamp_nanos),
        }
    }
}

#[derive(CandidType)]
struct Line {
    idx: u64,
    timestamp_nanos: u64,
    content: ByteBuf,
}

#[derive(CandidType)]
struct Lines {
    canister_log_records: Vec<Line>,
}

pub(super) fn fetch(call: &mut Call<'_>) -> Outcome {
    let arg: Arg = decode(call)?;
    let sender = call.sender;
    let canister = call.canister(arg.canister_id)?;
    if !canister.settings.log_visibility.shows(canister, &sender) {
        return Err(UserError::new(
            ErrorCode::CanisterRejectedMessage,
            format!("Caller {sender} is not allowed to access canister logs"),
        ));
    }
    let canister_log_records = canister
        .log
        .lines()
        .map(|(idx, line)| Line {
            idx: *idx,
            timestamp_nanos: line.time_nanos,
            content: ByteBuf::from(line.content.clone()),
        })
        .filter(|line| arg.filter.as_ref().is_none_or(|filter| filter.takes(line)))
        .collect();
    reply(&Lines { canister_log_records })
}
