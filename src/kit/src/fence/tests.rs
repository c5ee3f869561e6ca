use super::*;

const CONTROLLER: Principal = Principal::from_slice(&[1]);
const STRANGER: Principal = Principal::from_slice(&[2]);
const READER: Principal = Principal::from_slice(&[3]);
const ELSEWHERE: Principal = Principal::from_slice(&[4]);

const ASKER: Asker = Asker { job: 7, coordinator: CONTROLLER };
const FREEZE: Act = Act::Freeze { reader: READER, now_nanos: 5 };
const BEGIN: Act = Act::Begin { source: READER, now_nanos: 5 };
const RETIRE: Act = Act::Retire { to: READER };
const REINSTATE: Act = Act::Reinstate { to: READER };
const ACTS: [Act; 13] = [
    Act::Offer,
    FREEZE,
    Act::Seal,
    Act::FinishSeal,
    Act::Recheck,
    Act::Pour,
    Act::Thaw,
    RETIRE,
    REINSTATE,
    Act::Drain,
    BEGIN,
    Act::Import,
    Act::Activate,
];

fn held() -> Hold {
    Hold { job: 7, coordinator: CONTROLLER, peer: READER, since_nanos: 5 }
}

fn frozen() -> Fence {
    Fence::Frozen(held())
}

fn sealed() -> Fence {
    Fence::Sealed(held())
}

fn importing() -> Fence {
    Fence::Importing(held())
}

fn moved() -> Fence {
    Fence::Moved { hold: held(), to: READER }
}

/// Follows acts that must all be allowed.
fn after(acts: &[Act]) -> Fence {
    acts.iter().fold(Fence::Open, |fence, act| {
        next(&fence, act, &ASKER).unwrap_or_else(|error| panic!("{act:?}: {error}")).unwrap_or(fence)
    })
}

#[test]
fn a_source_goes_from_open_to_moved_and_every_step_may_be_repeated() {
    assert_eq!(after(&[FREEZE, FREEZE]), frozen());
    assert_eq!(after(&[FREEZE, Act::Seal, Act::Seal]), frozen());
    assert_eq!(
        after(&[FREEZE, Act::FinishSeal, Act::FinishSeal, Act::Seal, FREEZE, Act::Recheck, Act::Pour]),
        sealed()
    );
    assert_eq!(
        after(&[FREEZE, Act::FinishSeal, RETIRE, RETIRE, Act::Recheck, Act::Drain, Act::Drain]),
        moved()
    );
}

#[test]
fn a_target_goes_from_open_to_open_and_every_step_may_be_repeated() {
    assert_eq!(after(&[BEGIN, BEGIN, Act::Import, Act::Import]), importing());
    assert_eq!(after(&[BEGIN, Act::Activate, Act::Activate]), Fence::Open);
}

#[test]
fn a_source_can_be_thawed_until_its_state_has_moved() {
    assert_eq!(after(&[FREEZE, Act::Thaw, Act::Thaw]), Fence::Open);
    assert_eq!(after(&[FREEZE, Act::FinishSeal, Act::Thaw]), Fence::Open);
    for fence in [moved(), importing()] {
        assert!(matches!(next(&fence, &Act::Thaw, &ASKER), Err(KitError::WrongFence { .. })));
    }
}

#[test]
fn a_moved_source_is_opened_only_after_the_job_that_moved_it_reinstated_it() {
    let back = [FREEZE, Act::FinishSeal, RETIRE, REINSTATE, REINSTATE];
    assert_eq!(after(&back), sealed(), "promise 1: it takes no updates yet");
    assert_eq!(after(&[&back[..], &[Act::Thaw]].concat()), Fence::Open);
    assert_eq!(after(&[&back[..], &[RETIRE]].concat()), moved(), "and it can be retired again");
    for fence in [Fence::Open, frozen(), importing()] {
        let refused = next(&fence, &REINSTATE, &ASKER);
        assert!(matches!(refused, Err(KitError::WrongFence { .. })), "{fence:?}");
    }
}

#[test]
fn no_act_of_another_job_or_coordinator_does_anything_to_a_closed_fence() {
    let others = [Asker { job: 8, ..ASKER }, Asker { coordinator: STRANGER, ..ASKER }];
    for fence in [frozen(), sealed(), importing(), moved()] {
        for (act, asker) in ACTS.iter().flat_map(|act| others.iter().map(move |asker| (act, asker))) {
            let expected = KitError::HeldByOther { holder: 7, coordinator: CONTROLLER, asked: asker.job };
            assert_eq!(next(&fence, act, asker), Err(expected), "{act:?} by {asker:?}");
        }
    }
}

#[test]
fn what_is_not_listed_is_refused() {
    let allowed: [(Fence, &[Act]); 5] = [
        (Fence::Open, &[Act::Offer, FREEZE, BEGIN, Act::Thaw, Act::Activate]),
        (frozen(), &[FREEZE, Act::Seal, Act::FinishSeal, Act::Thaw]),
        (
            sealed(),
            &[FREEZE, Act::Seal, Act::FinishSeal, Act::Recheck, Act::Pour, Act::Thaw, RETIRE, REINSTATE],
        ),
        (importing(), &[BEGIN, Act::Import, Act::Activate]),
        (moved(), &[RETIRE, REINSTATE, Act::Recheck, Act::Drain]),
    ];
    for (fence, allowed) in allowed {
        for act in ACTS {
            let is_refused = matches!(next(&fence, &act, &ASKER), Err(KitError::WrongFence { .. }));
            assert_eq!(is_refused, !allowed.contains(&act), "{act:?} at {fence:?}");
        }
    }
}

