//! Threshold keys: there are none, and who asks for one is told so in the platform's words (code: `routing.rs`,
//! `ChainKeyError`).

use super::arguments::decode_skipping;
use candid::CandidType;
use serde::Deserialize;

#[derive(CandidType, Deserialize)]
struct OfKey<Key> {
    key_id: Key,
}

#[derive(CandidType, Deserialize)]
struct EcdsaKey {
    curve: EcdsaCurve,
    name: String,
}

#[derive(CandidType, Deserialize)]
enum EcdsaCurve {
    #[serde(rename = "secp256k1")]
    Secp256k1,
}

#[derive(CandidType, Deserialize)]
struct SchnorrKey {
    algorithm: SchnorrAlgorithm,
    name: String,
}

#[derive(CandidType, Deserialize)]
enum SchnorrAlgorithm {
    #[serde(rename = "bip340secp256k1")]
    Bip340Secp256k1,
    #[serde(rename = "ed25519")]
    Ed25519,
}

#[derive(CandidType, Deserialize)]
struct VetKdKey {
    curve: VetKdCurve,
    name: String,
}

#[derive(CandidType, Deserialize)]
enum VetKdCurve {
    #[serde(rename = "bls12_381_g2")]
    Bls12381G2,
}

/// Why a call that needs a key goes nowhere; `None` for all other calls, and for arguments that name no key.
pub(crate) fn unknown_key(method: &str, payload: &[u8]) -> Option<String> {
    let key = match method {
        "ecdsa_public_key" | "sign_with_ecdsa" => {
            let EcdsaKey { curve: EcdsaCurve::Secp256k1, name } = of_key(payload)?;
            format!("ecdsa:Secp256k1:{name}")
        }
        "schnorr_public_key" | "sign_with_schnorr" => {
            let key: SchnorrKey = of_key(payload)?;
            let algorithm = match key.algorithm {
                SchnorrAlgorithm::Bip340Secp256k1 => "Bip340Secp256k1",
                SchnorrAlgorithm::Ed25519 => "Ed25519",
            };
            format!("schnorr:{algorithm}:{}", key.name)
        }
        "vetkd_public_key" | "vetkd_derive_key" => {
            let VetKdKey { curve: VetKdCurve::Bls12381G2, name } = of_key(payload)?;
            format!("vetkd:Bls12_381_G2:{name}")
        }
        _ => return None,
    };
    let text = if method.ends_with("public_key") {
        format!("Requested unknown threshold key: {key}, existing keys: []")
    } else {
        format!("Requested unknown or disabled threshold key: {key}, existing enabled keys: []")
    };
    Some(format!("ChainKeyError({text:?}). This replica has no threshold keys: {INSTEAD}"))
}

/// What to do instead of asking for one.
pub(super) const INSTEAD: &str = "let the canister call another one that signs in the test";

fn of_key<Key: CandidType + serde::de::DeserializeOwned>(payload: &[u8]) -> Option<Key> {
    decode_skipping::<OfKey<Key>>(payload).ok().map(|arg| arg.key_id)
}
