//! HTTP outcalls of canisters. Nobody sends them: a test looks at those that wait, and says what the web answers.

use crate::api::{EffectivePrincipal, HttpResponse, OutcallView, UserCall};
use crate::error::{ErrorCode, Reject, RejectCode};
use crate::instance::Instance;
use crate::management::outcalls::{HttpResult, MESSAGE_BYTES, TransformArgs, check_message};
use crate::state::messages::Message;
use crate::state::outcalls::Outcall;
use candid::Principal;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What one node has to say: the reply in Candid, or a reject.
type Content = Result<Vec<u8>, Reject>;

/// Nanoseconds after an outcall that nodes write into what they hash (`pocket_ic_server`: five minutes).
const HASHED_TIMEOUT_NANOS: u64 = 300 * 1_000_000_000;

impl Instance {
    /// The outcalls that nobody has answered yet.
    pub fn outcalls(&self) -> Vec<OutcallView> {
        let of_subnet = |subnet: &'_ crate::state::Subnet| {
            let waiting = subnet.outcalls.open.iter().filter(|(_, outcall)| outcall.answer.is_none());
            let view = |(id, outcall): (&u64, &Outcall)| OutcallView {
                subnet: subnet.id,
                id: *id,
                canister: outcall.request.sender,
                http: outcall.http.clone(),
            };
            waiting.map(view).collect::<Vec<_>>()
        };
        self.subnets.iter().flat_map(of_subnet).collect()
    }

    /// Says what the nodes of a subnet get in answer to an outcall: all the same, or each its own. The canister gets
    /// in the next round what enough of them agree on.
    ///
    /// Errors with PocketIC's words if there is no such outcall, or if the number of answers is not that of the nodes.
    pub fn answer_outcall(
        &mut self,
        subnet: Principal,
        id: u64,
        response: &HttpResponse,
        others: &[HttpResponse],
    ) -> Result<(), String> {
        for response in std::iter::once(response).chain(others) {
            if let HttpResponse::Reject { code, .. } = response {
                reject_code(*code).ok_or_else(|| format!("InvalidRejectCode({code})"))?;
            }
        }
        let index = self.subnet_index(subnet).ok_or_else(|| format!("SubnetNotFound({subnet})"))?;
        let nodes = usize::try_from(self.profile(index).nodes).unwrap_or(usize::MAX);
        let open = &self.subnets[index].outcalls.open;
        let is_waiting = open.get(&id).is_some_and(|outcall| outcall.answer.is_none());
        if !is_waiting {
            return Err(format!("InvalidCanisterHttpRequestId(({subnet}, {id}))"));
        }
        if !others.is_empty() && others.len() + 1 != nodes {
            return Err(format!("InvalidMockCanisterHttpResponses(({}, {nodes}))", others.len() + 1));
        }
        let first = self.content(index, id, response);
        let is_replicated =
            self.subnets[index].outcalls.open.get(&id).is_some_and(|outcall| outcall.http.is_replicated);
        let answer = if others.is_empty() || !is_replicated {
            // One node alone was asked, and this is what it got.
            first
        } else {
            let mut contents: Vec<Content> =
                others.iter().map(|response| self.content(index, id, response)).collect();
            contents.push(first);
            self.agree(index, id, contents)
        };
        if let Some(outcall) = self.subnets[index].outcalls.open.get_mut(&id) {
            outcall.answer = Some(answer);
        }
        Ok(())
    }

    /// Rejects all that wait: nobody will answer them.
    pub(crate) fn refuse_outcalls(&mut self) {
        for subnet in &mut self.subnets {
            for outcall in subnet.outcalls.open.values_mut().filter(|outcall| outcall.answer.is_none()) {
                outcall.answer = Some(Err(Reject {
                    code: RejectCode::SysFatal,
                    message: format!(
                        "This replica makes no HTTP outcalls, and none was made to {}. Stop auto progress, and answer \
                         what get_canister_http lists with mock_canister_http_response.",
                        outcall.http.url
                    ),
                }));
            }
        }
    }

    /// What to do where calls are not answered because outcalls are not: a sentence that goes on from another.
    pub(crate) fn waiting_outcalls(&self) -> String {
        let waiting = self.outcalls();
        let Some(first) = waiting.first() else { return String::new() };
        format!(
            ": {} HTTP outcalls wait, among them one of canister {} to {}. This replica makes none: submit the call, \
             tick, and answer what get_canister_http lists with mock_canister_http_response",
            waiting.len(),
            first.canister,
            first.http.url
        )
    }

    /// Hands answers of outcalls on, and gives up on those that waited too long.
    pub(crate) fn finish_outcalls(&mut self, subnet: usize) {
        for outcall in self.subnets[subnet].outcalls.take_over(self.time_nanos) {
            let answer = outcall.answer.unwrap_or_else(|| {
                let message = "Canister http request timed out".to_owned();
                Err(Reject { code: RejectCode::SysTransient, message })
            });
            if let Some(response) = outcall.request.response(answer, outcall.request.cycles) {
                self.send(subnet, Message::Response(response));
            }
        }
    }

    /// What a node makes of a response: it is checked, and transformed by the canister.
    fn content(&mut self, subnet: usize, id: u64, response: &HttpResponse) -> Content {
        let fatal = |message: String| Reject { code: RejectCode::SysFatal, message };
        let (status, headers, body) = match response {
            HttpResponse::Reject { code, message } => {
                let code = reject_code(*code).unwrap_or(RejectCode::SysFatal);
                return Err(Reject { code, message: message.clone() });
            }
            HttpResponse::Reply { status, headers, body } => (*status, headers, body),
        };
        let Some(outcall) = self.subnets[subnet].outcalls.open.get(&id) else {
            return Err(fatal("the outcall is gone".to_owned()));
        };
        let (canister, transform) = (outcall.request.sender, outcall.http.transform.clone());
        let limit = outcall.http.max_response_bytes.unwrap_or(MESSAGE_BYTES);
        let bytes: usize =
            body.len() + headers.iter().map(|header| header.name.len() + header.value.len()).sum::<usize>();
        // Code: the adapter, while it reads the body.
        if bytes as u64 > limit {
            return Err(fatal(format!("Http body exceeds size limit of {limit} bytes.")));
        }
        check_message(headers, body).map_err(fatal)?;
        let result =
            HttpResult { status: status.into(), headers: headers.clone(), body: ByteBuf::from(body.clone()) };
        let encoded = |error: candid::Error| fatal(format!("Failed to parse http response: {error}"));
        let Some(transform) = transform else { return candid::encode_one(&result).map_err(encoded) };
        let arguments = TransformArgs { response: result, context: ByteBuf::from(transform.context) };
        let query = UserCall {
            // Spec: "the caller's identity is the principal of the management canister".
            sender: Principal::management_canister(),
            canister_id: canister,
            effective_principal: EffectivePrincipal::None,
            method: transform.method,
            payload: candid::encode_one(&arguments).map_err(encoded)?,
        };
        let content = self.query(query).map_err(fatal)?.map_err(|reject| Reject {
            code: reject.reject_code,
            message: match reject.error_code {
                ErrorCode::CanisterRejectedMessage => reject.reject_message,
                code => format!("IC{:04}: {}", code as u32, reject.reject_message),
            },
        });
        let bytes = content.as_ref().map_or_else(|reject| reject.message.len(), Vec::len);
        if bytes as u64 > limit {
            return Err(fatal(format!("Transformed http response exceeds limit: {limit}")));
        }
        content
    }

    /// What more than two thirds of the nodes say, or that they do not agree (code: `divergence_response_into_reject`).
    fn agree(&self, subnet: usize, id: u64, contents: Vec<Content>) -> Content {
        let Some(outcall) = self.subnets[subnet].outcalls.open.get(&id) else {
            return Err(Reject { code: RejectCode::SysFatal, message: "the outcall is gone".to_owned() });
        };
        let timeout_nanos = outcall.since_nanos.saturating_add(HASHED_TIMEOUT_NANOS);
        let nodes = contents.len();
        let faulty = nodes.saturating_sub(1) / 3;
        let mut by_hash: BTreeMap<[u8; 32], (usize, Content)> = BTreeMap::new();
        for content in contents {
            let hash = content_hash(id, timeout_nanos, outcall.request.sender, &content);
            by_hash.entry(hash).or_insert((0, content)).0 += 1;
        }
        if let Some((_, content)) = by_hash.values().find(|(count, _)| *count >= nodes - faulty) {
            return content.clone();
        }
        let mut counts: Vec<_> = by_hash.iter().map(|(hash, (count, _))| (*count, hash)).collect();
        counts.sort_by(|one, other| other.cmp(one));
        let hashes: Vec<_> =
            counts.iter().map(|(count, hash)| format!("[{}: {count}]", hex::encode(hash))).collect();
        Err(Reject {
            code: RejectCode::SysTransient,
            message: format!(
                "No consensus could be reached. Replicas had different responses. Details: request_id: {id}, timeout: \
                 {timeout_nanos}, hashes: {}",
                hashes.join(", ")
            ),
        })
    }
}

