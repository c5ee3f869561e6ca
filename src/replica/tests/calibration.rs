//! Replays what a real PocketIC server charged and answered, case by case and in the recorded order, and
//! prints a table of measured against recorded. `calibration/` has the probe canister and the recording.
//!
//! Reject codes, error codes and the first line of messages must be equal, instructions, cycles and sizes
//! within [`TOLERANCE_PERCENT`]. Replies of the probe have exactly the recorded size.

#[expect(dead_code, reason = "the conformance suite uses the rest")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use candid::{CandidType, Nat, Principal};
use decant_replica::{Fees, Replica, ReplicaConfig};
use pocket_ic::{CanisterSettings, PocketIc, PocketIcBuilder, RejectResponse};
use serde::Deserialize;
use support::engine;
use support::management::{
    self, Mode, OfCanister, OfSnapshot, Place, Slice, Snapshot, SnapshotId, UPGRADE_SKIPPING_PRE_UPGRADE,
    UploadMetadata, decode, install_code, manage, manage_raw,
};

/// Cases that do not agree on purpose, by the label that the table shows, each with its reason. A case listed
/// here that agrees fails the test, and so does one that does not exist.
const DIFFERS_BY_DESIGN: &[(&str, &str)] = &[];

/// How far instructions, cycles and sizes may be from the recording.
const TOLERANCE_PERCENT: u128 = 5;

/// The user who owns every canister of the recording: its principal shows in "call a user's principal".
const OWNER: &str = "us466-uw5wk-jq6ob-mnvqz-mwdfl-3d6ru-ktmdr-seaeq-iluja-655mc-aqe";

/// A canister id that no subnet has.
const UNKNOWN_CANISTER: &str = "n5n4y-3aaaa-aaaaa-p777q-cai";

/// The recorded canister ids, in the order of creation, and what they are.
const RECORDED_IDS: [(&str, &str); 4] = [
    ("lxzze-o7777-77777-aaaaa-cai", "<probe>"),
    ("lqy7q-dh777-77777-aaaaq-cai", "<callee>"),
    ("lz3um-vp777-77777-aaaba-cai", "<stubborn>"),
    ("l62sy-yx777-77777-aaabq-cai", "<empty>"),
];

/// Enough for every case: running out of instructions alone costs 40 billion.
const PLENTY_OF_CYCLES: u128 = 1_000_000_000_000_000;

/// How far the fresh canister grows its stable memory before its status is taken.
const STATUS_PAGES: u32 = 1_600;

/// The smallest wasm module: magic and version.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Bytes of a wasm page.
const PAGE_BYTES: usize = 65_536;

/// Bytes that Candid adds to a blob in a reply of `read_canister_snapshot_data`, for blobs of 64 KiB to 2 MB.
const CANDID_OVERHEAD_BYTES: usize = 20;

#[derive(Deserialize)]
struct Recording {
    cases: Vec<Case>,
}

/// A recorded case; `README.md` of the calibration says what the fields mean.
#[derive(Deserialize)]
struct Case {
    case: String,
    method: Option<String>,
    via: Option<String>,
    arg_bytes: Option<usize>,
    wasm_bytes: Option<u128>,
    cycles: Option<u128>,
    cycles_caller: Option<u128>,
    cycles_callee: Option<u128>,
    reply_bytes: Option<usize>,
    result: Option<Recorded>,
    binary: Option<String>,
    custom_sections: Option<String>,
    globals: Option<String>,
    history: Option<String>,
    idle_cycles_burned_per_day: Option<String>,
    memory_size: Option<String>,
    stable: Option<String>,
    wasm_memory: Option<String>,
}

/// A recorded outcome: a reply or a reject.
#[derive(Deserialize)]
struct Recorded {
    reply_bytes: Option<usize>,
    text: Option<String>,
    u64: Option<u64>,
    reject_code: Option<String>,
    error_code: Option<String>,
    message: Option<String>,
}

/// What a case gave here.
#[derive(Default)]
struct Measured {
    outcome: Option<Result<Vec<u8>, RejectResponse>>,
    /// Numbers by the name of the field of [`Case`].
    numbers: BTreeMap<&'static str, u128>,
}

/// A line of the table.
struct Row {
    case: String,
    field: &'static str,
    recorded: String,
    measured: String,
    agrees: bool,
}

