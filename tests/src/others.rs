//! Somebody else acts on canisters in the middle of their jobs (design, section 6, promises 11 and 12).

use crate::dapps::enrolled;
use crate::repack::{job, nothing};
use crate::{jobs, pause, settle_with};
use candid::{CandidType, Principal};
use decant_api::jobs::{JobView, Outcome, Pause};
use decant_cli::rehearsal::world::World;
use pocket_ic::common::rest::{RawEffectivePrincipal, RawMessageId};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::collections::VecDeque;

/// What users write when a canister serves them in the middle of its job.
pub const WRITES: usize = 10;
/// Rounds in which what was begun is answered when the jobs have ended.
const ROUNDS: usize = 200;

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// An index upgrades it to another build and starts it, and users write.
    Upgrade,
    /// Somebody starts it, and users write.
    Serve,
    /// It is stopped, until its job has ended or says that it waits for that.
    Stop,
    /// All its snapshots are deleted.
    DropSnapshots,
    /// The coordinator is no controller any more, until its job says so: the way back waits for that for ever.
    TakeControl,
    /// It is stopped and deleted.
    Delete,
    /// An operator wants the job back.
    Abort,
}

/// One message of it.
#[derive(Debug, Clone)]
enum Message {
    Install,
    Start,
    Stop,
    Delete,
    /// With the coordinator among them, or without.
    SetControllers(bool),
    ListSnapshots,
    DropSnapshot(ByteBuf),
    Post(String),
    Abort,
}

/// One job, and what somebody does in one of its states.
#[derive(Debug)]
pub struct Beside {
    /// What.
    pub act: Act,
    /// When the job is in this state.
    pub state: String,
    /// The canister.
    pub canister: Principal,
    /// The job.
    pub job: u64,
    /// What users wrote meanwhile, and got an answer to.
    pub written: Vec<String>,
    /// Whether the canister was upgraded to the other build.
    pub is_upgraded: bool,
    /// Whether the job was in that state, so that it was done.
    pub is_begun: bool,
    /// Messages that are sent together, when those before are answered.
    groups: VecDeque<Vec<Message>>,
    open: Vec<(Message, RawMessageId)>,
}

impl Beside {
    fn new(act: Act, state: &str, canister: Principal, job: u64) -> Self {
        let writes = || (0..WRITES).map(|number| Message::Post(format!("written {number}"))).collect();
        let groups: Vec<Vec<Message>> = match act {
            Act::Upgrade => vec![vec![Message::Install], vec![Message::Start], writes()],
            Act::Serve => vec![vec![Message::Start], writes()],
            Act::Stop => vec![vec![Message::Stop], vec![Message::Start]],
            Act::DropSnapshots => vec![vec![Message::ListSnapshots]],
            Act::TakeControl => {
                vec![vec![Message::SetControllers(false)], vec![Message::SetControllers(true)]]
            }
            Act::Delete => vec![vec![Message::Stop], vec![Message::Delete]],
            Act::Abort => vec![vec![Message::Abort]],
        };
        Self {
            act,
            state: state.to_owned(),
            canister,
            job,
            written: Vec::new(),
            is_upgraded: false,
            is_begun: false,
            groups: groups.into(),
            open: Vec::new(),
        }
    }

    /// Sends what is next, if the job is in the state, or was.
    fn go_on(&mut self, world: &World, now: &[JobView], other_build: &[u8]) {
        self.is_begun |= now.iter().any(|job| job.id == self.job && job.state == self.state);
        if !self.is_begun {
            return;
        }
        let open = std::mem::take(&mut self.open);
        for (message, id) in open {
            match world.pic.ingress_status(id.clone()) {
                None => self.open.push((message, id)),
                Some(Ok(reply)) => self.answered(message, &reply),
                // It is as if nobody had asked.
                Some(Err(_)) => {}
            }
        }
        if self.open.is_empty() && self.may_go_on(now) {
            for message in self.groups.pop_front().unwrap_or_default() {
                let id = send(world, self.canister, self.job, &message, other_build);
                self.open.extend(id.map(|id| (message, id)));
            }
        }
    }

    /// What was taken is given back when the job has ended, or has met with its lack.
    fn may_go_on(&self, now: &[JobView]) -> bool {
        let lack = match (self.act, self.groups.front().map(Vec::as_slice)) {
            (Act::TakeControl, Some([Message::SetControllers(true)])) => "NotAuthorised",
            (Act::Stop, Some([Message::Start])) => "NotRunning",
            _ => return true,
        };
        let has_met = |job: &JobView| {
            job.id == self.job && (job.outcome != Outcome::Running || job.code.as_deref() == Some(lack))
        };
        now.iter().any(has_met)
    }

