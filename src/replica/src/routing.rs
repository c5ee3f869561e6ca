//! Where requests of canisters and calls of users go.

use crate::api::{EffectivePrincipal, UserCall};
use crate::error::{ErrorCode, Reject, RejectCode, UserError};
use crate::instance::{Instance, ROOT};
use crate::management::{self, Subject};
use crate::state::Request;
use crate::topology;
use candid::Principal;

impl Instance {
    /// The subnet that a canister's request goes to.
    pub(crate) fn route(&self, subnet: usize, request: &Request) -> Result<usize, Reject> {
        let named = self.subnet_index(request.receiver);
        if named.is_none() && request.receiver != Principal::management_canister() {
            return self.responsible(request.receiver).ok_or_else(|| Reject {
                code: RejectCode::DestinationInvalid,
                message: format!("No route to canister {}", request.receiver),
            });
        }
        let unroutable = |why: String| Reject {
            code: RejectCode::DestinationInvalid,
            message: format!("Unable to route management canister request {}: {why}", request.method),
        };
        let address = management::address(&request.method, &request.payload).map_err(|error| {
            if error.code == ErrorCode::CanisterMethodNotFound {
                let description = format!("Management canister has no method '{}'", request.method);
                return UserError::new(error.code, description).into_reject();
            }
            unroutable(format!(
                "UserError(UserError {{ code: {:?}, description: {:?} }})",
                error.code, error.description
            ))
        })?;
        if let Some(why) = management::unknown_key(&request.method, &request.payload) {
            return Err(unroutable(why));
        }
        self.check_sender_version(subnet, request, address.sender_version)?;
        match (named, address.subject) {
            // Only canisters of the NNS choose the subnet (code: `ResolveDestinationError::AlreadyResolved`).
            (Some(target), _) if subnet == ROOT => Ok(target),
            (Some(_), _) => Err(unroutable(format!("AlreadyResolved({})", request.receiver))),
            (None, Subject::Caller) => Ok(subnet),
            (None, Subject::Canister(id)) => self.responsible(id).ok_or_else(|| Reject {
                code: RejectCode::DestinationInvalid,
                message: format!("No route to canister {id}"),
            }),
            (None, Subject::Subnet(id)) => {
                self.subnet_index(id).ok_or_else(|| unroutable(format!("there is no subnet {id}")))
            }
        }
    }

    /// Spec, "sender_canister_version": "its value must be equal to `ic0.canister_version`", as the message
    /// that makes the call sees it. That message has raised the version by one when its calls are sent.
    fn check_sender_version(
        &self,
        subnet: usize,
        request: &Request,
        given: Option<u64>,
    ) -> Result<(), Reject> {
        let sender = self.subnets[subnet].canister(&request.sender);
        let (Some(given), Some(sender)) = (given, sender) else { return Ok(()) };
        let seen = sender.version.saturating_sub(1);
        if given == seen {
            return Ok(());
        }
        Err(UserError::new(
            ErrorCode::CanisterContractViolation,
            format!(
                "Management canister call payload includes sender canister version {given} that does not match the \
                 actual sender canister version {seen}."
            ),
        )
        .into_reject())
    }

    /// Where a user's call goes. Errors as [`Unroutable`] says.
    pub(crate) fn route_call(&mut self, call: &UserCall) -> Result<usize, Unroutable> {
        if call.canister_id != Principal::management_canister() {
            return self.responsible(call.canister_id).ok_or_else(|| no_subnet(call.canister_id));
        }
        let subject = management::address(&call.method, &call.payload)
            .map_err(|error| Unroutable::Rejected(unparsed(&call.method, error)))?
            .subject;
        let place = match (subject, &call.effective_principal) {
            (Subject::Caller, EffectivePrincipal::Subnet(id)) => Subject::Subnet(*id),
            (Subject::Caller, EffectivePrincipal::Canister(id)) => Subject::Canister(*id),
            (subject, _) => subject,
        };
        let creates = call.method == "provisional_create_canister_with_cycles";
        match place {
            Subject::Subnet(id) => self
                .subnet_index(id)
                .ok_or_else(|| Unroutable::BadRequest(format!("Subnet with ID {id} not found"))),
            Subject::Canister(id) if creates && id == Principal::management_canister() => {
                Ok(self.default_subnet())
            }
            Subject::Canister(id) => match self.responsible(id) {
                Some(subnet) => Ok(subnet),
                None if creates => self.add_mainnet_subnet(id),
                None => Err(no_subnet(id)),
            },
            Subject::Caller if creates => Ok(self.default_subnet()),
            Subject::Caller => Err(Unroutable::BadRequest(
                "Effective principal must be specified for all calls but canister creation via the provisional \
                 management canister API."
                    .to_owned(),
            )),
        }
    }

    /// Adds the subnet that the mainnet has for a canister id, as PocketIC does where one is created with it.
    fn add_mainnet_subnet(&mut self, id: Principal) -> Result<usize, Unroutable> {
        let ordinal = self.subnets.len();
        let subnet = topology::mainnet_subnet(id, ordinal as u64, &self.rules, self.time_nanos)
            .map_err(Unroutable::BadRequest)?;
        self.subnets.push(subnet);
        Ok(ordinal)
    }
}

/// Why a user's call goes nowhere.
pub(crate) enum Unroutable {
    /// No subnet takes it: clients see HTTP 400 and this sentence.
    BadRequest(String),
    /// A subnet refuses it.
    Rejected(UserError),
}

fn no_subnet(id: Principal) -> Unroutable {
    Unroutable::BadRequest(format!("Canister {id} does not belong to any subnet."))
}

fn unparsed(method: &str, error: UserError) -> UserError {
    if error.code != ErrorCode::InvalidManagementPayload {
        return error;
    }
    UserError::new(error.code, format!("Failed to parse payload for ic00 method {method}: {error}"))
}