fn reject_code(code: u64) -> Option<RejectCode> {
    use RejectCode::{CanisterError, CanisterReject, DestinationInvalid, SysFatal, SysTransient, SysUnknown};
    [SysFatal, SysTransient, DestinationInvalid, CanisterReject, CanisterError, SysUnknown]
        .into_iter()
        .find(|known| *known as u64 == code)
}

/// The hash by which nodes compare what they got, as developers see it (code: `crypto_hash` of
/// `CanisterHttpResponse`, which hashes its fields as Rust's `Hash` does).
fn content_hash(id: u64, timeout_nanos: u64, canister: Principal, content: &Content) -> [u8; 32] {
    const DOMAIN: &[u8] = b"ic-canister-http-response-domain";
    const PRINCIPAL_BYTES: usize = 29;
    let mut hash = Sha256::new();
    let number = |hash: &mut Sha256, number: u64| hash.update(number.to_le_bytes());
    hash.update([DOMAIN.len() as u8]);
    hash.update(DOMAIN);
    number(&mut hash, id);
    number(&mut hash, timeout_nanos);
    let bytes = canister.as_slice();
    number(&mut hash, bytes.len() as u64);
    number(&mut hash, PRINCIPAL_BYTES as u64);
    let mut padded = [0; PRINCIPAL_BYTES];
    padded[..bytes.len()].copy_from_slice(bytes);
    hash.update(padded);
    match content {
        Ok(reply) => {
            number(&mut hash, 0);
            number(&mut hash, reply.len() as u64);
            hash.update(reply);
        }
        Err(reject) => {
            number(&mut hash, 1);
            number(&mut hash, reject.code as u64);
            hash.update(reject.message.as_bytes());
            hash.update([0xff]);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a real server says of the response "hello6" of one of 13 nodes (dfinity/ic, `packages/pocket-ic/tests`,
    /// `test_canister_http_with_diverging_responses`).
    #[test]
    fn nodes_name_a_response_by_the_platform_s_hash() {
        let canister = Principal::from_text("lxzze-o7777-77777-aaaaa-cai").unwrap();
        let result = HttpResult { status: 200, headers: Vec::new(), body: ByteBuf::from(b"hello6".to_vec()) };
        let content = candid::encode_one(&result).unwrap();
        let hash = content_hash(0, 1_620_328_930_000_000_005, canister, &Ok(content));
        assert_eq!(hex::encode(hash), "7bf80e2f02011ab0a7836b526546e75203b94e856d767c9df4cb0c19baf34059");
    }
}
