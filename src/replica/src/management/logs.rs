//! Logs of canisters.

use super::arguments::decode_payload;
use super::call::{Answered, Call, Outcome, encode};
use crate::error::{ErrorCode, UserError};
use crate::execution::failure::canister_not_found;
use crate::instance::Instance;
use crate::state::settings::Visibility;
use candid::{CandidType, Principal};
use ic_management_canister_types::{CanisterLogFilter, CanisterLogRecord, FetchCanisterLogsResult};
use serde::Deserialize;

#[derive(CandidType, Deserialize)]
struct Arg {
    canister_id: Principal,
    filter: Option<CanisterLogFilter>,
}

/// As an update call by a canister.
pub(super) fn fetch(call: &mut Call<'_>) -> Outcome {
    read(call.instance, call.subnet, call.sender, &call.request.payload).map(Answered::Now)
}

/// As a query by a user.
pub(super) fn read(
    instance: &Instance,
    subnet: usize,
    sender: Principal,
    payload: &[u8],
) -> Result<Vec<u8>, UserError> {
    let arg: Arg = decode_payload("fetch_canister_logs", payload)?;
    let id = arg.canister_id;
    let canister = instance.subnets[subnet].canister(&id).ok_or_else(|| canister_not_found(id))?;
    let may_read = canister.is_controller(&sender)
        || match &canister.settings.log_visibility {
            Visibility::Controllers => false,
            Visibility::Public => true,
            Visibility::AllowedViewers(viewers) => viewers.contains(&sender),
        };
    if !may_read {
        return Err(UserError::new(
            ErrorCode::CanisterRejectedMessage,
            format!("Caller {sender} is not allowed to access canister logs"),
        ));
    }
    let canister_log_records = canister
        .log
        .lines()
        .map(|(idx, line)| CanisterLogRecord {
            idx: *idx,
            timestamp_nanos: line.time_nanos,
            content: line.content.clone(),
        })
        .filter(|record| match &arg.filter {
            None => true,
            Some(CanisterLogFilter::ByIdx { start, end }) => (*start..=*end).contains(&record.idx),
            Some(CanisterLogFilter::ByTimestampNanos { start, end }) => {
                (*start..=*end).contains(&record.timestamp_nanos)
            }
        })
        .collect();
    encode(&FetchCanisterLogsResult { canister_log_records })
}
