//! How a canister is asked for a page (interface specification, "HTTP Gateway protocol"), without certificates.
use super::super::limits::PAGE_LIMIT_BYTES;
use crate::instance::{EffectivePrincipal, Instance, UserCall};
use candid::de::IDLDeserialize;
use candid::types::value::{IDLArgs, IDLValue};
use candid::{CandidType, DecoderConfig, Principal};
use serde_bytes::ByteBuf;

/// Work of decoding an answer, in Candid's units: at least, and for a byte (ours: several times what an honest one
/// takes).
const DECODING_QUOTA: usize = 1_000_000;
const DECODING_QUOTA_BYTE: usize = 50;

/// A request of a browser, as canisters see it.
#[derive(Debug, Clone, CandidType)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: ByteBuf,
    /// Version of certificates that the gateway understands. It does not look at them, but canisters serve more to
    /// gateways that understand the newest.
    pub(super) certificate_version: Option<u16>,
}

/// What a canister answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoPage {
    /// There is no such canister.
    NoCanister,
    /// The page would change the canister, and who asks may not.
    NeedsUpdate,
    /// The canister rejected the call or answered something else.
    Canister(String),
}

/// Asks a canister for a page: by `http_request`, and where that says so by `http_request_update`; then for the
/// rest of the body.
pub(super) fn ask(
    instance: &mut Instance,
    canister: Principal,
    request: &Request,
    may_change: bool,
) -> Result<Page, NoPage> {
    if instance.subnet_of(canister).is_none() {
        return Err(NoPage::NoCanister);
    }
    let argument = candid::encode_one(request).map_err(|error| NoPage::Canister(error.to_string()))?;
    let mut answer =
        parse("http_request", &call(instance, canister, "http_request", argument.clone(), false)?)?;
    if field(&answer, "upgrade").map(unwrapped) == Some(&IDLValue::Bool(true)) {
        if !may_change {
            return Err(NoPage::NeedsUpdate);
        }
        answer =
            parse("http_request_update", &call(instance, canister, "http_request_update", argument, true)?)?;
    }
    let mut page = page(&answer).ok_or_else(|| not_understood("http_request"))?;
    let mut next = field(&answer, "streaming_strategy").map(unwrapped).and_then(callback);
    while let Some((method, token)) = next {
        if method.0 != canister {
            return Err(NoPage::Canister(format!("its streaming callback is a method of {}", method.0)));
        }
        let argument =
            IDLArgs::new(&[token]).to_bytes().map_err(|error| NoPage::Canister(error.to_string()))?;
        let chunk = parse(&method.1, &call(instance, canister, &method.1, argument, false)?)?;
        let body = field(&chunk, "body").and_then(bytes).ok_or_else(|| not_understood(&method.1))?;
        if page.body.len() + body.len() > PAGE_LIMIT_BYTES {
            return Err(NoPage::Canister(format!("its page is larger than {PAGE_LIMIT_BYTES} bytes")));
        }
        page.body.extend_from_slice(&body);
        let token = field(&chunk, "token").map(unwrapped).filter(|token| **token != IDLValue::None);
        next = token.map(|token| (method, token.clone()));
    }
    Ok(page)
}

fn call(
    instance: &mut Instance,
    canister: Principal,
    method: &str,
    payload: Vec<u8>,
    is_update: bool,
) -> Result<Vec<u8>, NoPage> {
    let call = UserCall {
        sender: Principal::anonymous(),
        canister_id: canister,
        effective_principal: EffectivePrincipal::None,
        method: method.to_owned(),
        payload,
    };
    let answer = if is_update {
        match instance.submit(call).map_err(NoPage::Canister)? {
            Ok(id) => instance.await_ingress(&id),
            Err(reject) => Ok(Err(reject)),
        }
    } else {
        instance.query(call)
    };
    answer
        .map_err(NoPage::Canister)?
        .map_err(|reject| NoPage::Canister(format!("{method}: {}", reject.reject_message)))
}

fn not_understood(method: &str) -> NoPage {
    NoPage::Canister(format!("what {method} answered is not a response of the HTTP gateway protocol"))
}

fn parse(method: &str, reply: &[u8]) -> Result<IDLValue, NoPage> {
    let mut config = DecoderConfig::new();
    let quota = DECODING_QUOTA + DECODING_QUOTA_BYTE * reply.len();
    config.set_decoding_quota(quota).set_skipping_quota(quota);
    IDLDeserialize::new_with_config(reply, &config)
        .and_then(|mut values| values.get_value::<IDLValue>())
        .map_err(|_| not_understood(method))
}

fn page(answer: &IDLValue) -> Option<Page> {
    let status = match field(answer, "status_code")? {
        IDLValue::Nat16(status) => *status,
        _ => return None,
    };
    let IDLValue::Vec(headers) = field(answer, "headers")? else { return None };
    let header = |header: &IDLValue| {
        let IDLValue::Record(fields) = header else { return None };
        match fields.as_slice() {
            [name, value] => match (&name.val, &value.val) {
                (IDLValue::Text(name), IDLValue::Text(value)) => Some((name.clone(), value.clone())),
                _ => None,
            },
            _ => None,
        }
    };
    let headers = headers.iter().map(header).collect::<Option<_>>()?;
    Some(Page { status, headers, body: bytes(field(answer, "body")?)? })
}

/// Canister and method of the callback, and the token for it.
fn callback(strategy: &IDLValue) -> Option<((Principal, String), IDLValue)> {
    let IDLValue::Variant(variant) = strategy else { return None };
    let of_variant = &variant.0.val;
    let IDLValue::Func(canister, method) = field(of_variant, "callback")? else { return None };
    Some(((*canister, method.clone()), field(of_variant, "token")?.clone()))
}

fn field<'a>(record: &'a IDLValue, name: &str) -> Option<&'a IDLValue> {
    let IDLValue::Record(fields) = record else { return None };
    let id = candid::idl_hash(name);
    fields.iter().find(|field| field.id.get_id() == id).map(|field| &field.val)
}

/// What an option holds; anything else as it is.
fn unwrapped(value: &IDLValue) -> &IDLValue {
    match value {
        IDLValue::Opt(value) => value,
        other => other,
    }
}

fn bytes(value: &IDLValue) -> Option<Vec<u8>> {
    match value {
        IDLValue::Blob(bytes) => Some(bytes.clone()),
        IDLValue::Vec(values) => values
            .iter()
            .map(|value| match value {
                IDLValue::Nat8(byte) => Some(*byte),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}
