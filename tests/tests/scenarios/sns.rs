//! Life under the root of an SNS: nobody but root controls anything, every command is a proposal that is rendered when it is
//! submitted and executed five days later, canisters are lent to the coordinator and taken back.

use candid::{CandidType, Principal};
use decant_api::govern::{Decision, PlanView, Roles};
use decant_api::jobs::{JobView, Outcome, Summary};
use decant_api::payout::{Payee, Payout};
use decant_api::plan::Plan;
use decant_api::routes::EnrolError;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_tests::repack::{create, nothing, plan, used, wasm};
use decant_tests::{assert_serves, bloated_on, engine, modules, settle, settle_with};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::time::Duration;

/// How long a vote takes.
const VOTE: Duration = Duration::from_secs(5 * 86_400);
/// The number of the one function of the coordinator: it takes every decision.
const DECIDE: u64 = 1_000;
const CANISTERS: u32 = 6;

#[derive(CandidType)]
enum Init {
    Governance { root: Principal, voting_seconds: u64 },
    Root { governance: Principal },
}

#[derive(CandidType)]
struct Function {
    id: u64,
    target: Principal,
    target_method: String,
    validator: Principal,
    validator_method: String,
}

#[derive(CandidType)]
enum Action {
    ExecuteFunction { id: u64, payload: ByteBuf },
    RegisterDappCanisters { canister_ids: Vec<Principal> },
    DeregisterDappCanisters { canister_ids: Vec<Principal>, new_controllers: Vec<Principal> },
    UpgradeCanister { canister: Principal, module: ByteBuf, argument: ByteBuf },
}

#[derive(Debug, CandidType, Deserialize)]
enum Status {
    Open,
    Executed,
    Failed(String),
}

#[derive(Debug, CandidType, Deserialize)]
struct Proposal {
    rendered: String,
    status: Status,
}

#[derive(CandidType)]
struct Governed {
    governance: Principal,
    operators: Option<Vec<Principal>>,
}

/// A world whose coordinator, and all of whose users' canisters, are dapps of an SNS.
struct Sns {
    world: World,
    fleet: Fleet,
    governance: Principal,
    root: Principal,
}

impl Sns {
    fn new() -> Self {
        let options = Options { canisters: CANISTERS, state_kib: 20, ..Options::default() };
        let (mut world, fleet) = bloated_on(engine(), &options);
        let (governance, root, coordinator) = (create(&world), create(&world), create(&world));
        let install = |canister, module: Vec<u8>, argument| {
            world.pic.install_canister(canister, module, argument, Some(world.operator));
        };
        let init = |init: Init| candid::encode_one(init).expect("it encodes");
        install(governance, wasm("sns"), init(Init::Governance { root, voting_seconds: VOTE.as_secs() }));
        install(root, wasm("sns"), init(Init::Root { governance }));
        let governed = Governed { governance, operators: Some(vec![world.operator]) };
        let argument = candid::encode_one(governed).expect("it encodes");
        install(coordinator, modules().coordinator.clone(), argument);
        world.pic.add_cycles(coordinator, 1_000_000_000_000_000);
        world.coordinator = coordinator;
        let function = Function {
            id: DECIDE,
            target: coordinator,
            target_method: "decant_execute".to_owned(),
            validator: coordinator,
            validator_method: "decant_validate".to_owned(),
        };
        let added: Result<(), String> =
            update(&world.pic, governance, world.operator, "add_function", (function,)).expect("it answers");
        added.expect("it is new");
        Self { world, fleet, governance, root }
    }

    fn submit(&self, action: Action) -> Result<u64, String> {
        update(&self.world.pic, self.governance, self.world.operator, "submit", (action,))
            .expect("it answers")
    }

    fn execute(&self, id: u64) -> Result<Proposal, String> {
        update(&self.world.pic, self.governance, self.world.operator, "execute", (id,)).expect("it answers")
    }

    fn decision(&self, decision: &Decision) -> Action {
        let payload = ByteBuf::from(candid::encode_one(decision).expect("a decision encodes"));
        Action::ExecuteFunction { id: DECIDE, payload }
    }

