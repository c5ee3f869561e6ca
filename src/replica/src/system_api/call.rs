//! One call of the system API: its arguments, its charge, and access to the heap.

use super::host::{Host, HostError};
use super::table::Function;
use wasmtime::Caller;

/// Most parameters that a function has.
pub(crate) const MAX_ARGS: usize = 8;

/// Instructions of the wasm operator `call` (code: `instruction_to_cost`).
const CALL_OPERATOR: u64 = 5;

/// What a body answers: the result, 0 where there is none.
pub(crate) type Outcome = Result<u64, HostError>;

/// One call.
pub(crate) struct Call<'a> {
    pub(crate) caller: Caller<'a, Host>,
    pub(crate) args: [u64; MAX_ARGS],
    pub(crate) function: &'static Function,
}

impl Call<'_> {
    /// Charges the call and checks that it is allowed where it is made.
    pub(crate) fn enter(&mut self) -> Result<(), HostError> {
        let bytes = self.function.bytes.map_or(0, |(index, factor)| self.args[index].saturating_mul(factor));
        self.charge(self.function.overhead.saturating_add(bytes))?;
        let context = self.host().env.context;
        if self.function.contexts & context.bit() == 0 {
            return Err(HostError::ContractViolation(format!(
                "\"ic0_{}\" cannot be executed in {context:?} mode",
                self.function.name
            )));
        }
        Ok(())
    }

    /// The data of the store.
    pub(crate) fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    /// Takes instructions from the message.
    pub(crate) fn charge(&mut self, instructions: u64) -> Result<(), HostError> {
        let left = self.caller.get_fuel().unwrap_or(0);
        let is_enough = instructions <= left;
        let rest = left.saturating_sub(instructions);
        self.caller.set_fuel(rest).map_err(|error| HostError::Engine(error.to_string()))?;
        if is_enough { Ok(()) } else { Err(HostError::OutOfInstructions(self.host().env.instruction_limit)) }
    }

    /// Instructions that the message used so far.
    pub(crate) fn instructions_used(&mut self) -> u64 {
        let left = self.caller.get_fuel().unwrap_or(0);
        let host = self.host();
        // The compiler counts the call itself when it returns.
        host.env.instruction_limit.saturating_sub(left) + host.extra_instructions + CALL_OPERATOR
    }

    /// An error against the contract of this function.
    pub(crate) fn violation(&self, what: impl std::fmt::Display) -> HostError {
        HostError::ContractViolation(format!("ic0.{}: {what}", self.function.name))
    }

    /// Bytes of the heap.
    pub(crate) fn load(&mut self, source: u64, size: u64) -> Result<Vec<u8>, HostError> {
        if size == 0 {
            return Ok(Vec::new());
        }
        let region = self.region()?;
        usize::try_from(size)
            .ok()
            .and_then(|size| region.read(source, size, <[u8]>::to_vec))
            .ok_or_else(|| self.out_of_heap("src", source, size))
    }

    /// Whether `size` bytes at `source` lie within the heap.
    pub(crate) fn is_in_heap(&mut self, source: u64, size: u64) -> bool {
        let heap_bytes = self.host().region.as_ref().map_or(0, |region| region.size_bytes() as u64);
        size == 0 || source.checked_add(size).is_some_and(|end| end <= heap_bytes)
    }

    /// Writes bytes into the heap.
    pub(crate) fn store(&mut self, target: u64, bytes: &[u8]) -> Result<(), HostError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let region = self.region()?;
        let stored = region.write(target, bytes.len(), |place| place.copy_from_slice(bytes));
        stored.ok_or_else(|| self.out_of_heap("dst", target, bytes.len() as u64))
    }

    /// The `ic0.*_copy` pattern: arguments 0 to 2 are target, offset and size of a copy out of `bytes`.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Outcome {
        let [target, offset, size, ..] = self.args;
        self.copy_slice(bytes, target, offset, size)
    }

    /// Copies `size` bytes of `bytes` from `offset` on to `target`.
    pub(crate) fn copy_slice(&mut self, bytes: &[u8], target: u64, offset: u64, size: u64) -> Outcome {
        let end = offset.checked_add(size).filter(|end| *end <= bytes.len() as u64).ok_or_else(|| {
            self.violation(format_args!(
                "offset {offset} + size {size} exceeds the slice size {}",
                bytes.len()
            ))
        })?;
        self.store(target, &bytes[offset as usize..end as usize])?;
        Ok(0)
    }

    /// Writes a 128-bit number.
    pub(crate) fn store_u128(&mut self, target: u64, value: u128) -> Outcome {
        self.store(target, &value.to_le_bytes())?;
        Ok(0)
    }

    /// The heap.
    pub(super) fn region(&mut self) -> Result<std::sync::Arc<crate::memory::region::Region>, HostError> {
        self.host()
            .region
            .clone()
            .ok_or_else(|| HostError::ContractViolation("WebAssembly module must define memory".to_owned()))
    }

    /// An address that is none.
    pub(super) fn out_of_heap(&self, what: &str, address: u64, size: u64) -> HostError {
        self.violation(format_args!("{what} {address} + size {size} lies outside of the heap"))
    }
}
