//! The JSON of the protocol, as the client writes and reads it.
use super::bytes::PrincipalBytes;
use super::calls::EffectivePrincipal;
use super::*;
use crate::error::{ErrorCode, RejectResponse, UserError};
use crate::instance;
use candid::Principal;
use serde_json::json;

fn parse<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> Result<T, String> {
    // By way of text, as it arrives.
    serde_json::from_str(&json.to_string()).map_err(|error| error.to_string())
}

#[test]
fn a_call_is_parsed() {
    let call: CanisterCall = parse(json!({
        "sender": "BA==",
        "canister_id": "AAAAAAAAAAEBAQ==",
        "effective_principal": {"CanisterId": "AAAAAAAAAAEBAQ=="},
        "method": "greet",
        "payload": "RElETAAA",
    }))
    .unwrap();
    assert!(call.sender_info.is_none());
    let call = instance::UserCall::from(call);
    assert_eq!(call.sender, Principal::anonymous());
    assert_eq!(call.canister_id.to_text(), "rrkah-fqaaa-aaaaa-aaaaq-cai");
    assert_eq!(call.effective_principal, instance::EffectivePrincipal::Canister(call.canister_id));
    assert_eq!((call.method.as_str(), call.payload.as_slice()), ("greet", b"DIDL\0\0".as_slice()));
}

#[test]
fn a_call_to_any_subnet_has_no_effective_principal() {
    assert_eq!(parse::<EffectivePrincipal>(json!("None")), Ok(EffectivePrincipal::None));
    let subnet: EffectivePrincipal = parse(json!({"SubnetId": "AQI="})).unwrap();
    assert_eq!(
        instance::EffectivePrincipal::from(subnet),
        instance::EffectivePrincipal::Subnet(Principal::from_slice(&[1, 2]))
    );
}

#[test]
fn a_principal_has_at_most_29_bytes() {
    let of_length = |length: usize| serde_json::to_value(Base64Bytes(vec![1; length])).unwrap();
    assert!(parse::<PrincipalBytes>(of_length(0)).is_ok());
    assert!(parse::<PrincipalBytes>(of_length(29)).is_ok());
    assert!(parse::<PrincipalBytes>(of_length(30)).unwrap_err().contains("a principal of 30 bytes"));
}

#[test]
fn bytes_that_are_not_base64_are_refused() {
    for bad in [json!("A"), json!("AB=="), json!("a b="), json!([1, 2]), json!(null)] {
        assert!(parse::<Base64Bytes>(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn all_bytes_survive_the_way_to_base64_and_back() {
    for length in [0, 1, 2, 3, 255, 100_000] {
        let bytes = Base64Bytes((0..length).map(|index| index as u8).collect());
        assert_eq!(parse::<Base64Bytes>(serde_json::to_value(&bytes).unwrap()), Ok(bytes));
    }
}

#[test]
fn a_message_id_has_32_bytes() {
    let reference = MessageReference { effective_principal: EffectivePrincipal::None, message_id: [7; 32] };
    assert_eq!(parse::<MessageReference>(serde_json::to_value(&reference).unwrap()), Ok(reference));
    let short = parse::<MessageReference>(json!({"effective_principal": "None", "message_id": "AAAA"}));
    assert!(short.unwrap_err().contains("a message id of 3 bytes, not 32"));
}

#[test]
fn cycles_may_exceed_64_bits() {
    let text = format!(r#"{{"canister_id":"AQ==","amount":{}}}"#, u128::MAX);
    assert_eq!(serde_json::from_str::<AddCycles>(&text).unwrap().amount, u128::MAX);
    let answer = serde_json::to_string(&Cycles { cycles: u128::MAX }).unwrap();
    assert_eq!(answer, format!(r#"{{"cycles":{}}}"#, u128::MAX));
}

#[test]
fn results_of_calls_are_ok_or_err() {
    let reply: CanisterResult = Ok(Base64Bytes(b"DIDL".to_vec()));
    assert_eq!(serde_json::to_value(reply).unwrap(), json!({"Ok": "RElETA=="}));
    let error = UserError::new(ErrorCode::CanisterNotFound, "Canister x not found");
    let reject: CanisterResult = Err(RejectResponse::from_error(error, true));
    assert_eq!(
        serde_json::to_value(Some(reject)).unwrap(),
        json!({"Err": {
            "reject_code": "DestinationInvalid",
            "reject_message": "Canister x not found",
            "error_code": "CanisterNotFound",
            "certified": true,
        }})
    );
}

#[test]
fn the_status_of_a_call_is_asked_for_with_or_without_a_caller() {
    let id = serde_json::to_value(MessageReference {
        effective_principal: EffectivePrincipal::None,
        message_id: [7; 32],
    })
    .unwrap();
    let anybody: IngressStatusArgs = parse(json!({"raw_message_id": id, "raw_caller": null})).unwrap();
    assert_eq!(anybody.raw_caller, None);
    let somebody: IngressStatusArgs =
        parse(json!({"raw_message_id": id, "raw_caller": {"principal_id": "BA=="}})).unwrap();
    assert_eq!(somebody.raw_caller, Some(Principal::anonymous().into()));
}

#[test]
fn a_tick_is_a_record_or_an_empty_string() {
    for (json, names_blockmakers) in [
        (json!({"blockmakers": null}), false),
        (json!({"blockmakers": []}), false),
        (json!({"blockmakers": [{"subnet": {}}]}), true),
        (json!({}), false),
        (json!(""), false),
        (json!(null), false),
    ] {
        let args: TickArgs = parse(json.clone()).unwrap();
        assert_eq!(args.names_blockmakers(), names_blockmakers, "{json}");
    }
    assert!(parse::<TickArgs>(json!(7)).is_err());
}
