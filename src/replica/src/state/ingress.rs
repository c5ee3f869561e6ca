//! Calls by users, and the answers that they have not fetched yet.

use super::messages::Request;
use crate::api::MessageId;
use crate::error::UserError;
use candid::Principal;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// Nanoseconds that a submitted call waits for its execution, and that its answer is remembered (code:
/// `MAX_INGRESS_TTL`).
pub(crate) const INGRESS_NANOS: u64 = 5 * 60 * 1_000_000_000;

/// Bytes of answers that are remembered although the clock stands still; the oldest are forgotten first
/// (ours; code: 4 GiB, `INGRESS_HISTORY_MEMORY_CAPACITY`).
const ANSWERS_BYTES: usize = 512 << 20;

/// A call that a user submitted.
pub(crate) struct Submitted {
    pub(crate) sender: Principal,
    /// Nanoseconds since the epoch at which it is executed no more.
    pub(crate) expires_nanos: u64,
    /// Whether a subnet has taken it; until then nobody knows who sent it.
    pub(crate) is_inducted: bool,
    pub(crate) answer: Option<Result<Vec<u8>, UserError>>,
}

/// Names of calls are hashes already: any bytes of one tell it apart.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// All calls that users submitted.
#[derive(Default)]
pub(crate) struct IngressHistory {
    pub(crate) submitted: HashMap<MessageId, Submitted, BuildHasherDefault<IdHasher>>,
    /// Answered ones with the time at which they are forgotten and their bytes, oldest first.
    answered: VecDeque<(u64, MessageId, usize)>,
    answered_bytes: usize,
    count: u64,
    /// The time of the round that runs.
    now_nanos: u64,
    /// Calls that the next round inducts: subnet, request, bytes charged.
    pub(crate) queue: VecDeque<(usize, Request, u64)>,
}

impl IngressHistory {
    /// Stores the answer to a call.
    pub(crate) fn finish(&mut self, id: &MessageId, result: Result<Vec<u8>, UserError>) {
        let Some(submitted) = self.submitted.get_mut(id) else { return };
        let bytes = match &result {
            Ok(reply) => reply.len(),
            Err(error) => error.description.len(),
        };
        submitted.answer.get_or_insert(result);
        self.answered.push_back((self.now_nanos.saturating_add(INGRESS_NANOS), *id, bytes));
        self.answered_bytes += bytes;
    }

    /// Begins a round at this time: what was answered five minutes ago is forgotten.
    pub(crate) fn begin_round(&mut self, now_nanos: u64) {
        self.now_nanos = now_nanos;
        while let Some((until, id, bytes)) = self.answered.front().copied() {
            if until > now_nanos && self.answered_bytes <= ANSWERS_BYTES {
                break;
            }
            self.answered.pop_front();
            self.answered_bytes -= bytes;
            self.submitted.remove(&id);
        }
    }

    /// Whether a call waited too long to be executed.
    pub(crate) fn is_expired(&self, id: &MessageId) -> bool {
        self.submitted.get(id).is_none_or(|submitted| submitted.expires_nanos < self.now_nanos)
    }

    /// A name for a call: opaque to users, and equal calls get different ones.
    pub(crate) fn next_id(&mut self) -> MessageId {
        self.count += 1;
        Sha256::digest(self.count.to_le_bytes()).into()
    }
}
