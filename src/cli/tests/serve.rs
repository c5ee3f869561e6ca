//! The server in place of PocketIC's, started as clients start that one.

use pocket_ic::{PocketIcBuilder, StartServerParams, start_server};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const SERVER: &str = env!("CARGO_BIN_EXE_pocket-ic-decant");

/// How long a server may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(30);

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "still waiting for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn port_file(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.port", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn start(file: &Path, arguments: &[&str]) -> Child {
    Command::new(SERVER).arg("--port-file").arg(file).args(arguments).spawn().expect("it starts")
}

fn port(file: &Path) -> u16 {
    wait_for("the port", || fs::read_to_string(file).ok()?.strip_suffix('\n')?.parse().ok())
}

/// The client starts the server that it is given, and asks it for its version first.
#[tokio::test]
async fn the_client_of_pocket_ic_takes_it_for_the_server() {
    let binary = Some(PathBuf::from(SERVER));
    let params = StartServerParams { server_binary: binary, ttl: Some(PATIENCE), ..Default::default() };
    let (mut server, url) = start_server(params).await;
    let pic = PocketIcBuilder::new().with_server_url(url).with_application_subnet().build_async().await;
    let canister = pic.create_canister().await;
    assert!(pic.canister_exists(canister).await);
    pic.drop().await;
    server.kill().expect("it is there");
    server.wait().expect("it ends");
}

#[test]
fn it_claims_the_version_that_a_client_wants() {
    let version = |variable: Option<&str>| {
        let mut command = Command::new(SERVER);
        command.arg("--version").env_remove("DECANT_POCKET_IC_VERSION");
        variable.map(|value| command.env("DECANT_POCKET_IC_VERSION", value));
        String::from_utf8(command.output().expect("it answers").stdout).expect("text")
    };
    assert_eq!(version(None), "pocket-ic-server 16.1.0\n");
    assert_eq!(version(Some("10.0.0")), "pocket-ic-server 10.0.0\n");
}

/// Clients of one process share a server: the first makes the file, the others find it, whatever address it listens on.
#[test]
fn a_second_server_for_the_same_file_ends_at_once() {
    for ip in ["127.0.0.1", "127.0.0.2", "0.0.0.0"] {
        let file = port_file("second");
        let start = |ttl: &str| start(&file, &["--ttl", ttl, "--ip-addr", ip]);
        let mut first = start("60");
        let of_first = port(&file);
        assert!(start("60").wait().expect("it ends").success(), "{ip}");
        assert_eq!(port(&file), of_first, "{ip}");
        first.kill().expect("it is there");
        first.wait().expect("it ends");
        // It was killed, and left its file behind: numbers of processes come again, and this one is in nobody's way.
        assert!(file.exists());
        let mut next = start("60");
        wait_for("another port", || (port(&file) != of_first).then_some(()));
        next.kill().expect("it is there");
        next.wait().expect("it ends");
    }
}

#[test]
fn it_ends_when_nobody_asks_for_anything_and_takes_its_file_along() {
    let file = port_file("unused");
    let mut unused = start(&file, &["--ttl", "0"]);
    assert!(unused.wait().expect("it ends").success());
    assert!(!file.exists());
    let mut at_last = start(&file, &["--ttl", "600", "--hard-ttl", "1"]);
    assert!(at_last.wait().expect("it ends").success());
    assert!(!file.exists());
}

#[test]
fn it_ends_when_it_is_told_to() {
    let file = port_file("told");
    let mut server = start(&file, &["--ttl", "600"]);
    port(&file);
    let id = server.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
    assert!(server.wait().expect("it ends").success());
    assert!(!file.exists());
}
