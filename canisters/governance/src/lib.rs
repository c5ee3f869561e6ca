//! A stand-in for an SNS, for rehearsals only: it calls the validator of a proposal when it is submitted and
//! its target when it is approved, as generic functions of an SNS do.

use candid::{CandidType, Principal};
use ic_cdk::call::Call;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::cell::RefCell;

/// Proposals that are kept at most.
const PROPOSALS: usize = 1_000;

#[derive(Debug, Clone, CandidType, Deserialize)]
enum Status {
    Open,
    Executed,
    Failed(String),
}

#[derive(Debug, Clone, CandidType, Deserialize)]
struct Proposal {
    id: u64,
    target: Principal,
    validator_method: String,
    target_method: String,
    payload: ByteBuf,
    rendered: String,
    status: Status,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
struct Submission {
    target: Principal,
    validator_method: String,
    target_method: String,
    payload: ByteBuf,
}

thread_local! {
    static PROPOSED: RefCell<Vec<Proposal>> = const { RefCell::new(Vec::new()) };
}

#[ic_cdk::update]
async fn propose(submission: Submission) -> Result<u64, String> {
    let Submission { target, validator_method, target_method, payload } = submission;
    let response = Call::unbounded_wait(target, &validator_method)
        .with_raw_args(&payload)
        .await
        .map_err(|error| format!("the validator {validator_method} of {target} failed: {error}"))?;
    let rendered: Result<String, String> = response
        .candid()
        .map_err(|error| format!("the validator {validator_method} of {target} is not one: {error}"))?;
    let rendered = rendered?;
    PROPOSED.with_borrow_mut(|proposals| {
        if proposals.len() >= PROPOSALS {
            return Err(format!("there are {PROPOSALS} proposals already"));
        }
        let id = proposals.len() as u64;
        let status = Status::Open;
        proposals.push(Proposal { id, target, validator_method, target_method, payload, rendered, status });
        Ok(id)
    })
}

#[ic_cdk::update]
async fn approve(id: u64) -> Result<Proposal, String> {
    if !ic_cdk::api::is_controller(&ic_cdk::api::msg_caller()) {
        return Err("only a controller may approve".to_owned());
    }
    let open = proposal(id).ok_or_else(|| format!("there is no proposal {id}"))?;
    if !matches!(open.status, Status::Open) {
        return Err(format!("proposal {id} was approved before"));
    }
    // Marked before the call: it is made once, whatever happens to the reply.
    set_status(id, Status::Failed("no reply yet".to_owned()));
    let result = Call::unbounded_wait(open.target, &open.target_method).with_raw_args(&open.payload).await;
    set_status(
        id,
        match result {
            Ok(_) => Status::Executed,
            Err(error) => Status::Failed(error.to_string()),
        },
    );
    proposal(id).ok_or_else(|| format!("there is no proposal {id}"))
}

fn set_status(id: u64, status: Status) {
    PROPOSED.with_borrow_mut(|proposals| {
        if let Some(proposal) = usize::try_from(id).ok().and_then(|index| proposals.get_mut(index)) {
            proposal.status = status;
        }
    });
}

#[ic_cdk::query]
fn proposal(id: u64) -> Option<Proposal> {
    let index = usize::try_from(id).ok()?;
    PROPOSED.with_borrow(|proposals| proposals.get(index).cloned())
}

#[cfg(test)]
mod tests;

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
