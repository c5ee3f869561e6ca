//! The system API: the functions of module `ic0` that canisters import.
//!
//! [`table`] lists them as the interface specification does (name, types, where they may be called) with
//! what the platform charges; [`functions`] has their bodies; [`host`] is what a message reads and the
//! effects that it has until it is committed.

pub(crate) mod call;
pub(crate) mod functions;
pub(crate) mod host;
pub(crate) mod memory;
pub(crate) mod table;

pub(crate) use host::Host;

use call::Call;
use wasmtime::{Engine, FuncType, Linker, Val, ValType};

/// A linker with every function, for heaps of one address width.
pub(crate) fn linker(engine: &Engine, is_wasm64: bool) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    for function in table::functions(is_wasm64) {
        let (params, results) = function.signature(is_wasm64);
        let ty = FuncType::new(engine, params.iter().map(to_wasmtime), results.iter().map(to_wasmtime));
        linker.func_new("ic0", function.name, ty, move |caller, params, results| {
            let mut args = [0; call::MAX_ARGS];
            for (arg, value) in args.iter_mut().zip(params) {
                *arg = match value {
                    Val::I32(value) => u64::from(*value as u32),
                    Val::I64(value) => *value as u64,
                    _ => 0,
                };
            }
            let mut call = Call { caller, args, function };
            call.enter()?;
            let value = (function.run)(&mut call)?;
            if let (Some(result), Some(ty)) = (results.first_mut(), function.result) {
                let is_64_bits = matches!((ty, is_wasm64), (table::Ty::I64, _) | (table::Ty::I, true));
                *result = if is_64_bits { Val::I64(value as i64) } else { Val::I32(value as i32) };
            }
            Ok(())
        })?;
    }
    Ok(linker)
}

fn to_wasmtime(ty: &wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I64 => ValType::I64,
        _ => ValType::I32,
    }
}
