use super::*;

fn id(number: u8) -> Principal {
    Principal::from_slice(&[number, 1])
}

fn one_route() -> Routes<String> {
    let mut routes = Routes::default();
    routes.register("ada".to_owned(), id(1)).expect("it is free");
    routes
}

#[test]
fn a_swap_moves_the_route_and_old_ids_keep_resolving() {
    let mut routes = one_route();
    for to in 2..=9 {
        routes.swap(id(to - 1), id(to)).expect("it names the former");
        for old in 1..=to {
            assert_eq!(routes.resolve(id(old)), Some(id(to)));
        }
    }
    assert_eq!(routes.canister_of(&"ada".to_owned()), Some(id(9)));
    assert_eq!(routes.old_ids().count(), 8);
    assert_eq!(routes.resolve(id(77)), None);
}

#[test]
fn a_repeated_swap_changes_nothing() {
    let mut routes = one_route();
    routes.swap(id(1), id(2)).expect("it names it");
    let before = routes.clone();
    assert_eq!(routes.swap(id(1), id(2)), Ok(()));
    assert_eq!(routes, before);
}

#[test]
fn a_swap_can_be_taken_back_and_done_again() {
    let mut routes = one_route();
    routes.swap(id(1), id(2)).expect("it names it");
    routes.swap(id(2), id(1)).expect("it names it");
    assert_eq!(routes.resolve(id(2)), Some(id(1)));
    assert_eq!(routes.swap(id(2), id(1)), Ok(()), "so can its repetition");
    routes.swap(id(1), id(2)).expect("it names it");
    assert_eq!(routes.resolve(id(1)), Some(id(2)));
}

#[test]
fn a_swap_of_a_route_that_names_another_canister_is_a_conflict() {
    let mut routes = one_route();
    routes.swap(id(1), id(2)).expect("it names it");
    let before = routes.clone();
    assert_eq!(routes.swap(id(1), id(3)), Err(SwapError::Conflict { from: id(1), found: id(2) }));
    assert_eq!(routes.swap(id(8), id(3)), Err(SwapError::UnknownRoute { from: id(8) }));
    assert_eq!(routes, before);
}

#[test]
fn two_keys_never_get_the_same_canister() {
    let mut routes = one_route();
    routes.register("bob".to_owned(), id(5)).expect("it is free");
    let before = routes.clone();
    assert_eq!(routes.swap(id(1), id(5)), Err(SwapError::Conflict { from: id(5), found: id(5) }));
    assert_eq!(
        routes.register("eve".to_owned(), id(1)),
        Err(SwapError::Conflict { from: id(1), found: id(1) })
    );
    assert_eq!(
        routes.register("bob".to_owned(), id(6)),
        Err(SwapError::Conflict { from: id(6), found: id(5) })
    );
    assert_eq!(routes.register("bob".to_owned(), id(5)), Ok(()));
    assert_eq!(routes, before);
}

/// Ada's canister is 2; bob's is 5, and to be what was ada's, 1.
fn recycled() -> Routes<String> {
    let mut routes = one_route();
    routes.swap(id(1), id(2)).expect("it names it");
    routes.register("bob".to_owned(), id(5)).expect("it is free");
    routes.swap_recycled(id(5), id(1)).expect("nothing of ada's is left in it");
    routes
}

#[test]
fn an_id_that_is_given_to_another_user_leads_nobody_to_either_of_them() {
    let mut routes = recycled();
    assert_eq!(routes.canister_of(&"ada".to_owned()), Some(id(2)));
    assert_eq!(routes.canister_of(&"bob".to_owned()), Some(id(1)));
    assert_eq!((routes.resolve(id(1)), routes.changed_owner(id(1))), (None, true), "whose is it?");
    assert_eq!((routes.resolve(id(2)), routes.resolve(id(5))), (Some(id(2)), Some(id(1))));
    assert_eq!(routes.old_ids().collect::<Vec<_>>(), [(id(5), id(1))]);
    let before = routes.clone();
    assert_eq!(routes.swap_recycled(id(5), id(1)), Ok(()), "its repetition");
    assert_eq!(routes, before);
    // It is taken back, moved on, and given to a third one.
    routes.swap(id(1), id(5)).expect("it names it");
    assert_eq!((routes.resolve(id(5)), routes.resolve(id(1))), (Some(id(5)), None));
    routes.swap(id(5), id(1)).expect("it is bob's");
    routes.swap(id(1), id(6)).expect("it names it");
    assert_eq!((routes.resolve(id(5)), routes.resolve(id(1))), (Some(id(6)), None));
    assert_eq!(routes.swap_recycled(id(2), id(1)), Ok(()));
    assert_eq!(routes.canister_of(&"ada".to_owned()), Some(id(1)));
    assert_eq!((routes.resolve(id(2)), routes.resolve(id(1))), (Some(id(1)), None));
}

#[test]
fn nobody_is_given_a_canister_that_is_another_users_now_or_whose_route_names_a_third_one() {
    let mut routes = one_route();
    routes.swap(id(1), id(2)).expect("it names it");
    routes.register("bob".to_owned(), id(5)).expect("it is free");
    let before = routes.clone();
    let taken = SwapError::Conflict { from: id(2), found: id(2) };
    assert_eq!(routes.swap_recycled(id(5), id(2)), Err(taken));
    assert_eq!(routes.swap_recycled(id(8), id(1)), Err(SwapError::UnknownRoute { from: id(8) }));
    let untold = SwapError::Conflict { from: id(1), found: id(2) };
    assert_eq!(routes.swap(id(5), id(1)), Err(untold), "nobody said that it is empty");
    assert_eq!(routes, before);
    routes.swap(id(5), id(6)).expect("it names it");
    let before = routes.clone();
    assert_eq!(routes.swap_recycled(id(5), id(1)), Err(SwapError::Conflict { from: id(5), found: id(6) }));
    assert_eq!(routes, before, "ada's old id still resolves");
    assert_eq!(routes.swap_recycled(id(6), id(9)), Ok(()), "an index that never knew it");
    assert_eq!(routes.resolve(id(9)), Some(id(9)));
}

#[test]
fn routes_of_earlier_builds_are_read() {
    #[derive(CandidType, Serialize)]
    struct Old {
        current: BTreeMap<String, Principal>,
        keys: BTreeMap<Principal, String>,
    }
    let old = Old {
        current: BTreeMap::from([("ada".to_owned(), id(1))]),
        keys: BTreeMap::from([(id(1), "ada".to_owned())]),
    };
    let bytes = candid::encode_one(&old).expect("it encodes");
    assert_eq!(candid::decode_one::<Routes<String>>(&bytes).expect("it decodes"), one_route());
}

#[test]
fn routes_survive_candid() {
    let mut routes = recycled();
    routes.swap(id(2), id(3)).expect("it names it");
    let bytes = candid::encode_one(&routes).expect("it encodes");
    assert_eq!(candid::decode_one::<Routes<String>>(&bytes).expect("it decodes"), routes);
}
