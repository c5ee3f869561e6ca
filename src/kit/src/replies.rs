//! Replies of others, decoded: the only place that does, for the coordinator too. A canister may answer anything, so a reply
//! has a size that is accepted and an amount of work that is spent on it: a dozen bytes can say "four billion of nothing".

use candid::{CandidType, DecoderConfig};
use ic_cdk::call::Response;
use serde::de::DeserializeOwned;

/// Bytes of a reply that tells something.
pub const TOLD_BYTES: usize = 128 << 10;
/// Bytes of a reply that carries data: of a snapshot (spec: 2,000,000 a slice), or frames of a source; and what is around
/// them.
pub const DATA_BYTES: usize = (2 << 20) + 1_024;
/// Work on what is not used: fields that newer canisters add, globals of a snapshot.
const SKIPPED: usize = 100_000;

/// What a reply says that carries no data.
///
/// # Errors
/// Why it says nothing.
pub fn told<R: CandidType + DeserializeOwned>(response: Response) -> Result<R, String> {
    decoded(&response.into_bytes(), TOLD_BYTES)
}

/// What a reply of at most so many bytes says.
///
/// # Errors
/// Why it says nothing.
pub fn decoded<R: CandidType + DeserializeOwned>(reply: &[u8], max_bytes: usize) -> Result<R, String> {
    if reply.len() > max_bytes {
        return Err(format!("a reply of {} bytes, and {max_bytes} are accepted", reply.len()));
    }
    let mut config = DecoderConfig::new();
    // Candid's costs: some ten for each byte of small values, and fifty times as much for what is skipped.
    config.set_decoding_quota(max_bytes * 10 + SKIPPED * 50).set_skipping_quota(SKIPPED);
    config.set_full_error_message(false);
    candid::utils::decode_one_with_config(reply, &config).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::Principal;
    use serde::Deserialize;
    use serde_bytes::ByteBuf;

    #[derive(Debug, PartialEq, CandidType, Deserialize)]
    struct Told {
        names: Vec<String>,
    }

    /// `(record { names = vec {} }, vec null)` with as many nulls as a number can say.
    fn with_nulls(head: &[u8]) -> Vec<u8> {
        let mut bytes = head.to_vec();
        bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
        bytes
    }

    #[test]
    fn four_billion_of_nothing_cost_next_to_nothing() {
        // One argument of type vec null, where a record is expected and where a vector is.
        let alone = with_nulls(b"DIDL\x01\x6d\x7f\x01\x00");
        assert!(decoded::<Told>(&alone, TOLD_BYTES).is_err());
        assert!(decoded::<Vec<()>>(&alone, TOLD_BYTES).is_err());
        // Behind what is asked for.
        let behind = with_nulls(b"DIDL\x01\x6d\x7f\x02\x7d\x00\x05");
        assert!(decoded::<candid::Nat>(&behind, TOLD_BYTES).is_err(), "unbounded, it would be passed over");
    }

    #[test]
    fn a_reply_that_is_too_large_is_not_looked_into() {
        let long = candid::encode_one("x".repeat(TOLD_BYTES)).expect("text encodes");
        assert!(decoded::<String>(&long, TOLD_BYTES).is_err_and(|why| why.contains("accepted")));
    }

    #[test]
    fn what_is_as_large_as_it_may_be_is_read() {
        let slice = ByteBuf::from(vec![7; 2_000_000]);
        let bytes = candid::encode_one(&slice).expect("bytes encode");
        assert_eq!(decoded::<ByteBuf>(&bytes, DATA_BYTES), Ok(slice));
        let told = Told { names: vec!["a".repeat(20); 5_000] };
        let bytes = candid::encode_one(&told).expect("it encodes");
        assert_eq!(decoded::<Told>(&bytes, TOLD_BYTES), Ok(told));
        let many = vec![Principal::from_slice(&[1; 29]); 3_000];
        let bytes = candid::encode_one(&many).expect("they encode");
        assert_eq!(decoded::<Vec<Principal>>(&bytes, TOLD_BYTES), Ok(many));
    }

    #[test]
    fn fields_that_a_newer_canister_adds_are_passed_over() {
        #[derive(CandidType)]
        struct Newer {
            names: Vec<String>,
            added: Vec<u64>,
            more: Option<String>,
        }
        let newer = Newer { names: vec!["a".to_owned()], added: vec![1; 100], more: Some("b".repeat(900)) };
        let bytes = candid::encode_one(&newer).expect("it encodes");
        assert_eq!(decoded::<Told>(&bytes, TOLD_BYTES), Ok(Told { names: vec!["a".to_owned()] }));
    }
}
