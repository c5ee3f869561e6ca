//! Canister ids and the numbers behind them.

use candid::Principal;

/// The id of the canister with that number (spec, "Textual representation of principals": class opaque).
pub(crate) fn canister_id(number: u64) -> Principal {
    let mut bytes = [1; 10];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Principal::from_slice(&bytes)
}

/// The number of a canister id, `None` for principals of another form.
pub(crate) fn canister_number(id: Principal) -> Option<u64> {
    let (number, class) = id.as_slice().split_first_chunk::<8>()?;
    (class == [1, 1]).then(|| u64::from_be_bytes(*number))
}