    /// Submits them all, waits for the vote, and executes them one after the other; answers what voters read.
    fn adopt(&self, actions: Vec<Action>) -> Vec<String> {
        let ids: Vec<u64> =
            actions.into_iter().map(|action| self.submit(action).expect("it is valid")).collect();
        self.world.pic.advance_time(VOTE);
        self.world.pic.tick();
        ids.into_iter()
            .map(|id| {
                let Proposal { rendered, status } = self.execute(id).expect("its vote is over");
                assert!(matches!(status, Status::Executed), "{status:?}");
                rendered
            })
            .collect()
    }

    fn adopt_decision(&self, decision: &Decision) -> String {
        self.adopt(vec![self.decision(decision)]).remove(0)
    }

    /// Hands canisters over to root, and has them registered: root is their only controller.
    fn register(&self, canisters: Vec<Principal>) {
        for canister in &canisters {
            let handed = vec![self.root, self.world.operator];
            self.world
                .pic
                .set_controllers(*canister, Some(self.world.operator), handed)
                .expect("the operator controls it");
        }
        self.adopt(vec![Action::RegisterDappCanisters { canister_ids: canisters.clone() }]);
        for canister in canisters {
            assert_eq!(self.world.pic.get_controllers(canister), [self.root]);
        }
    }

    fn controllers_of_users(&self) -> Vec<Vec<Principal>> {
        let sorted = |canister| {
            let mut controllers = self.world.pic.get_controllers(canister);
            controllers.sort();
            controllers
        };
        self.fleet.originals().into_iter().map(sorted).collect()
    }

    fn dapps(&self) -> Vec<Principal> {
        query(&self.world.pic, self.root, "dapps", ()).expect("it answers")
    }

    fn enrol(&self, canisters: Vec<Principal>) -> Vec<Result<u64, EnrolError>> {
        let (world, pic) = (&self.world, &self.world.pic);
        update(pic, world.coordinator, world.operator, "decant_enrol", (canisters,)).expect("it answers")
    }

    fn plan_view(&self) -> PlanView {
        let view: Option<PlanView> =
            query(&self.world.pic, self.world.coordinator, "decant_plan", (1_u64,)).expect("it answers");
        view.expect("there is a plan")
    }
}

fn repack_plan(world: &World) -> Plan {
    Plan { max_in_flight: 2, ..plan(world, vec![used(&modules().managed, nothing())]) }
}

#[test]
fn a_fleet_under_an_sns_root_is_lent_repacked_and_taken_back_and_its_coordinator_is_upgraded_meanwhile() {
    let mut sns = Sns::new();
    let originals = sns.fleet.originals();
    sns.register([vec![sns.world.coordinator], originals.clone()].concat());
    let plan = repack_plan(&sns.world);
    let approve = Decision::Approve { plan: plan.clone(), pace: None };
    let id = sns.submit(sns.decision(&approve)).expect("it is valid");
    let early = sns.execute(id).expect_err("it is being voted on");
    assert!(early.contains("voted on"), "{early}");
    let rendered = sns.adopt_decision(&approve);
    assert!(rendered.contains(&plan.title), "{rendered}");

    // Registered canisters are root's alone: the coordinator may not touch them, and none of them is stopped.
    sns.enrol(vec![originals[0]])[0].clone().expect("it is enrolled");
    let refused = settle(&sns.world).remove(0);
    assert_eq!(refused.code.as_deref(), Some("NotAuthorised"), "{refused:?}");
    assert_eq!(refused.fenced_nanos, None, "nobody waited: {refused:?}");

    let (root, coordinator) = (sns.root, sns.world.coordinator);
    let lend = |new_controllers| Action::DeregisterDappCanisters {
        canister_ids: originals.clone(),
        new_controllers,
    };
    sns.adopt(vec![lend(vec![root, coordinator])]);
    let mut both = vec![root, coordinator];
    both.sort();
    assert!(sns.controllers_of_users().iter().all(|controllers| *controllers == both));
    let registered = sns.dapps();
    assert!(originals.iter().all(|canister| registered.contains(canister)), "they stay registered");

    // The module as SNS proposals carry it: compressed, in one message.
    let module = wasm_gz("coordinator");
    let upgrade = sns
        .submit(Action::UpgradeCanister {
            canister: coordinator,
            module: ByteBuf::from(module),
            argument: ByteBuf::from(nothing()),
        })
        .expect("it is valid");
    sns.world.pic.advance_time(VOTE);
    let jobs = sns.enrol(originals.clone());
    assert!(jobs.iter().all(Result::is_ok), "{jobs:?}");
    let mut upgraded = None;
    let jobs = settle_with(&sns.world, |_| {
        let summary: Summary = query(&sns.world.pic, coordinator, "decant_summary", ()).expect("it answers");
        if upgraded.is_none() && summary.done > 0 && summary.running > 0 {
            upgraded = Some(sns.execute(upgrade).expect("its vote is over"));
        }
    });
    let upgraded = upgraded.expect("it was upgraded in the middle");
    assert!(matches!(upgraded.status, Status::Executed), "{upgraded:?}");
    let done: Vec<&JobView> = jobs.iter().filter(|job| job.outcome == Outcome::Done).collect();
    assert_eq!(done.len(), CANISTERS as usize, "{jobs:?}");
    assert!(sns.controllers_of_users().iter().all(|controllers| *controllers == both), "as before");

    sns.adopt(vec![lend(vec![root])]);
    assert!(sns.controllers_of_users().iter().all(|controllers| *controllers == [root]));
    assert_eq!(sns.dapps(), registered, "as before");
    for (position, original) in originals.into_iter().enumerate() {
        assert_serves(&sns.world, &mut sns.fleet, position, original);
    }
}

