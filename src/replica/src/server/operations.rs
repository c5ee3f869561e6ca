//! What the endpoints of an instance do, one function each.
use super::error::ApiError;
use super::limits::BLOB_LIMIT_BYTES;
use super::protocol::{
    AddCycles, Base64Bytes, CanisterCall, CanisterHttpRequest, CanisterId, CanisterResult,
    CanisterSnapshotDownload, CanisterSnapshotId, CanisterSnapshotUpload, Cycles, IngressStatusArgs,
    MessageReference, MockCanisterHttpResponse, PrincipalRecord, StableMemory, SubnetId, TickArgs, Timestamp,
    Topology,
};
use crate::api::IngressStatus;
use crate::error::RejectResponse;
use crate::instance::Instance;
use crate::snapshot_files::Mover;

type Outcome<T> = Result<T, ApiError>;

pub(crate) fn topology(instance: &mut Instance) -> Outcome<Topology> {
    Ok(Topology::of(instance))
}

pub(crate) fn get_time(instance: &mut Instance) -> Outcome<Timestamp> {
    Ok(Timestamp { nanos_since_epoch: instance.clock_nanos() })
}

pub(crate) fn get_canister_http(instance: &mut Instance) -> Outcome<Vec<CanisterHttpRequest>> {
    Ok(instance.outcalls().into_iter().map(CanisterHttpRequest::from).collect())
}

pub(crate) fn mock_canister_http(instance: &mut Instance, args: MockCanisterHttpResponse) -> Outcome<()> {
    let others: Vec<_> = args.additional_responses.into_iter().map(Into::into).collect();
    instance
        .answer_outcall(args.subnet_id.subnet_id.0, args.request_id, &args.response.into(), &others)
        .map_err(ApiError::bad_request)
}

pub(crate) fn download_snapshot(instance: &mut Instance, args: CanisterSnapshotDownload) -> Outcome<()> {
    let mover = Mover { sender: args.sender.principal_id.0, canister: args.canister_id.canister_id.0 };
    instance.download_snapshot(mover, &args.snapshot_id.0, &args.snapshot_dir).map_err(ApiError::bad_request)
}

pub(crate) fn upload_snapshot(
    instance: &mut Instance,
    args: CanisterSnapshotUpload,
) -> Outcome<CanisterSnapshotId> {
    let mover = Mover { sender: args.sender.principal_id.0, canister: args.canister_id.canister_id.0 };
    let replaced = args.replace_snapshot.map(|snapshot| snapshot.snapshot_id.0);
    let uploaded = instance.upload_snapshot(mover, replaced, &args.snapshot_dir);
    Ok(CanisterSnapshotId { snapshot_id: Base64Bytes(uploaded.map_err(ApiError::bad_request)?) })
}

pub(crate) fn delete_subnet(instance: &mut Instance, args: SubnetId) -> Outcome<()> {
    instance.delete_subnet(args.subnet_id.0).map_err(ApiError::bad_request)
}

pub(crate) fn get_controllers(instance: &mut Instance, args: CanisterId) -> Outcome<Vec<PrincipalRecord>> {
    let controllers = instance.controllers(args.canister_id.0).map_err(ApiError::bad_request)?;
    Ok(controllers.into_iter().map(PrincipalRecord::from).collect())
}

pub(crate) fn get_cycles(instance: &mut Instance, args: CanisterId) -> Outcome<Cycles> {
    let cycles = instance.cycles(args.canister_id.0).map_err(ApiError::bad_request)?;
    Ok(Cycles { cycles })
}

pub(crate) fn get_stable_memory(instance: &mut Instance, args: CanisterId) -> Outcome<StableMemory> {
    let id = args.canister_id.0;
    // Before anything is allocated: a stable memory may have 500 GiB.
    if instance.stable_memory_bytes(id).map_err(ApiError::bad_request)? > BLOB_LIMIT_BYTES {
        return Err(ApiError::too_large("the stable memory", BLOB_LIMIT_BYTES));
    }
    let bytes = instance.stable_memory(id).map_err(ApiError::bad_request)?;
    Ok(StableMemory { blob: Base64Bytes(bytes) })
}

