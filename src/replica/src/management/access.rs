//! Who may call what, and what a call is about.

use super::arguments::decode_skipping;
use super::methods::{About, Canisters, Method, Users, find};
use crate::error::{ErrorCode, UserError};
use crate::execution::failure::canister_not_found;
use crate::instance::{Instance, ROOT};
use crate::state::Request;
use candid::{CandidType, Principal};
use serde::Deserialize;

/// What a call is about: it decides the subnet that executes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// This canister, or the place of one that is to be created.
    Canister(Principal),
    /// This subnet.
    Subnet(Principal),
    /// The caller's subnet.
    Caller,
}

impl Subject {
    /// The canister that a call is about.
    pub(crate) fn canister(self) -> Option<Principal> {
        match self {
            Self::Canister(id) => Some(id),
            Self::Subnet(_) | Self::Caller => None,
        }
    }
}

/// The canister that pays for a call by ingress: the one that it is about. One that is to be created does not.
pub(crate) fn payer(method: &str, payload: &[u8]) -> Option<Principal> {
    // Nobody pays for the provisional methods (code: `extract_effective_canister_id`).
    find(method).filter(|method| method.users != Users::Everybody)?;
    address(method, payload).ok()?.subject.canister()
}

/// What a call is about, and the canister version that its sender claims to have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) subject: Subject,
    pub(crate) sender_version: Option<u64>,
}

/// Reads the address of a call off its argument.
///
/// Errors: an unknown method, or an argument that does not decode.
pub(crate) fn address(method: &str, payload: &[u8]) -> Result<Address, UserError> {
    #[derive(CandidType, Deserialize)]
    struct OfCanister {
        canister_id: Principal,
        sender_canister_version: Option<u64>,
    }
    #[derive(CandidType, Deserialize)]
    struct OfTarget {
        target_canister: Principal,
        sender_canister_version: Option<u64>,
    }
    #[derive(CandidType, Deserialize)]
    struct Specified {
        specified_id: Option<Principal>,
        sender_canister_version: Option<u64>,
    }
    #[derive(CandidType, Deserialize)]
    struct OfSubnet {
        subnet_id: Principal,
    }
    #[derive(CandidType, Deserialize)]
    struct OfCaller {
        sender_canister_version: Option<u64>,
    }
    let method = find(method).ok_or_else(|| unknown_method(method))?;
    let (subject, sender_version) = match method.about {
        About::Canister => {
            let arg: OfCanister = decode_skipping(payload)?;
            (Subject::Canister(arg.canister_id), arg.sender_canister_version)
        }
        About::Target => {
            let arg: OfTarget = decode_skipping(payload)?;
            (Subject::Canister(arg.target_canister), arg.sender_canister_version)
        }
        About::Specified => {
            let arg: Specified = decode_skipping(payload)?;
            let subject = arg.specified_id.map_or(Subject::Caller, Subject::Canister);
            (subject, arg.sender_canister_version)
        }
        About::Subnet => (Subject::Subnet(decode_skipping::<OfSubnet>(payload)?.subnet_id), None),
        // Methods without any argument are among them; what does not decode is told by the handler.
        About::Caller => {
            let version = decode_skipping::<OfCaller>(payload).ok();
            (Subject::Caller, version.and_then(|arg| arg.sender_canister_version))
        }
    };
    Ok(Address { subject, sender_version })
}

/// Whether a user's call is taken (spec, "Ingress message inspection": of management calls).
pub(crate) fn accepts_ingress(
    instance: &Instance,
    subnet: usize,
    sender: Principal,
    method: &str,
    payload: &[u8],
) -> Result<(), UserError> {
    let found = find(method).ok_or_else(|| unknown_method(method))?;
    let about = address(method, payload)?.subject.canister();
    let canister = || {
        let id = about.unwrap_or(Principal::management_canister());
        instance.subnets[subnet].canister(&id).ok_or_else(|| canister_not_found(id))
    };
    let may_call = match found.users {
        Users::Everybody => true,
        Users::Controllers => canister()?.is_controller(&sender),
        Users::StatusReaders => {
            let canister = canister()?;
            canister.settings.status_visibility.shows(canister, &sender)
        }
        Users::Nobody if found.canisters == Canisters::Nobody => {
            return Err(UserError::new(
                ErrorCode::CanisterRejectedMessage,
                format!("{method} API is not accessible via ingress in replicated mode"),
            ));
        }
        Users::Nobody => {
            return Err(UserError::new(
                ErrorCode::CanisterRejectedMessage,
                format!("Only canisters can call ic00 method {method}"),
            ));
        }
    };
    if may_call {
        return Ok(());
    }
    let id = about.unwrap_or(Principal::management_canister());
    Err(UserError::new(
        ErrorCode::CanisterInvalidController,
        format!("Only controllers of canister {id} can call ic00 method {method}"),
    ))
}

/// The method of a call, if its sender may make it on this subnet.
pub(super) fn permitted(
    instance: &Instance,
    subnet: usize,
    request: &Request,
) -> Result<&'static Method, UserError> {
    let method = find(&request.method).ok_or_else(|| unknown_method(&request.method))?;
    if !matches!(request.origin, crate::state::Origin::Canister { .. }) {
        return Ok(method);
    }
    let home = instance.home(request.sender);
    match method.canisters {
        Canisters::All => Ok(method),
        Canisters::OwnSubnet if home == Some(subnet) || home == Some(ROOT) => Ok(method),
        Canisters::OwnSubnet => Err(UserError::new(
            ErrorCode::CanisterContractViolation,
            format!(
                "Incorrect sender subnet id: {}. Sender should be on the same subnet or on the NNS subnet.",
                home.map_or(Principal::management_canister(), |home| instance.subnets[home].id)
            ),
        )),
        Canisters::Nobody => Err(UserError::new(
            ErrorCode::CanisterRejectedMessage,
            format!("{} API is only accessible to end users in non-replicated mode", method.name),
        )),
    }
}

/// There is no such method.
pub(crate) fn unknown_method(method: &str) -> UserError {
    UserError::new(
        ErrorCode::CanisterMethodNotFound,
        format!("ic00 interface does not expose method {method}"),
    )
}

/// The platform has the method, the replica has not; what to do instead.
pub(super) fn not_offered(method: &str, instead: &str) -> UserError {
    UserError::new(
        ErrorCode::CanisterRejectedMessage,
        format!("The management method {method} is not supported by this replica: {instead}"),
    )
}

/// Whether calls of the method wait for the next round when the instructions for such calls are used up.
pub(crate) fn counts_toward_round(method: &str) -> bool {
    find(method).is_some_and(|method| method.counts_toward_round)
}

/// Whether the method installs code: of those that take several rounds there is one at a time.
pub(crate) fn installs_code(method: &str) -> bool {
    find(method).is_some_and(|method| method.installs_code)
}