#[test]
fn another_reader_source_or_place_is_refused() {
    let freeze = Act::Freeze { reader: ELSEWHERE, now_nanos: 9 };
    let begin = Act::Begin { source: ELSEWHERE, now_nanos: 9 };
    let (retire, reinstate) = (Act::Retire { to: ELSEWHERE }, Act::Reinstate { to: ELSEWHERE });
    let of_moved = [(sealed(), retire), (moved(), retire), (sealed(), reinstate), (moved(), reinstate)];
    for (fence, act) in
        [(frozen(), freeze), (sealed(), freeze), (importing(), begin)].into_iter().chain(of_moved)
    {
        assert!(
            matches!(next(&fence, &act, &ASKER), Err(KitError::WrongFence { .. })),
            "{act:?} at {fence:?}"
        );
    }
}

#[test]
fn frames_are_read_by_the_reader_and_controllers_of_a_sealed_job_only() {
    assert_eq!(check_read(&sealed(), 7, READER, false), Ok(()));
    assert_eq!(check_read(&sealed(), 7, CONTROLLER, true), Ok(()));
    for (fence, job, caller) in [(sealed(), 7, STRANGER), (sealed(), 8, READER), (Fence::Open, 7, READER)] {
        assert_eq!(check_read(&fence, job, caller, false), Err(KitError::NotAuthorised { caller }));
    }
    for fence in [Fence::Open, frozen(), importing(), moved()] {
        assert!(matches!(check_read(&fence, 7, CONTROLLER, true), Err(KitError::WrongFence { .. })));
    }
    assert!(matches!(check_read(&sealed(), 8, CONTROLLER, true), Err(KitError::HeldByOther { .. })));
}

#[test]
fn an_open_canister_is_read_by_whom_it_is_offered_to_and_by_controllers_only() {
    let offer = Some(held());
    let check = |fence: &Fence, offer: Option<&Hold>, job, caller| {
        check_precopy(fence, offer, job, caller, caller == CONTROLLER)
    };
    assert_eq!(check(&Fence::Open, offer.as_ref(), 7, READER), Ok(()));
    assert_eq!(check(&Fence::Open, offer.as_ref(), 7, CONTROLLER), Ok(()));
    for (offer, job, caller) in
        [(offer.as_ref(), 7, STRANGER), (offer.as_ref(), 8, READER), (None, 7, READER)]
    {
        let refused = check(&Fence::Open, offer, job, caller);
        assert_eq!(refused, Err(KitError::NotAuthorised { caller }), "promise 9");
    }
    let other = check(&Fence::Open, offer.as_ref(), 8, CONTROLLER);
    assert!(matches!(other, Err(KitError::HeldByOther { .. })));
    assert!(matches!(check(&Fence::Open, None, 7, CONTROLLER), Err(KitError::WrongFence { .. })));
    for fence in [frozen(), sealed(), importing(), moved()] {
        let closed = check(&fence, offer.as_ref(), 7, READER);
        assert!(matches!(closed, Err(KitError::WrongFence { .. })), "{fence:?}");
    }
}

#[test]
fn updates_are_taken_by_an_open_canister_only_and_queries_while_the_state_is_here() {
    let fences = [(Fence::Open, true, true), (frozen(), false, true), (sealed(), false, true)];
    for (fence, updates, queries) in
        fences.into_iter().chain([(importing(), false, false), (moved(), false, false)])
    {
        assert_eq!(refusal(&fence).is_none(), updates, "updates at {fence:?}");
        assert_eq!(query_refusal(&fence).is_none(), queries, "queries at {fence:?}");
    }
}

#[test]
fn a_refusal_says_what_is_going_on() {
    let text = |fence: &Fence| refusal(fence).map(|refusal| refusal.to_string()).unwrap_or_default();
    assert!(text(&frozen()).starts_with("DECANT-BUSY: this canister is being relocated by job 7 of"));
    assert!(text(&frozen()).contains("retry updates in 30 s"));
    assert!(text(&importing()).starts_with("DECANT-IMPORTING"));
    assert!(text(&moved()).starts_with("DECANT-MOVED"));
    assert!(text(&moved()).ends_with(&READER.to_string()));
}

#[test]
fn a_source_of_a_lost_coordinator_opens_once_that_one_has_no_control() {
    for fence in [frozen(), sealed()] {
        assert!(matches!(released(&fence, true), Err(KitError::WrongFence { .. })), "{fence:?}");
        assert_eq!(released(&fence, false), Ok(Some(Fence::Open)));
    }
    assert_eq!(released(&Fence::Open, false), Ok(None));
}

#[test]
fn nothing_else_is_released_because_another_canister_may_have_the_state() {
    for fence in [importing(), moved()] {
        for has_control in [true, false] {
            assert!(matches!(released(&fence, has_control), Err(KitError::WrongFence { .. })), "{fence:?}");
        }
    }
}
