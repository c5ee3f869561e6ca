//! Many updates at once: one round executes all of a batch, and the client waits once for each instead of driving
//! rounds for each.

use super::not_now::is_transient;
use anyhow::anyhow;
use candid::{CandidType, Principal};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{PocketIc, RejectResponse};
use serde::de::DeserializeOwned;

/// Calls on their way at a time: enough that a round is shared by many, few enough for the queues of a subnet.
pub const BATCH: usize = 32;

/// Threads that await the replies of a batch: the client and the instance take turns on one, so that another fills the
/// gaps. Messages are submitted by one thread, in order.
const LANES: usize = 2;

/// How often a call is made again that is refused for now. A rate limit lasts a round for 2 B instructions or 75 MiB.
pub(super) const ATTEMPTS: u32 = 200;

/// A call that is still to be made.
pub struct Update<'a> {
    /// Who is called.
    pub canister: Principal,
    /// Where a call to the management canister is routed.
    pub effective: RawEffectivePrincipal,
    /// The method.
    pub method: &'a str,
    /// The argument, in Candid.
    pub argument: Vec<u8>,
}

impl<'a> Update<'a> {
    /// A call of a canister's method with one argument.
    pub fn new(
        canister: Principal,
        method: &'a str,
        arguments: impl candid::utils::ArgumentEncoder,
    ) -> anyhow::Result<Self> {
        Ok(Self::encoded(canister, method, candid::encode_args(arguments)?))
    }

    /// The same with an argument that is encoded.
    pub fn encoded(canister: Principal, method: &'a str, argument: Vec<u8>) -> Self {
        Self { canister, effective: RawEffectivePrincipal::None, method, argument }
    }

    /// A call of the management canister about a canister; `None`: about one that is not there yet.
    pub fn management(
        about: Option<Principal>,
        method: &'a str,
        argument: impl CandidType,
    ) -> anyhow::Result<Self> {
        let effective = about.map_or(RawEffectivePrincipal::None, |id| {
            RawEffectivePrincipal::CanisterId(id.as_slice().to_vec())
        });
        let argument = candid::encode_one(argument)?;
        Ok(Self { canister: Principal::management_canister(), effective, method, argument })
    }
}

/// Makes the calls, [`BATCH`] at a time; answers their replies in order. What is refused for now is made again. The first
/// that fails ends it.
pub fn update_all(pic: &PocketIc, sender: Principal, calls: Vec<Update<'_>>) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut replies: Vec<Option<Vec<u8>>> = calls.iter().map(|_| None).collect();
    for (batch, replies) in calls.chunks(BATCH).zip(replies.chunks_mut(BATCH)) {
        for attempt in 0.. {
            let mut open = Vec::with_capacity(BATCH);
            for (call, reply) in batch.iter().zip(replies.iter_mut()).filter(|(_, reply)| reply.is_none()) {
                let submitted = pic.submit_call_with_effective_principal(
                    call.canister,
                    call.effective.clone(),
                    sender,
                    call.method,
                    call.argument.clone(),
                );
                if let Some(message) = passed(call, submitted, attempt)? {
                    open.push((call, message, reply));
                }
            }
            std::thread::scope(|scope| {
                // Who awaits first has the rounds executed, as many as the slowest needs, whoever that is.
                let lanes: Vec<_> = open
                    .chunks_mut(BATCH.div_ceil(LANES))
                    .map(|lane| {
                        scope.spawn(move || {
                            lane.iter_mut().try_for_each(|(call, message, reply)| {
                                **reply = passed(call, pic.await_call(message.clone()), attempt)?;
                                anyhow::Ok(())
                            })
                        })
                    })
                    .collect();
                lanes.into_iter().try_for_each(|lane| {
                    lane.join().map_err(|_| anyhow!("a thread that awaits replies panicked"))?
                })
            })?;
            if replies.iter().all(Option::is_some) {
                break;
            }
            pic.tick();
        }
    }
    Ok(replies.into_iter().flatten().collect())
}

/// What came of a call or of its submission; nothing if it is to be made again.
fn passed<T>(
    call: &Update<'_>,
    outcome: Result<T, RejectResponse>,
    attempt: u32,
) -> anyhow::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(rejected) if is_transient(&rejected) && attempt < ATTEMPTS => Ok(None),
        Err(rejected) => {
            let Update { method, canister, effective, .. } = call;
            Err(anyhow!("{method} of {canister} ({effective:?}): {rejected}"))
        }
    }
}

/// As [`update_all`], and decodes the one result of each.
pub fn update_all_as<R: CandidType + DeserializeOwned>(
    pic: &PocketIc,
    sender: Principal,
    calls: Vec<Update<'_>>,
) -> anyhow::Result<Vec<R>> {
    let replies = update_all(pic, sender, calls)?;
    replies.iter().map(|reply| candid::decode_one(reply).map_err(Into::into)).collect()
}