/// `None` if there is no such canister.
pub(crate) fn get_subnet(instance: &mut Instance, args: CanisterId) -> Outcome<Option<SubnetId>> {
    Ok(instance.subnet_of(args.canister_id.0).map(SubnetId::from))
}

/// Plain numbers, not base64: the protocol is like that.
pub(crate) fn pub_key(instance: &mut Instance, args: SubnetId) -> Outcome<Vec<u8>> {
    let subnet = args.subnet_id.0;
    instance.public_key(subnet).ok_or_else(|| ApiError::bad_request(format!("there is no subnet {subnet}")))
}

pub(crate) fn query(instance: &mut Instance, call: CanisterCall) -> Outcome<CanisterResult> {
    refuse_sender_info(&call)?;
    let result = instance.query(call.into()).map_err(ApiError::bad_request)?;
    Ok(result.map(Base64Bytes))
}

pub(crate) fn submit(
    instance: &mut Instance,
    call: CanisterCall,
) -> Outcome<Result<MessageReference, RejectResponse>> {
    refuse_sender_info(&call)?;
    let effective_principal = call.effective_principal;
    let submitted = instance.submit(call.into()).map_err(ApiError::bad_request)?;
    Ok(submitted.map(|message_id| MessageReference { effective_principal, message_id }))
}

pub(crate) fn await_ingress(instance: &mut Instance, args: MessageReference) -> Outcome<CanisterResult> {
    let result = instance.await_ingress(&args.message_id).map_err(ApiError::bad_request)?;
    Ok(result.map(Base64Bytes))
}

/// Submits and awaits in one request, as the protocol's earlier releases did.
pub(crate) fn execute_ingress(instance: &mut Instance, call: CanisterCall) -> Outcome<CanisterResult> {
    refuse_sender_info(&call)?;
    match instance.submit(call.into()).map_err(ApiError::bad_request)? {
        Ok(message_id) => {
            let result = instance.await_ingress(&message_id).map_err(ApiError::bad_request)?;
            Ok(result.map(Base64Bytes))
        }
        Err(rejected) => Ok(Err(rejected)),
    }
}

/// `None` while the call is unknown or on its way.
pub(crate) fn ingress_status(
    instance: &mut Instance,
    args: IngressStatusArgs,
) -> Outcome<Option<CanisterResult>> {
    let caller = args.raw_caller.map(|caller| caller.principal_id.0);
    match instance.ingress_status(&args.raw_message_id.message_id, caller) {
        IngressStatus::Pending => Ok(None),
        IngressStatus::Done(result) => Ok(Some(result.map(Base64Bytes))),
        IngressStatus::Forbidden => {
            Err(ApiError::forbidden("The user tries to access Request ID not signed by the caller."))
        }
    }
}

pub(crate) fn set_time(instance: &mut Instance, time: Timestamp) -> Outcome<()> {
    instance.set_time_nanos(time.nanos_since_epoch).map_err(ApiError::bad_request)
}

/// Queries see this time at once, and not with the next round.
pub(crate) fn set_certified_time(instance: &mut Instance, time: Timestamp) -> Outcome<()> {
    instance.set_certified_time_nanos(time.nanos_since_epoch).map_err(ApiError::bad_request)
}

pub(crate) fn add_cycles(instance: &mut Instance, args: AddCycles) -> Outcome<Cycles> {
    let cycles = instance.add_cycles(args.canister_id.0, args.amount).map_err(ApiError::bad_request)?;
    Ok(Cycles { cycles })
}

pub(crate) fn tick(instance: &mut Instance, args: TickArgs) -> Outcome<()> {
    if args.names_blockmakers() {
        return Err(ApiError::unsupported(
            "a tick with blockmakers",
            "tick without them: there are no nodes",
        ));
    }
    instance.tick();
    Ok(())
}

fn refuse_sender_info(call: &CanisterCall) -> Outcome<()> {
    match call.sender_info {
        Some(_) => {
            Err(ApiError::unsupported("a call with sender_info", "call without it: canisters see none"))
        }
        None => Ok(()),
    }
}
