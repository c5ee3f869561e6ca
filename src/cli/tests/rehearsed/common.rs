//! Canisters as somebody has them: with state, upgraded once, their snapshots downloaded.

use candid::Principal;
use decant_cli::candid_text::encode;
use decant_cli::engine::Engine;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Generation, Modules, Options, Silent, fleet};
use pocket_ic::CanisterSettings;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Who has all tokens of the ledger.
const MINTER: &str = "akpmh-tfra6-2m65a-ieihu-abvdd-v2fbz-7nusn-3ab3h-crzsx-37eem-fae";
/// Cycles of a canister.
const CYCLES: u128 = 1_000_000_000_000_000;
/// Modules besides those of rehearsals.
const MODULES: [&str; 4] = ["ledger", "shapes", "regions", "user-structures"];

/// What is asked of them, and what their users write.
const ASK: &str = "# Asked of each, and written to each, as its users do.
[incident]
query balance ()
query posts (0 : nat64, 10 : nat32)
update post (\"hello\")

[ledger]
as akpmh-tfra6-2m65a-ieihu-abvdd-v2fbz-7nusn-3ab3h-crzsx-37eem-fae
query total_supply ()
query balance_of (principal \"aaaaa-aa\")
query block_count ()
update transfer (principal \"aaaaa-aa\", 1 : nat, null)

[shapes]
query digest ()
query spec ()
update grow (7 : nat64, 3 : nat64)
update grow (8 : nat64, 2 : nat64)
";

/// A directory with canisters, which is gone when the test is over.
pub(crate) struct Fleet {
    directory: PathBuf,
    arguments: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn modules() -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        for arguments in [&["--rehearsal"][..], &MODULES] {
            let built = Command::new(root().join("scripts/build")).args(arguments).status();
            assert!(built.expect("scripts/build runs").success(), "the canisters build");
        }
    });
    root().join("target/canisters")
}

fn module(name: &str) -> Vec<u8> {
    fs::read(modules().join(format!("{name}.wasm"))).expect("scripts/build leaves every module")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the command in the fleet's directory.
pub(crate) fn decant(fleet: &Fleet, arguments: &[&str], more: &[&str]) -> Output {
    command(fleet).args(arguments).args(more).output().expect("decant runs")
}

/// Begins it; what it prints can be read meanwhile.
pub(crate) fn spawn(fleet: &Fleet, arguments: &[&str]) -> Child {
    command(fleet).args(arguments).stdout(Stdio::piped()).spawn().expect("decant runs")
}

pub(crate) fn command(fleet: &Fleet) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_decant"));
    command.arg("dry-run").arg("--modules").arg(modules());
    command.args(&fleet.arguments).current_dir(&fleet.directory);
    command
}

impl Fleet {
    fn new(arguments: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rehearsed-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).expect("a directory for the test");
        Self { directory, arguments: arguments.iter().map(ToString::to_string).collect() }
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.directory.join(name), bytes).expect("the file is written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join(name)).expect("the command wrote it")
    }

    /// What lies there, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries =
            fs::read_dir(&self.directory).expect("it is there").map(|entry| entry.expect("it is read"));
        let mut names: Vec<String> =
            entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A module, and what is asked of it.
    pub(crate) fn of_modules() -> Self {
        let fleet = Self::new(&[]);
        fleet.write("regions.wasm", module("regions"));
        fleet.write("regions.txt", "query notes ()\nupdate note (\"noted\")\n");
        fleet
    }

    /// A canister that keeps a cell behind the last bucket of its manager.
    pub(crate) fn with_state_behind() -> Self {
        let spec = "(record { prefix_pages = 0 : nat64; bucket_pages = 128 : nat16; is_nested = false; \
                    behind_page = opt (400 : nat64); opens_at_init = true })";
        let it = Self::new(&["--fleet", "snapshots", "--ask", "ask.txt", "--upgrade-arg", spec]);
        it.write("ask.txt", "query notes ()\n");
        let modules = Modules::read(&modules()).expect("every module is there");
        let engine = Engine::start().expect("the engine starts");
        let world = World::new(&engine, &modules, &Options::default()).expect("the world is made");
        let regions = install(&world, "regions", spec);
        call(&world, regions, world.operator, "note", "(\"noted\")");
        it.download(&world, "regions", regions);
        it
    }

    /// The canister of the incident, a ledger, and one of any shape.
    pub(crate) fn downloaded() -> Self {
        let it = Self::new(&["--fleet", "snapshots", "--ask", "ask.txt"]);
        it.write("ask.txt", ASK);
        let modules = Modules::read(&modules()).expect("every module is there");
        let engine = Engine::start().expect("the engine starts");
        let options = Options { canisters: 1, generation: Generation::Managed, ..Options::default() };
        let world = World::new(&engine, &modules, &options).expect("the world is made");
        let mut incident =
            fleet::Fleet::create(&world, &modules, &options, &mut Silent).expect("it is created");
        incident.bloat(&world, &modules, &options, &mut Silent).expect("it is upgraded");
        it.download(&world, "incident", incident.users[0].original);

        let minter = Principal::from_text(MINTER).expect("it is a principal");
        let init = format!(
            "(variant {{ Init = record {{ initial_supply = 1000 : nat; name = \"Test\"; minter = principal \"{MINTER}\" }} }})"
        );
        let ledger = install(&world, "ledger", &init);
        for _ in 0..10 {
            call(&world, ledger, minter, "transfer", "(principal \"aaaaa-aa\", 2 : nat, null)");
        }
        upgrade(&world, ledger, "ledger", "(variant { Upgrade = null })");
        it.download(&world, "ledger", ledger);

        let spec = "(record { bucket_pages = 128 : nat16; timer_at_nanos = null; memories = vec {
            record { id = 1 : nat8; second = null; kind = variant { BTreeMap } };
            record { id = 9 : nat8; second = null; kind = variant { BTreeMap } };
            record { id = 7 : nat8; second = null; kind = variant { BTreeMap } } } })";
        let shapes = install(&world, "shapes", spec);
        call(&world, shapes, world.operator, "grow", "(1 : nat64, 300 : nat64)");
        it.download(&world, "shapes", shapes);
        it
    }

    fn download(&self, world: &World, name: &str, canister: Principal) {
        let (pic, operator) = (&world.pic, world.operator);
        let taken = pic.take_canister_snapshot(canister, Some(operator), None).expect("a snapshot is taken");
        let directory = self.directory.join("snapshots").join(name);
        pic.canister_snapshot_download(canister, operator, taken.id, directory);
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // What is left behind lies below target.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn install(world: &World, name: &str, init: &str) -> Principal {
    let settings =
        CanisterSettings { controllers: Some(vec![world.operator]), ..CanisterSettings::default() };
    let canister = world.pic.create_canister_with_settings(Some(world.operator), Some(settings));
    world.pic.add_cycles(canister, CYCLES);
    let init = encode(init).expect("it is Candid");
    world.pic.install_canister(canister, module(name), init, Some(world.operator));
    canister
}

fn upgrade(world: &World, canister: Principal, name: &str, argument: &str) {
    let argument = encode(argument).expect("it is Candid");
    let upgraded = world.pic.upgrade_canister(canister, module(name), argument, Some(world.operator));
    upgraded.expect("it is upgraded");
}

fn call(world: &World, canister: Principal, sender: Principal, method: &str, argument: &str) {
    let argument = encode(argument).expect("it is Candid");
    world.pic.update_call(canister, sender, method, argument).expect("it is taken");
}
