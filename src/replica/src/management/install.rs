//! Code of canisters.

use super::access;
use super::arguments::{InstallChunkedCode, InstallCode, Mode, Persistence};
use super::call::{Answered, Call, Outcome, decode, done};
use crate::costs::limits;
use crate::error::{ErrorCode, UserError};
use crate::execution::lifecycle::{self, Install, Upload};
use crate::execution::persistence::HeapWish;
use crate::state::Request;
use crate::state::history::ChangeKind;
use crate::state::long::{Long, Work};
use candid::{CandidType, Principal};
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub(super) fn install_code(call: &mut Call<'_>) -> Outcome {
    let arg: InstallCode = decode(call)?;
    call.controlled(arg.canister_id)?;
    let install = Install {
        canister_id: arg.canister_id,
        mode: to_mode(&arg.mode),
        module: Upload::Bytes(arg.wasm_module.into_vec().into()),
        arg: arg.arg.into_vec().into(),
        sender: call.sender,
        sender_version: arg.sender_canister_version,
    };
    run(call, &install)
}

pub(super) fn install_chunked_code(call: &mut Call<'_>) -> Outcome {
    let arg: InstallChunkedCode = decode(call)?;
    let target = arg.target_canister;
    call.controlled(target)?;
    let module = assemble(call, &arg)?;
    let install = Install {
        canister_id: target,
        mode: to_mode(&arg.mode),
        module,
        arg: arg.arg.into_vec().into(),
        sender: call.sender,
        sender_version: arg.sender_canister_version,
    };
    run(call, &install)
}

/// Runs the installation; what takes more than one round is answered later.
fn run(call: &mut Call<'_>, install: &Install) -> Outcome {
    let installation = lifecycle::run_installation(call.instance, call.subnet, install)?;
    let (instructions, slice) = (installation.instructions, call.profile().limits.slice);
    call.spend(instructions.min(slice));
    if instructions <= slice {
        lifecycle::end_installation(call.instance, call.subnet, installation)?;
        return done();
    }
    let request = Request { cycles: *call.cycles, ..call.request.clone() };
    let long = Long::begin(instructions, slice, Work::Installation(Box::new((installation, request))));
    call.instance.subnets[call.subnet].installing = Some(install.canister_id);
    call.canister_mut(install.canister_id)?.long = Some(Box::new(long));
    Ok(Answered::Later)
}

/// The module whose chunks are in a chunk store of the same subnet. The store's owner must be controlled by
/// the sender, or be the sender.
fn assemble(call: &mut Call<'_>, arg: &InstallChunkedCode) -> Result<Upload, UserError> {
    let store_id = arg.store_canister.unwrap_or(arg.target_canister);
    let sender = call.sender;
    let method = call.request.method.clone();
    let modules = call.instance.runner.shared_modules();
    let store = call.canister(store_id)?;
    if store_id != sender && !store.is_controller(&sender) {
        return Err(access::not_controller(store, sender, &method));
    }
    let (mut hashes, mut chunks, mut length) = (Vec::new(), Vec::new(), 0);
    for chunk in &arg.chunk_hashes_list {
        let (hash, found) = <[u8; 32]>::try_from(chunk.hash.as_slice())
            .ok()
            .and_then(|hash| store.chunk_store.get(&hash).map(|found| (hash, found.clone())))
            .ok_or_else(|| {
                chunk_error(format!(
                    "Chunk hash {} was not found in the store of {store_id}",
                    hex::encode(&chunk.hash)
                ))
            })?;
        length += found.len();
        if length > limits::MODULE_BYTES as usize {
            return Err(chunk_error("the chunks together exceed the size of a module".to_owned()));
        }
        hashes.push(hash);
        chunks.push(found);
    }
    // A fleet is installed from the same chunks again and again.
    let (found, upload) = match modules.assembled(&hashes) {
        Some(module) => (module.hash, Upload::Known(module)),
        None => {
            let bytes = chunks.concat();
            (Sha256::digest(&bytes).into(), Upload::Chunks { hashes, bytes: bytes.into() })
        }
    };
    if found.as_slice() != arg.wasm_module_hash.as_slice() {
        return Err(chunk_error(format!(
            "Wasm module hash {} does not match given hash {}",
            hex::encode(found),
            hex::encode(&arg.wasm_module_hash)
        )));
    }
    Ok(upload)
}

fn chunk_error(message: String) -> UserError {
    UserError::new(ErrorCode::CanisterContractViolation, format!("Error from Wasm chunk store: {message}."))
}

fn to_mode(mode: &Mode) -> lifecycle::Mode {
    match mode {
        Mode::Install => lifecycle::Mode::Install,
        Mode::Reinstall => lifecycle::Mode::Reinstall,
        Mode::Upgrade(flags) => lifecycle::Mode::Upgrade {
            skip_pre_upgrade: flags.as_ref().and_then(|flags| flags.skip_pre_upgrade).unwrap_or(false),
            heap: match flags.as_ref().and_then(|flags| flags.wasm_memory_persistence.as_ref()) {
                None => HeapWish::Unsaid,
                Some(Persistence::Keep) => HeapWish::Keep,
                Some(Persistence::Replace) => HeapWish::Replace,
            },
        },
    }
}

pub(super) fn uninstall_code(call: &mut Call<'_>) -> Outcome {
    #[derive(CandidType, Deserialize)]
    struct Arg {
        canister_id: Principal,
        sender_canister_version: Option<u64>,
    }
    let arg: Arg = decode(call)?;
    call.controlled(arg.canister_id)?;
    lifecycle::uninstall(call.instance, call.subnet, arg.canister_id);
    let author = call.author(arg.sender_canister_version);
    call.canister_mut(arg.canister_id)?.record(author, ChangeKind::CodeUninstall);
    done()
}