    fn answered(&mut self, message: Message, reply: &[u8]) {
        #[derive(CandidType, Deserialize)]
        struct Snapshot {
            id: ByteBuf,
        }
        match message {
            Message::Install => self.is_upgraded = true,
            Message::Post(text) => self.written.push(text),
            Message::ListSnapshots => {
                let all: Vec<Snapshot> = candid::decode_one(reply).expect("the reply decodes");
                let drops = all.into_iter().map(|snapshot| Message::DropSnapshot(snapshot.id));
                self.groups.push_back(drops.collect());
            }
            _ => {}
        }
    }

    fn is_over(&self) -> bool {
        !self.is_begun || (self.open.is_empty() && self.groups.is_empty())
    }
}

/// Sends a message; `None` if it is not even taken, as by a canister that is stopped.
fn send(
    world: &World,
    canister: Principal,
    job: u64,
    message: &Message,
    other_build: &[u8],
) -> Option<RawMessageId> {
    #[derive(CandidType)]
    struct OfCanister {
        canister_id: Principal,
    }
    #[derive(CandidType)]
    struct OfSnapshot<'a> {
        canister_id: Principal,
        snapshot_id: &'a ByteBuf,
    }
    #[derive(CandidType)]
    struct Settings {
        controllers: Vec<Principal>,
    }
    #[derive(CandidType)]
    struct UpdateSettings {
        canister_id: Principal,
        settings: Settings,
    }
    #[derive(CandidType, Deserialize)]
    enum Mode {
        #[serde(rename = "upgrade")]
        Upgrade,
    }
    #[derive(CandidType)]
    struct InstallCode<'a> {
        mode: Mode,
        canister_id: Principal,
        wasm_module: &'a serde_bytes::Bytes,
        arg: ByteBuf,
    }
    let of_canister = || candid::encode_one(OfCanister { canister_id: canister });
    let (method, payload) = match message {
        Message::Install => {
            let wasm_module = serde_bytes::Bytes::new(other_build);
            let (mode, arg) = (Mode::Upgrade, ByteBuf::from(nothing()));
            (
                "install_code",
                candid::encode_one(InstallCode { mode, canister_id: canister, wasm_module, arg }),
            )
        }
        Message::Start => ("start_canister", of_canister()),
        Message::Stop => ("stop_canister", of_canister()),
        Message::Delete => ("delete_canister", of_canister()),
        Message::ListSnapshots => ("list_canister_snapshots", of_canister()),
        Message::SetControllers(with_coordinator) => {
            let mut controllers = vec![world.operator, world.index];
            controllers.extend(with_coordinator.then_some(world.coordinator));
            let settings = Settings { controllers };
            ("update_settings", candid::encode_one(UpdateSettings { canister_id: canister, settings }))
        }
        Message::DropSnapshot(snapshot_id) => (
            "delete_canister_snapshot",
            candid::encode_one(OfSnapshot { canister_id: canister, snapshot_id }),
        ),
        Message::Post(text) => {
            let text = candid::encode_one(text).expect("a text encodes");
            return world.pic.submit_call(canister, world.operator, "post", text).ok();
        }
        Message::Abort => {
            let job = candid::encode_one(job).expect("a number encodes");
            return world.pic.submit_call(world.coordinator, world.operator, "decant_abort", job).ok();
        }
    };
    world
        .pic
        .submit_call_with_effective_principal(
            Principal::management_canister(),
            RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec()),
            world.operator,
            method,
            payload.expect("the argument encodes"),
        )
        .ok()
}

/// The names of the states in which somebody can see a job, in the order in which it passes them.
pub fn states(world: &World, canister: Principal) -> Vec<String> {
    pause(world, Pause::NoJobs);
    let id = enrolled(world, &[canister])[0];
    let mut seen = vec![job(world, id).state];
    pause(world, Pause::Running);
    settle_with(world, |_| {
        let state = job(world, id).state;
        if !seen.contains(&state) {
            seen.push(state);
        }
    });
    seen
}

/// Runs a job for each canister, all at once; at the state of its case somebody acts. Answers the cases when all jobs have
/// ended, or are parked.
pub fn beside(world: &World, cases: &[(Act, &str, Principal)], other_build: &[u8]) -> Vec<Beside> {
    let canisters: Vec<Principal> = cases.iter().map(|(_, _, canister)| *canister).collect();
    // All are seen before their first step.
    pause(world, Pause::NoJobs);
    let ids = enrolled(world, &canisters);
    let mut all: Vec<Beside> = cases
        .iter()
        .zip(ids)
        .map(|((act, state, canister), id)| Beside::new(*act, state, *canister, id))
        .collect();
    let mut go_on = || {
        let now = jobs(world);
        all.iter_mut().for_each(|one| one.go_on(world, &now, other_build));
    };
    go_on();
    pause(world, Pause::Running);
    settle_with(world, |_| go_on());
    for _ in 0..ROUNDS {
        go_on();
        world.pic.tick();
    }
    for one in &all {
        assert!(one.is_begun, "no job was seen when {}", one.state);
        assert!(one.is_over(), "not all of it is answered: {one:?}");
    }
    all
}
