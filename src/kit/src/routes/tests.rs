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

#[test]
fn routes_survive_candid() {
    let mut routes = one_route();
    routes.swap(id(1), id(2)).expect("it names it");
    let bytes = candid::encode_one(&routes).expect("it encodes");
    assert_eq!(candid::decode_one::<Routes<String>>(&bytes).expect("it decodes"), routes);
}
