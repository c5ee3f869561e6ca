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
use std::mem::MaybeUninit;
use table::Function;
use wasmtime::{Caller, Engine, FuncType, Linker, ValRaw, ValType};

/// A linker with every function, for heaps of one address width.
pub(crate) fn linker(engine: &Engine, is_wasm64: bool) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    for function in table::functions(is_wasm64) {
        define(&mut linker, engine, function, is_wasm64)?;
    }
    Ok(linker)
}

/// Values come and go as wasm has them: canisters read and write stable memory in small pieces, and checked values cost
/// more than that.
#[expect(unsafe_code, reason = "the types of raw values are the function's own")]
fn define(
    linker: &mut Linker<Host>,
    engine: &Engine,
    function: &'static Function,
    is_wasm64: bool,
) -> wasmtime::Result<()> {
    let (params, results) = function.signature(is_wasm64);
    let ty = FuncType::new(engine, params.iter().map(to_wasmtime), results.iter().map(to_wasmtime));
    let run = move |caller: Caller<'_, Host>, values: &mut [MaybeUninit<ValRaw>]| {
        let mut args = [0; call::MAX_ARGS];
        for ((arg, value), ty) in args.iter_mut().zip(&*values).zip(&params) {
            // SAFETY: there is a value for each parameter.
            let value = unsafe { value.assume_init_ref() };
            *arg = if is_64_bits(ty) { value.get_u64() } else { value.get_u32().into() };
        }
        let mut call = Call { caller, args, function };
        call.enter()?;
        let value = (function.run)(&mut call)?;
        if let (Some(place), Some(ty)) = (values.first_mut(), results.first()) {
            place.write(if is_64_bits(ty) { ValRaw::u64(value) } else { ValRaw::u32(value as u32) });
        }
        Ok(())
    };
    // SAFETY: it reads the parameters of the type and writes its result, of these kinds.
    unsafe { linker.func_new_unchecked("ic0", function.name, ty, run)? };
    Ok(())
}

fn is_64_bits(ty: &wasmparser::ValType) -> bool {
    *ty == wasmparser::ValType::I64
}

fn to_wasmtime(ty: &wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I64 => ValType::I64,
        _ => ValType::I32,
    }
}