#[test]
fn every_case_that_a_real_server_recorded_is_charged_and_answered_alike() {
    let recording: Recording = serde_json::from_str(include_str!("calibration/pocketic-10.0.0.json"))
        .expect("the recording is JSON");
    let labels = labels(&recording.cases);
    let mut bench = Bench::new();
    let mut rows = Vec::new();
    for (case, label) in recording.cases.iter().zip(&labels) {
        let measured = bench.replay(case);
        rows.extend(bench.compare(label, case, &measured));
    }
    print_table(&rows);

    let by_design: BTreeSet<&str> = DIFFERS_BY_DESIGN.iter().map(|(case, _)| *case).collect();
    let differing: BTreeSet<&str> = rows.iter().filter(|r| !r.agrees).map(|r| r.case.as_str()).collect();
    let unexpected: Vec<_> = differing.difference(&by_design).collect();
    let outdated: Vec<_> = by_design.difference(&differing).collect();
    assert!(unexpected.is_empty(), "{} cases differ: {unexpected:#?}", unexpected.len());
    assert!(outdated.is_empty(), "listed as differing by design, but agree or do not exist: {outdated:#?}");
}

/// An engine with the fees of 2025, under which the cases were recorded.
fn recorded_engine() -> PocketIcBuilder {
    static REPLICA: OnceLock<Replica> = OnceLock::new();
    let builder = PocketIcBuilder::new();
    if std::env::var_os("POCKET_IC_BIN").is_some() {
        return builder;
    }
    let config = ReplicaConfig { fees: Fees::Of2025, ..ReplicaConfig::default() };
    let replica = REPLICA.get_or_init(|| Replica::start_with(config).expect("the embedded replica starts"));
    builder.with_server_url(replica.url().parse().expect("the replica has a URL"))
}

/// A name for each case: the recorded one, how it was called, and a number where that is not unique.
fn labels(cases: &[Case]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let label = |case: &Case| {
        let name = match &case.via {
            Some(via) => format!("{} (via {via})", case.case),
            None => case.case.clone(),
        };
        let nth = seen.entry(name.clone()).or_default();
        *nth += 1;
        if *nth == 1 { name } else { format!("{name} #{nth}") }
    };
    cases.iter().map(label).collect()
}

fn print_table(rows: &[Row]) {
    println!("{:<70} {:<27} {:>16} {:>16}  ", "case", "figure", "recorded", "measured");
    for Row { case, field, recorded, measured, agrees } in rows {
        let verdict = if *agrees { "" } else { "DIFFERS" };
        println!("{case:<70} {field:<27} {recorded:>16} {measured:>16}  {verdict}");
    }
    let differing = rows.iter().filter(|row| !row.agrees).count();
    println!("{} figures, {differing} differ", rows.len());
}

