//! What may be paid out, and what voters read of it.

use candid::Principal;
use decant_api::govern::Decision;
use decant_api::payout::{Payee, Payout};
use decant_words::check;
use serde_bytes::ByteBuf;

const CANISTER: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 5, 1, 1]);

fn account(owner: Principal, subaccount: Option<Vec<u8>>) -> Payout {
    let subaccount = subaccount.map(ByteBuf::from);
    Payout { cycles: 7, to: Payee::Account { ledger: CANISTER, owner, subaccount } }
}

fn text(payout: &Payout) -> String {
    decant_words::text(&Decision::Pay(payout.clone()), None)
}

#[test]
fn voters_read_how_much_goes_where() {
    let payout = Payout { cycles: 7, to: Payee::Canister(CANISTER) };
    assert_eq!(check(&Decision::Pay(payout.clone())), Ok(()));
    assert!(text(&payout).contains(&format!("7 cycles of the coordinator go to the canister {CANISTER}")));
    let payout = account(Principal::management_canister(), Some(vec![9; 32]));
    assert_eq!(check(&Decision::Pay(payout.clone())), Ok(()));
    let shown = text(&payout);
    assert!(shown.contains(&"09".repeat(32)) && shown.contains(&CANISTER.to_string()), "{shown}");
    assert!(shown.contains("can be neither stopped nor upgraded"), "no ledger that is known: {shown}");
    let ledger = Principal::from_text("um5iw-rqaaa-aaaaq-qaaba-cai").expect("an id");
    let to = Payee::Account { ledger, owner: CANISTER, subaccount: None };
    let shown = text(&Payout { cycles: 7, to });
    assert!(shown.contains(&ledger.to_string()) && shown.ends_with("cannot be undone."), "{shown}");
}

#[test]
fn nothing_goes_to_nobody() {
    let person = Principal::self_authenticating(b"a person");
    let refused = [
        Payout { cycles: 0, to: Payee::Canister(CANISTER) },
        Payout { cycles: 7, to: Payee::Canister(person) },
        Payout { cycles: 7, to: Payee::Canister(Principal::management_canister()) },
        account(Principal::anonymous(), None),
        account(person, Some(vec![9; 31])),
    ];
    for payout in refused {
        assert!(check(&Decision::Pay(payout.clone())).is_err(), "{payout:?}");
    }
}