#[test]
fn every_decision_passes_through_the_one_function_of_an_sns_and_fails_if_it_is_not_true_any_more() {
    let sns = Sns::new();
    sns.register(vec![sns.world.coordinator]);
    let plan = repack_plan(&sns.world);
    sns.adopt_decision(&Decision::Approve { plan: plan.clone(), pace: None });
    let was = sns.plan_view().terms;
    let now = decant_api::govern::Terms { max_in_flight: 7, ..was.clone() };
    let change = Decision::Change { plan: 1, was: was.clone(), now: now.clone() };
    // Two that change the same are both valid when they are submitted; the second is not when its vote is over.
    let other = Decision::Change {
        plan: 1,
        was: was.clone(),
        now: decant_api::govern::Terms { max_in_flight: 9, ..was },
    };
    let late = sns.submit(sns.decision(&other)).expect("it is valid yet");
    let rendered = sns.adopt_decision(&change);
    assert!(rendered.contains('7') && sns.plan_view().terms == now, "{rendered}");
    let failed = sns.execute(late).expect("its vote is over");
    assert!(matches!(failed.status, Status::Failed(_)), "{failed:?}");
    assert_eq!(sns.plan_view().terms, now, "what failed changed nothing");

    let roles = |operators| Roles { operators, observers: Vec::new() };
    let other_operator = Principal::self_authenticating(b"the next operator");
    let name = Decision::Name {
        was: roles(vec![sns.world.operator]),
        now: roles(vec![sns.world.operator, other_operator]),
    };
    let rendered = sns.adopt_decision(&name);
    assert!(rendered.contains(&other_operator.to_string()), "{rendered}");
    let named: Roles = query(&sns.world.pic, sns.world.coordinator, "decant_roles", ()).expect("it answers");
    assert!(named.operators.contains(&other_operator), "{named:?}");

    let cycles = 7_000_000_000_000;
    let payee = sns.world.index;
    let pay = Decision::Pay(Payout { cycles, to: Payee::Canister(payee) });
    let before = sns.world.pic.cycle_balance(payee);
    let rendered = sns.adopt_decision(&pay);
    assert!(rendered.contains(&payee.to_string()), "{rendered}");
    assert!(sns.world.pic.cycle_balance(payee) > before + cycles / 2);

    let wrong = Decision::End { plan: 1, title: "another".to_owned() };
    sns.submit(sns.decision(&wrong)).expect_err("the validator refuses what is not true");
    sns.adopt_decision(&Decision::End { plan: 1, title: plan.title.clone() });
    assert!(sns.plan_view().has_ended);
    let refused =
        sns.submit(Action::ExecuteFunction { id: DECIDE, payload: ByteBuf::from(b"DIDL".to_vec()) });
    refused.expect_err("what is no decision is refused");
}

fn wasm_gz(name: &str) -> Vec<u8> {
    let path = format!("{}/../target/canisters/{name}.wasm.gz", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
