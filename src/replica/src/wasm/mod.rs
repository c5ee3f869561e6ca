//! From the bytes that a user uploads to a module that can be run: decode, check, transform, compile.

pub(crate) mod complexity;
pub(crate) mod decode;
pub(crate) mod inspect;
mod kept;
pub(crate) mod module;
pub(crate) mod transform;

pub use module::Compilation;
pub(crate) use module::{Module, ModuleCache, WasmError};
