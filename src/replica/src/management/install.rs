//! Code of canisters.

use super::arguments::{InstallChunkedCode, InstallCode, Mode, Persistence};
use super::call::{Answered, Call, Outcome, decode, done};
use super::chunks;
use crate::costs::limits;
use crate::error::{ErrorCode, UserError};
use crate::execution::lifecycle::{self, Install, Upload};
use crate::execution::persistence::HeapWish;
use crate::state::Request;
use crate::state::chunks::ChunkHash;
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
        module: Ok(Upload::Bytes(arg.wasm_module.into_vec().into())),
        assembly_instructions: 0,
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
    check_store(call, &arg)?;
    let module = assemble(call, &arg);
    let install = Install {
        canister_id: target,
        mode: to_mode(&arg.mode),
        module,
        // Every chunk in the list as if it had its full size (code: `instructions_to_assemble`).
        assembly_instructions: (arg.chunk_hashes_list.len() * limits::CHUNK_BYTES) as u64,
        arg: arg.arg.into_vec().into(),
        sender: call.sender,
        sender_version: arg.sender_canister_version,
    };
    run(call, &install)
}

/// Runs the installation; what takes more than one round is answered later.
fn run(call: &mut Call<'_>, install: &Install) -> Outcome {
    let installation = lifecycle::run_installation(call.instance, call.subnet, install)?;
    let preparation = installation.preparation_instructions;
    let (instructions, slice) = (installation.instructions - preparation, call.profile().limits.slice);
    call.spend(preparation + instructions.min(slice));
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

impl InstallChunkedCode {
    fn store(&self) -> Principal {
        self.store_canister.unwrap_or(self.target_canister)
    }
}

/// The owner of the chunk store must be on the same subnet, and the sender or controlled by the sender. The hash must be
/// one.
fn check_store(call: &Call<'_>, arg: &InstallChunkedCode) -> Result<(), UserError> {
    if call.sender == arg.store() {
        call.canister(arg.store())?;
    } else {
        call.controlled(arg.store())?;
    }
    if arg.wasm_module_hash.len() != ChunkHash::default().len() {
        let message = format!("Invalid wasm hash {}", hex::encode(&arg.wasm_module_hash));
        return Err(UserError::new(ErrorCode::CanisterContractViolation, message));
    }
    Ok(())
}

/// The module whose chunks are in the chunk store.
fn assemble(call: &Call<'_>, arg: &InstallChunkedCode) -> Result<Upload, UserError> {
    let store_id = arg.store();
    let modules = call.instance.runner.shared_modules();
    let store = call.canister(store_id)?;
    let (mut hashes, mut parts, mut length) = (Vec::new(), Vec::new(), 0);
    for chunk in &arg.chunk_hashes_list {
        let (hash, found) = <ChunkHash>::try_from(chunk.hash.as_slice())
            .ok()
            .and_then(|hash| store.chunk_store.get(&hash).map(|found| (hash, found.clone())))
            .ok_or_else(|| {
                chunks::refused(format!(
                    "Chunk hash {} was not found in the store of {store_id}",
                    hex::encode(&chunk.hash)
                ))
            })?;
        length += found.len();
        if length > limits::MODULE_BYTES as usize {
            return Err(chunks::refused("the chunks together exceed the size of a module".to_owned()));
        }
        hashes.push(hash);
        parts.push(found);
    }
    // A fleet is installed from the same chunks again and again.
    let (found, upload) = match modules.assembled(&hashes) {
        Some(module) => (module.hash, Upload::Known(module)),
        None => {
            let bytes = parts.concat();
            (Sha256::digest(&bytes).into(), Upload::Chunks { hashes, bytes: bytes.into() })
        }
    };
    if found.as_slice() != arg.wasm_module_hash.as_slice() {
        return Err(chunks::refused(format!(
            "Wasm module hash {} does not match given hash {}",
            hex::encode(found),
            hex::encode(&arg.wasm_module_hash)
        )));
    }
    Ok(upload)
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
