//! Many updates at once: one round executes all of a batch, and the client waits once for each instead of driving
//! rounds for each.

use anyhow::anyhow;
use candid::{CandidType, Principal};
use pocket_ic::PocketIc;
use pocket_ic::common::rest::RawEffectivePrincipal;
use serde::de::DeserializeOwned;

/// Calls on their way at a time: enough that a round is shared by many, few enough for the queues of a subnet.
pub const BATCH: usize = 32;

/// A call that is still to be made.
pub struct Update {
    /// Who is called.
    pub canister: Principal,
    /// Where a call to the management canister is routed.
    pub effective: RawEffectivePrincipal,
    /// The method.
    pub method: &'static str,
    /// The argument, in Candid.
    pub argument: Vec<u8>,
}

impl Update {
    /// A call of a canister's method with one argument.
    pub fn new(
        canister: Principal,
        method: &'static str,
        arguments: impl candid::utils::ArgumentEncoder,
    ) -> anyhow::Result<Self> {
        let argument = candid::encode_args(arguments)?;
        Ok(Self { canister, effective: RawEffectivePrincipal::None, method, argument })
    }

    /// A call of the management canister about a canister; `None`: about one that is not there yet.
    pub fn management(
        about: Option<Principal>,
        method: &'static str,
        argument: impl CandidType,
    ) -> anyhow::Result<Self> {
        let effective = about.map_or(RawEffectivePrincipal::None, |id| {
            RawEffectivePrincipal::CanisterId(id.as_slice().to_vec())
        });
        let argument = candid::encode_one(argument)?;
        Ok(Self { canister: Principal::management_canister(), effective, method, argument })
    }
}

/// Makes the calls, [`BATCH`] at a time; answers their replies in order. The first that fails ends it.
pub fn update_all(pic: &PocketIc, sender: Principal, calls: Vec<Update>) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut replies = Vec::with_capacity(calls.len());
    let mut calls = calls.into_iter().peekable();
    while calls.peek().is_some() {
        let mut open = Vec::with_capacity(BATCH);
        for call in calls.by_ref().take(BATCH) {
            let Update { canister, effective, method, argument } = call;
            let message = pic
                .submit_call_with_effective_principal(canister, effective.clone(), sender, method, argument)
                .map_err(|error| anyhow!("{method} of {canister} ({effective:?}): {error}"))?;
            open.push((method, canister, message));
        }
        for (method, canister, message) in open {
            let about = message.effective_principal.clone();
            let reply = pic
                .await_call(message)
                .map_err(|error| anyhow!("{method} of {canister} ({about:?}): {error}"))?;
            replies.push(reply);
        }
    }
    Ok(replies)
}

/// As [`update_all`], and decodes the one result of each.
pub fn update_all_as<R: CandidType + DeserializeOwned>(
    pic: &PocketIc,
    sender: Principal,
    calls: Vec<Update>,
) -> anyhow::Result<Vec<R>> {
    let replies = update_all(pic, sender, calls)?;
    replies.iter().map(|reply| candid::decode_one(reply).map_err(Into::into)).collect()
}
