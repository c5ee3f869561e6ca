//! Candid as people write it, read by its own grammar and held against types, with the line of whatever is wrong.
//!
//! The crate `candid_parser` reads whole interfaces too, and brings a parser generator that takes longer to build than
//! this command; values alone are a small grammar. Numbers get their type from what is expected, or from an annotation
//! such as `5 : nat64`; without either they are `int`, as the specification has it.

mod read;
#[cfg(test)]
mod tests;
mod typed;

use candid::types::value::{IDLArgs, IDLValue};
use candid::types::{Label, Type, TypeEnv};
use candid::{CandidType, Principal};
use serde::de::DeserializeOwned;
use std::fmt;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// What.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Wrong {}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    line: usize,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Null,
    Bool(bool),
    Text(String),
    Number(String),
    Blob(Vec<u8>),
    Principal(Principal),
    Opt(Box<Node>),
    Vec(Vec<Node>),
    Record(Vec<(Label, Node)>),
    Variant(Label, Box<Node>),
    /// With the name of its type.
    Typed(Box<Node>, String),
}

/// The values in parentheses that a text holds.
///
/// # Errors
/// It is no such text.
pub fn read(text: &str) -> Result<Vec<Node>, Wrong> {
    read::arguments(text)
}

/// The one value in parentheses that a text holds, as what is expected.
///
/// # Errors
/// It is no such text, or something else.
pub fn read_as<T: CandidType + DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    let values = read(text)?;
    match values.as_slice() {
        [value] => value.to(),
        several => {
            Err(Wrong { line: 1, what: format!("one value in parentheses is needed, not {}", several.len()) })
        }
    }
}

/// Arguments of a call, encoded by what stands there.
///
/// # Errors
/// It is no such text.
pub fn encode(text: &str) -> Result<Vec<u8>, Wrong> {
    let values = read(text)?;
    let args = values.iter().map(typed::untyped).collect::<Result<_, _>>()?;
    IDLArgs { args }.to_bytes().map_err(|error| Wrong { line: 1, what: error.to_string() })
}

/// What somebody answered, or its bytes if that is no Candid.
pub fn show(bytes: &[u8]) -> String {
    match IDLArgs::from_bytes(bytes) {
        Ok(args) => args.to_string(),
        Err(_) => format!("bytes {}", hex::encode(bytes)),
    }
}

/// A value as Candid text, with the names of its fields.
///
/// # Errors
/// It can't be encoded.
pub fn write(value: &impl CandidType) -> candid::Result<String> {
    Ok(IDLArgs { args: vec![IDLValue::try_from_candid_type(value)?] }.to_string())
}

impl Node {
    /// The value as what is expected.
    ///
    /// # Errors
    /// It is something else: a field that is not there, or is missing, a number that is too large.
    pub fn to<T: CandidType + DeserializeOwned>(&self) -> Result<T, Wrong> {
        let expected = T::ty();
        let args = IDLArgs { args: vec![typed::typed(self, &expected)?] };
        let wrong = |error: candid::Error| self.wrong(error.to_string());
        let bytes = args.to_bytes_with_types(&TypeEnv::new(), &[expected]).map_err(wrong)?;
        candid::decode_one(&bytes).map_err(wrong)
    }

    fn wrong(&self, what: impl Into<String>) -> Wrong {
        Wrong { line: self.line, what: what.into() }
    }

    fn is_not(&self, expected: &Type) -> Wrong {
        let is = match &self.shape {
            Shape::Null => "null",
            Shape::Bool(_) => "a bool",
            Shape::Text(_) => "a text",
            Shape::Number(_) => "a number",
            Shape::Blob(_) => "a blob",
            Shape::Principal(_) => "a principal",
            Shape::Opt(_) => "an opt",
            Shape::Vec(_) => "a vec",
            Shape::Record(_) => "a record",
            Shape::Variant(..) => "a variant",
            Shape::Typed(_, kind) => return self.wrong(format!("{kind} where {expected} is expected")),
        };
        self.wrong(format!("{is} where {expected} is expected"))
    }
}