/// The canisters of the recording and where the series of snapshot cases stands.
struct Bench {
    pic: PocketIc,
    owner: Principal,
    wasm: Vec<u8>,
    /// The canister that most cases call.
    probe: Principal,
    /// The canister that the probe calls, on the same subnet.
    callee: Principal,
    /// The same on the other subnet.
    remote: Principal,
    /// A canister whose `canister_pre_upgrade` traps.
    stubborn: Principal,
    /// A canister without code.
    empty: Principal,
    /// The canister whose memory is accounted for.
    fresh: Principal,
    callees_installed: bool,
    callee_stopped: bool,
    taken: Vec<u8>,
    uploaded: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let (pic, [near, far]) = engine::two_subnets(recorded_engine());
        let owner = Principal::from_text(OWNER).expect("a principal");
        let create = |subnet| {
            let id = pic.create_canister_on_subnet(Some(owner), None, subnet);
            pic.add_cycles(id, PLENTY_OF_CYCLES);
            id
        };
        let [probe, callee, stubborn, empty, fresh] = [near; 5].map(create);
        let remote = create(far);
        let wasm = wat::parse_str(include_str!("calibration/probe.wat")).expect("the probe is WAT");
        Self {
            pic,
            owner,
            wasm,
            probe,
            callee,
            remote,
            stubborn,
            empty,
            fresh,
            callees_installed: false,
            callee_stopped: false,
            taken: Vec::new(),
            uploaded: Vec::new(),
        }
    }

    fn replay(&mut self, case: &Case) -> Measured {
        let name = case.case.as_str();
        if case.via.is_some() {
            return self.replay_call(case);
        }
        if name.ends_with(" stable pages") && name.contains("_snapshot") {
            return self.replay_snapshot(case);
        }
        if let Some(method) = name.strip_prefix("management cost: ") {
            return self.replay_management_cost(method);
        }
        match (name, &case.method, case.arg_bytes) {
            ("install probe (ingress from a user)", ..) => {
                let wasm_bytes = self.wasm.len() as u128;
                let mut measured = self.install_probe(Mode::Install);
                measured.numbers.insert("wasm_bytes", wasm_bytes);
                measured
            }
            ("upgrade probe", ..) => self.install_probe(Mode::Upgrade(None)),
            ("reinstall probe", ..) => self.install_probe(Mode::Reinstall),
            ("canister_status after growing 1,600 stable pages", ..) => self.replay_status(),
            ("one day passes", ..) => self.replay_one_day(),
            (_, Some(method), Some(arg_bytes)) => {
                let arg = probe_argument(name, arg_bytes);
                self.charged(self.probe, |b| b.pic.update_call(b.probe, b.owner, method, arg))
            }
            _ => Measured { outcome: Some(self.replay_refusal(name)), numbers: BTreeMap::new() },
        }
    }

    /// Runs `action` and takes its outcome and what `canister` paid for it.
    fn charged(
        &self,
        canister: Principal,
        action: impl FnOnce(&Self) -> Result<Vec<u8>, RejectResponse>,
    ) -> Measured {
        let before = self.pic.cycle_balance(canister);
        let outcome = action(self);
        let spent = before.saturating_sub(self.pic.cycle_balance(canister));
        Measured { outcome: Some(outcome), numbers: BTreeMap::from([("cycles", spent)]) }
    }

    fn install_probe(&self, mode: Mode) -> Measured {
        self.charged(self.probe, |b| install_code(&b.pic, b.owner, b.probe, mode, &b.wasm, &[]))
    }

    fn install_callees(&mut self) {
        if !std::mem::replace(&mut self.callees_installed, true) {
            for canister in [self.callee, self.remote] {
                install_code(&self.pic, self.owner, canister, Mode::Install, &self.wasm, &[])
                    .expect("the probe installs");
            }
        }
    }

    /// A call from the probe to another canister, the management canister, or nobody.
    fn replay_call(&mut self, case: &Case) -> Measured {
        self.install_callees();
        let management = Principal::management_canister();
        let unknown = Principal::from_text(UNKNOWN_CANISTER).expect("a principal");
        let name = case.case.as_str();
        let (callee, method, payload): (Principal, &str, Vec<u8>) = match name {
            "call noop, same subnet" => (self.callee, "noop", Vec::new()),
            "call noop with 100,000 bytes, same subnet" => (self.callee, "noop", vec![0; 100_000]),
            "call reply_bytes 1,000,000, same subnet" => {
                (self.callee, "reply_bytes", 1_000_000_u32.to_le_bytes().to_vec())
            }
            "call noop, other subnet" => (self.remote, "noop", Vec::new()),
            "call reject" => (self.callee, "reject", Vec::new()),
            "call trap" => (self.callee, "trap", Vec::new()),
            "call unknown method" => (self.callee, "nope", Vec::new()),
            "call no_reply" => (self.callee, "no_reply", Vec::new()),
            "call unknown canister" => (unknown, "noop", Vec::new()),
            "call a user's principal" => (self.owner, "noop", Vec::new()),
            "call the management canister: unknown method" => (management, "nope", Vec::new()),
            "call the management canister: garbage argument" => {
                (management, "canister_status", b"garbage".to_vec())
            }
            "call the management canister: status of a canister it does not control" => {
                (management, "canister_status", encode(OfCanister { canister_id: self.callee }))
            }
            "call the management canister: create_canister without cycles" => {
                (management, "create_canister", encode(CreateCanister::default()))
            }
            "call the management canister: raw_rand" => (management, "raw_rand", b"DIDL\0\0".to_vec()),
            "call a stopped canister" => {
                self.stop_callee();
                (self.callee, "noop", Vec::new())
            }
            other => panic!("no such case: {other}"),
        };
        let paying = if name == "call noop, other subnet" { self.remote } else { self.callee };
        let arg = call_argument(callee, method, &payload);
        let via = case.via.as_deref().expect("a call");
        let before = [self.probe, paying].map(|id| self.pic.cycle_balance(id));
        let outcome = self.pic.update_call(self.probe, self.owner, via, arg);
        let after = [self.probe, paying].map(|id| self.pic.cycle_balance(id));
        let [caller, callee] = [0, 1].map(|of| before[of].saturating_sub(after[of]));
        let numbers = [("cycles_caller", caller), ("cycles_callee", callee)].into();
        Measured { outcome: Some(outcome), numbers }
    }

    fn stop_callee(&mut self) {
        if !std::mem::replace(&mut self.callee_stopped, true) {
            self.pic.stop_canister(self.callee, Some(self.owner)).expect("the callee stops");
        }
    }

    /// Requests that are refused, and the few in between that succeed.
    fn replay_refusal(&self, name: &str) -> Result<Vec<u8>, RejectResponse> {
        let Self { pic, owner, wasm, probe, callee, stubborn, empty, .. } = self;
        let stranger = Principal::anonymous();
        let of = |canister_id: &Principal| (OfCanister { canister_id: *canister_id },);
        let on_probe = |module: &[u8]| install_code(pic, *owner, *probe, Mode::Reinstall, module, &[]);
        let parse = |text: &str| wat::parse_str(text).expect("WAT");
        match name {
            "bump_query (state of a query is discarded)" => {
                pic.query_call(*probe, *owner, "bump_query", vec![])
            }
            "query of an update-only method" => pic.query_call(*probe, *owner, "bump", vec![]),
            "query of an unknown method" => pic.query_call(*probe, *owner, "nope", vec![]),
            "ingress to a stopped canister" => pic.update_call(*callee, *owner, "noop", vec![]),
            "query to a stopped canister" => pic.query_call(*callee, *owner, "noop_query", vec![]),
            "delete a running canister" => manage(pic, *owner, *probe, "delete_canister", of(probe)),
            "stop by a stranger" => manage(pic, stranger, *probe, "stop_canister", of(probe)),
            "status by a stranger" => manage(pic, stranger, *probe, "canister_status", of(probe)),
            "start a running canister" => manage(pic, *owner, *probe, "start_canister", of(probe)),
            "stop a stopped canister" => manage(pic, *owner, *callee, "stop_canister", of(callee)),
            "unknown method" => manage(pic, *owner, *probe, "nope", of(probe)),
            "garbage argument" => manage_raw(pic, *owner, *probe, "stop_canister", b"garbage".to_vec()),
            "install onto a canister with code" => {
                install_code(pic, *owner, *probe, Mode::Install, wasm, &[])
            }
            "install something that is not wasm" => on_probe(b"this is not wasm"),
            "install a module with an unknown import" => {
                on_probe(&parse(r#"(module (import "ic0" "nope" (func)))"#))
            }
            "install a module importing from env" => {
                on_probe(&parse(r#"(module (import "env" "f" (func)))"#))
            }
            "install a module whose init traps" => {
                on_probe(&parse(r#"(module (func (export "canister_init") unreachable))"#))
            }
            "install a module with two memories" => on_probe(&parse("(module (memory 1) (memory 1))")),
            "upgrade where pre_upgrade traps" => {
                let trapping = parse(r#"(module (func (export "canister_pre_upgrade") unreachable))"#);
                install_code(pic, *owner, *stubborn, Mode::Install, &trapping, &[]).expect("it installs");
                install_code(pic, *owner, *stubborn, Mode::Upgrade(None), wasm, &[])
            }
            "the same with skip_pre_upgrade" => {
                install_code(pic, *owner, *stubborn, UPGRADE_SKIPPING_PRE_UPGRADE, wasm, &[])
            }
            "upgrade an empty canister" => install_code(pic, *owner, *empty, Mode::Upgrade(None), wasm, &[]),
            "snapshot of an empty canister" => self.take_snapshot(*empty),
            "load an unknown snapshot" => self.load_snapshot(vec![0; 18]),
            "update call to an empty canister" => pic.update_call(*empty, *owner, "noop", vec![]),
            "read a slice of 2,000,001 bytes" => {
                self.read_data(Slice::StableMemory { offset: 0, size: 2_000_001 })
            }
            "read past the end" => self.read_data(Slice::StableMemory { offset: 1 << 40, size: 1 }),
            "write to a taken snapshot" => {
                let place = Place::StableMemory { offset: 0 };
                management::upload_snapshot_data(pic, *owner, *probe, &self.taken, place, &[1])
            }
            "snapshot number 11" => {
                let list = manage(pic, *owner, *probe, "list_canister_snapshots", of(probe));
                let kept: Vec<Snapshot> = decode(&list.expect("the snapshots are listed"));
                for _ in kept.len()..10 {
                    self.take_snapshot(*probe).expect("up to ten snapshots can be taken");
                }
                self.take_snapshot(*probe)
            }
            other => panic!("no such case: {other}"),
        }
    }

    fn take_snapshot(&self, canister_id: Principal) -> Result<Vec<u8>, RejectResponse> {
        manage(&self.pic, self.owner, canister_id, "take_canister_snapshot", (TakeSnapshot::of(canister_id),))
    }

    fn load_snapshot(&self, snapshot_id: Vec<u8>) -> Result<Vec<u8>, RejectResponse> {
        let args = LoadSnapshot { canister_id: self.probe, snapshot_id, sender_canister_version: None };
        manage(&self.pic, self.owner, self.probe, "load_canister_snapshot", (args,))
    }

    fn read_data(&self, slice: Slice) -> Result<Vec<u8>, RejectResponse> {
        management::read_snapshot_data(&self.pic, self.owner, self.probe, &self.taken, slice)
    }

    /// A case of the series: take, read, upload a one-page snapshot of the empty module, load and delete it.
    fn replay_snapshot(&mut self, case: &Case) -> Measured {
        let (method, pages) = case.case.split_once(", ").expect("a method and a number of pages");
        let (owner, probe) = (self.owner, self.probe);
        let arg_bytes = case.arg_bytes.expect("an argument");
        let size = case.reply_bytes.expect("a reply").saturating_sub(CANDID_OVERHEAD_BYTES) as u64;
        match method {
            "take_canister_snapshot" => {
                let pages: u32 = pages.trim_end_matches(" stable pages").parse().expect("a number of pages");
                self.reinstall_with_stable_pages(probe, pages);
                let measured = self.charged(probe, |b| b.take_snapshot(probe));
                self.taken = decode::<Snapshot>(reply(&measured)).id;
                measured
            }
            "read_canister_snapshot_metadata" => self.charged(probe, |b| {
                let args = OfSnapshot { canister_id: probe, snapshot_id: b.taken.clone() };
                manage(&b.pic, owner, probe, method, (args,))
            }),
            "read_canister_snapshot_data" => {
                self.charged(probe, |b| b.read_data(Slice::StableMemory { offset: 0, size }))
            }
            "upload_canister_snapshot_metadata" => {
                let metadata = UploadMetadata::new(probe, EMPTY_MODULE.len() as u64, PAGE_BYTES as u64);
                let measured = self.charged(probe, |b| management::upload_metadata(&b.pic, owner, &metadata));
                self.uploaded = decode::<SnapshotId>(reply(&measured)).snapshot_id;
                measured
            }
            "upload_canister_snapshot_data" => {
                let (place, chunk) = if arg_bytes < PAGE_BYTES {
                    (Place::WasmModule { offset: 0 }, EMPTY_MODULE.to_vec())
                } else {
                    (Place::StableMemory { offset: 0 }, vec![1; PAGE_BYTES])
                };
                self.charged(probe, |b| {
                    management::upload_snapshot_data(&b.pic, owner, probe, &b.uploaded, place, &chunk)
                })
            }
            "load_canister_snapshot" => self.charged(probe, |b| b.load_snapshot(b.uploaded.clone())),
            "delete_canister_snapshot" => self.charged(probe, |b| {
                let args = OfSnapshot { canister_id: probe, snapshot_id: b.uploaded.clone() };
                manage(&b.pic, owner, probe, method, (args,))
            }),
            other => panic!("no such case: {other}"),
        }
    }

    fn reinstall_with_stable_pages(&self, canister: Principal, pages: u32) {
        install_code(&self.pic, self.owner, canister, Mode::Reinstall, &self.wasm, &[])
            .expect("the probe installs");
        self.pic
            .update_call(canister, self.owner, "grow_stable", pages.to_le_bytes().to_vec())
            .expect("stable memory grows");
    }

    /// A canister that knows only its creation and one install: the recorded history has these two entries.
    fn replay_status(&self) -> Measured {
        install_code(&self.pic, self.owner, self.fresh, Mode::Install, &self.wasm, &[]).expect("it installs");
        self.pic
            .update_call(self.fresh, self.owner, "grow_stable", STATUS_PAGES.to_le_bytes().to_vec())
            .expect("stable memory grows");
        let status = management::status(&self.pic, self.owner, self.fresh).expect("the owner may ask");
        let memory = &status.memory_metrics;
        let numbers = [
            ("binary", &memory.wasm_binary_size),
            ("custom_sections", &memory.custom_sections_size),
            ("globals", &memory.global_memory_size),
            ("history", &memory.canister_history_size),
            ("stable", &memory.stable_memory_size),
            ("wasm_memory", &memory.wasm_memory_size),
            ("memory_size", &status.memory_size),
            ("idle_cycles_burned_per_day", &status.idle_cycles_burned_per_day),
        ];
        Measured { outcome: None, numbers: numbers.map(|(name, nat)| (name, number(nat))).into() }
    }

    /// Storage is charged from time to time, hence the bounded wait for the balance to fall.
    fn replay_one_day(&self) -> Measured {
        let before = self.pic.cycle_balance(self.fresh);
        self.pic.advance_time(Duration::from_secs(24 * 60 * 60));
        let mut spent = 0;
        for _ in 0..20 {
            self.pic.tick();
            spent = before.saturating_sub(self.pic.cycle_balance(self.fresh));
            if spent > 0 {
                break;
            }
        }
        Measured { outcome: None, numbers: [("cycles", spent)].into() }
    }

    fn replay_management_cost(&self, method: &str) -> Measured {
        let canister_id = self.fresh;
        self.charged(canister_id, |b| match method {
            "upload_chunk" => {
                let args = UploadChunk { canister_id, chunk: vec![0; 1_000_000] };
                manage(&b.pic, b.owner, canister_id, method, (args,))
            }
            _ => manage(&b.pic, b.owner, canister_id, method, (OfCanister { canister_id },)),
        })
    }

    /// Compares every figure that the case recorded.
    fn compare(&self, label: &str, case: &Case, measured: &Measured) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut row = |field, recorded: String, measured: String, agrees| {
            rows.push(Row { case: label.to_owned(), field, recorded, measured, agrees });
        };
        for (field, recorded) in case.numbers() {
            let measured = measured.numbers.get(field).copied();
            let agrees = measured.is_some_and(|measured| is_close(recorded, measured));
            row(field, recorded.to_string(), show(measured), agrees);
        }
        let Some(outcome) = &measured.outcome else {
            return rows;
        };
        let Some(recorded) = &case.result else {
            let measured = outcome.as_ref().map_or_else(|r| r.reject_message.clone(), |_| "a reply".into());
            row("outcome", "a reply".into(), measured, outcome.is_ok());
            return rows;
        };
        let exact = |a: &str, b: &str| (a.to_owned(), b.to_owned(), a == b);
        match outcome {
            Err(reject) => {
                let message = self.with_roles(first_line(&reject.reject_message));
                let recorded_message = recorded.message.as_deref().map(|m| recorded_roles(first_line(m)));
                let fields = [
                    ("reject code", recorded.reject_code.clone(), format!("{:?}", reject.reject_code)),
                    ("error code", recorded.error_code.clone(), format!("{:?}", reject.error_code)),
                    ("message", recorded_message, message),
                ];
                for (field, recorded, measured) in fields {
                    let (recorded, measured, agrees) = exact(&recorded.unwrap_or_default(), &measured);
                    row(field, recorded, measured, agrees);
                }
            }
            Ok(_) if recorded.reject_code.is_some() => {
                row("reject code", recorded.reject_code.clone().unwrap_or_default(), "a reply".into(), false);
            }
            Ok(reply) => {
                if let Some(recorded) = recorded.u64 {
                    let measured = <[u8; 8]>::try_from(reply.as_slice()).ok().map(u64::from_le_bytes);
                    let agrees = measured.is_some_and(|m| is_close(recorded.into(), m.into()));
                    row("number in the reply", recorded.to_string(), show(measured), agrees);
                } else if let (Some(text), Some(_)) = (&recorded.text, &case.via) {
                    let (recorded, measured, agrees) = exact(
                        &recorded_roles(first_line(text)),
                        &self.with_roles(first_line(&String::from_utf8_lossy(reply))),
                    );
                    row("reject in the reply", recorded, measured, agrees);
                } else if let (Some(bytes), Some(_), None) = (recorded.reply_bytes, case.arg_bytes, &case.via)
                    && !case.case.starts_with("management cost")
                {
                    let (recorded, measured, agrees) = exact(&bytes.to_string(), &reply.len().to_string());
                    row("bytes of the reply", recorded, measured, agrees);
                }
            }
        }
        rows
    }

    /// `text` with the ids of this run replaced by roles.
    fn with_roles(&self, text: &str) -> String {
        let ids = [self.probe, self.callee, self.stubborn, self.empty];
        ids.iter()
            .zip(RECORDED_IDS)
            .fold(text.to_owned(), |text, (id, (_, role))| text.replace(&id.to_text(), role))
    }
}

impl Case {
    /// The recorded figures, by name.
    fn numbers(&self) -> Vec<(&'static str, u128)> {
        let parse = |text: &String| text.replace('_', "").parse::<u128>().expect("a number");
        let figures = [
            ("wasm_bytes", self.wasm_bytes),
            ("cycles", self.cycles),
            ("cycles_caller", self.cycles_caller),
            ("cycles_callee", self.cycles_callee),
            ("binary", self.binary.as_ref().map(parse)),
            ("custom_sections", self.custom_sections.as_ref().map(parse)),
            ("globals", self.globals.as_ref().map(parse)),
            ("history", self.history.as_ref().map(parse)),
            ("stable", self.stable.as_ref().map(parse)),
            ("wasm_memory", self.wasm_memory.as_ref().map(parse)),
            ("memory_size", self.memory_size.as_ref().map(parse)),
            ("idle_cycles_burned_per_day", self.idle_cycles_burned_per_day.as_ref().map(parse)),
        ];
        figures.into_iter().filter_map(|(name, figure)| Some((name, figure?))).collect()
    }
}

/// The argument of a method of the probe: the number at the end of the case's name, or zeros.
fn probe_argument(name: &str, arg_bytes: usize) -> Vec<u8> {
    if arg_bytes != 4 {
        return vec![0; arg_bytes];
    }
    let (_, number) = name.rsplit_once(' ').expect("a method and a number");
    number.parse::<u32>().expect("a number").to_le_bytes().to_vec()
}

/// The argument of `call` and `call_best_effort` of the probe.
fn call_argument(callee: Principal, method: &str, payload: &[u8]) -> Vec<u8> {
    let mut arg = Vec::with_capacity(payload.len() + 64);
    for part in [callee.as_slice(), method.as_bytes()] {
        arg.push(u8::try_from(part.len()).expect("a short name"));
        arg.extend_from_slice(part);
    }
    arg.extend_from_slice(payload);
    arg
}

fn encode(args: impl CandidType) -> Vec<u8> {
    candid::encode_one(args).expect("arguments encode")
}

fn reply(measured: &Measured) -> &[u8] {
    measured.outcome.as_ref().expect("an outcome").as_ref().expect("a reply")
}

fn number(nat: &Nat) -> u128 {
    nat.0.to_string().parse().expect("a number below 2^128")
}

fn is_close(recorded: u128, measured: u128) -> bool {
    recorded.abs_diff(measured) * 100 <= recorded * TOLERANCE_PERCENT
}

fn show<T: ToString>(figure: Option<T>) -> String {
    figure.map_or_else(|| "none".to_owned(), |figure| figure.to_string())
}

fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or_default()
}

/// A recorded text with the recorded ids replaced by roles.
fn recorded_roles(text: &str) -> String {
    RECORDED_IDS.iter().fold(text.to_owned(), |text, (id, role)| text.replace(id, role))
}

/// The argument of `create_canister` as the recording's client encoded it.
#[derive(CandidType, Default)]
struct CreateCanister {
    settings: Option<CanisterSettings>,
    sender_canister_version: Option<u64>,
}

/// The argument of `take_canister_snapshot` as the recording's client encoded it: 56 bytes are charged for.
#[derive(CandidType)]
struct TakeSnapshot {
    canister_id: Principal,
    replace_snapshot: Option<Vec<u8>>,
    uninstall_code: Option<bool>,
    sender_canister_version: Option<u64>,
}

impl TakeSnapshot {
    fn of(canister_id: Principal) -> Self {
        Self { canister_id, replace_snapshot: None, uninstall_code: None, sender_canister_version: None }
    }
}

#[derive(CandidType)]
struct LoadSnapshot {
    canister_id: Principal,
    snapshot_id: Vec<u8>,
    sender_canister_version: Option<u64>,
}

#[derive(CandidType)]
struct UploadChunk {
    canister_id: Principal,
    chunk: Vec<u8>,
}
