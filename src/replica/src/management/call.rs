//! A call to the management canister while it is executed: what its methods share.

use super::arguments::decode_payload;
use crate::error::{ErrorCode, UserError};
use crate::execution::failure::canister_not_found;
use crate::instance::Instance;
use crate::state::history::Author;
use crate::state::subnet::CanisterMut;
use crate::state::{Canister, Request};
use candid::{CandidType, Principal};
use serde::de::DeserializeOwned;

/// What a call to the management canister did.
pub(crate) enum Answered {
    /// The reply, in Candid.
    Now(Vec<u8>),
    /// It is answered when the canister has drained, or the installation has had its rounds.
    Later,
}

/// A call while it is executed.
pub(crate) struct Call<'a> {
    pub(crate) instance: &'a mut Instance,
    /// Index of the subnet that executes it.
    pub(crate) subnet: usize,
    pub(crate) sender: Principal,
    pub(crate) request: &'a Request,
    /// Cycles attached and not used yet.
    pub(crate) cycles: &'a mut u128,
}

/// How a call ends.
pub(super) type Outcome = Result<Answered, UserError>;

impl Call<'_> {
    /// An existing canister of this subnet, to look at.
    pub(super) fn canister(&self, id: Principal) -> Result<&Canister, UserError> {
        self.instance.subnets[self.subnet].canister(&id).ok_or_else(|| canister_not_found(id))
    }

    /// The same, to change it.
    pub(super) fn canister_mut(&mut self, id: Principal) -> Result<CanisterMut<'_>, UserError> {
        self.instance.subnets[self.subnet].canister_mut(&id).ok_or_else(|| canister_not_found(id))
    }

    /// A canister of this subnet that the sender controls, to look at.
    pub(super) fn controlled(&self, id: Principal) -> Result<&Canister, UserError> {
        let canister = self.canister(id)?;
        if canister.is_controller(&self.sender) {
            Ok(canister)
        } else {
            Err(not_controller(canister, self.sender, &self.request.method))
        }
    }

    /// The same, to change it.
    pub(super) fn controlled_mut(&mut self, id: Principal) -> Result<CanisterMut<'_>, UserError> {
        self.controlled(id)?;
        self.canister_mut(id)
    }

    /// Who makes the changes of this call, for the history.
    pub(super) fn author(&self, by_version: Option<u64>) -> Author {
        Author { time_nanos: self.instance.time_nanos, by: self.sender, by_version }
    }

    /// Takes instructions of the round: those that the platform counts for calls to the management canister.
    pub(super) fn spend(&mut self, instructions: u64) {
        self.instance.subnets[self.subnet].management_instructions += instructions;
    }
}

/// The sender controls nothing here.
pub(super) fn not_controller(canister: &Canister, sender: Principal, method: &str) -> UserError {
    let controllers: Vec<String> = canister.settings.controllers.iter().map(Principal::to_text).collect();
    UserError::new(
        ErrorCode::CanisterInvalidController,
        format!(
            "Only the controllers of the canister {} can control it.\nCanister's controllers: {}\nSender's ID: \
             {sender}\nCall {method} as one of its controllers.",
            canister.id,
            controllers.join(" ")
        ),
    )
}

/// The only argument of the call.
pub(super) fn decode<T: DeserializeOwned + CandidType>(call: &Call<'_>) -> Result<T, UserError> {
    decode_payload(&call.request.payload)
}

/// A reply with one value.
pub(super) fn reply(value: &impl CandidType) -> Outcome {
    encode(value).map(Answered::Now)
}

/// A value in Candid.
pub(super) fn encode(value: &impl CandidType) -> Result<Vec<u8>, UserError> {
    candid::encode_one(value).map_err(|error| {
        UserError::new(ErrorCode::CanisterRejectedMessage, format!("the reply cannot be encoded: {error}"))
    })
}

/// The reply `()`.
pub(super) fn done() -> Outcome {
    Ok(Answered::Now(EMPTY_REPLY.to_vec()))
}

/// `()` in Candid.
pub(crate) const EMPTY_REPLY: &[u8] = b"DIDL\0\0";
