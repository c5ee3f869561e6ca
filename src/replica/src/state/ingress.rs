//! Calls by users, and the answers that they have not fetched yet.

use super::messages::Request;
use crate::api::{MessageId, UserCall};
use crate::error::UserError;
use candid::Principal;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

/// Answers that are remembered; older ones are forgotten first. The platform keeps them for five minutes.
const REMEMBERED_ANSWERS: usize = 100_000;

/// A call that a user submitted.
pub(crate) struct Submitted {
    pub(crate) sender: Principal,
    pub(crate) answer: Option<Result<Vec<u8>, UserError>>,
}

/// All calls that users submitted.
#[derive(Default)]
pub(crate) struct IngressHistory {
    pub(crate) submitted: HashMap<MessageId, Submitted>,
    answered: VecDeque<MessageId>,
    count: u64,
    /// Calls that the next round inducts: subnet, request, bytes charged.
    pub(crate) queue: VecDeque<(usize, Request, u64)>,
}

impl IngressHistory {
    /// Stores the answer to a call.
    pub(crate) fn finish(&mut self, id: &MessageId, result: Result<Vec<u8>, UserError>) {
        let Some(submitted) = self.submitted.get_mut(id) else { return };
        submitted.answer.get_or_insert(result);
        self.answered.push_back(*id);
        if self.answered.len() > REMEMBERED_ANSWERS
            && let Some(oldest) = self.answered.pop_front()
        {
            self.submitted.remove(&oldest);
        }
    }

    /// A name for a call; equal calls get different ones.
    pub(crate) fn next_id(&mut self, call: &UserCall) -> MessageId {
        self.count += 1;
        let mut hasher = Sha256::new();
        for part in
            [call.sender.as_slice(), call.canister_id.as_slice(), call.method.as_bytes(), &call.payload]
        {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(self.count.to_le_bytes());
        hasher.finalize().into()
    }
}
