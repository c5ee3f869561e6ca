//! Bytes as the protocol writes them: base64 text.
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use base64::prelude::*;
use candid::Principal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base64Bytes(pub(crate) Vec<u8>);

impl Serialize for Base64Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Not by way of a `String`: a stable memory is too large to hold it once more than needed.
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for Base64Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Base64Bytes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string in base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64Bytes, E> {
                BASE64_STANDARD
                    .decode(text)
                    .map(Base64Bytes)
                    .map_err(|error| E::custom(format!("bad base64: {error}")))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// The bytes of a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PrincipalBytes(pub(crate) Principal);

impl Serialize for PrincipalBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0.as_slice(), &STANDARD))
    }
}

impl<'de> Deserialize<'de> for PrincipalBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Base64Bytes(bytes) = Base64Bytes::deserialize(deserializer)?;
        Principal::try_from_slice(&bytes).map(Self).map_err(|_| {
            de::Error::custom(format!(
                "a principal of {} bytes, at most {} are allowed",
                bytes.len(),
                Principal::MAX_LENGTH_IN_BYTES
            ))
        })
    }
}
