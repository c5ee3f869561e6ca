//! What the replica costs: canisters created a second, update calls a second, their price against the bare
//! function under wasmtime, and resident memory a canister. Figures, not tests.
//!
//! `scripts/bench replica [CANISTERS]` (10,000 by default).

#[path = "support/resident.rs"]
mod resident;

use std::time::{Duration, Instant};

use candid::Principal;
use decant_replica::Replica;
use decant_replica::instance::{EffectivePrincipal, UserCall};
use pocket_ic::{PocketIc, PocketIcBuilder};
use resident::resident_bytes;
use wasmtime::{Caller, Engine, Linker, Module, Store};

const ARGUMENT: [u8; 1024] = [3; 1024];
const CALLS: u32 = 20_000;

fn main() {
    let canisters = std::env::args().skip(1).find_map(|arg| arg.parse::<u32>().ok()).unwrap_or(10_000);
    let wasm = wat::parse_str(include_str!("store.wat")).expect("the canister parses");
    let replica = Replica::start().expect("the replica starts");
    let url = replica.url().parse().expect("it has a URL");
    let pic = PocketIcBuilder::new().with_server_url(url).with_application_subnet().build();

    let resident_before = resident_bytes();
    let start = Instant::now();
    let ids: Vec<Principal> = (0..canisters)
        .map(|_| {
            let id = pic.create_canister();
            pic.install_canister(id, wasm.clone(), Vec::new(), None);
            id
        })
        .collect();
    let creation = start.elapsed();
    let resident = resident_bytes().saturating_sub(resident_before);

    let by_client = time_by_client(&pic, &ids);
    let one = ids.first().copied().expect("at least one canister");
    let in_process = replica
        .with_instance(pic.instance_id(), |instance| {
            let start = Instant::now();
            for _ in 0..CALLS {
                let call = UserCall {
                    sender: Principal::anonymous(),
                    canister_id: one,
                    effective_principal: EffectivePrincipal::Canister(one),
                    method: "store".to_owned(),
                    payload: ARGUMENT.to_vec(),
                };
                let id = instance.submit(call).expect("it is routed").expect("the call is taken");
                instance.await_ingress(&id).expect("it is known").expect("it replies");
            }
            start.elapsed() / CALLS
        })
        .expect("the instance is there");
    let bare = time_bare(&wasm);

    println!("canisters                        {canisters}");
    println!("created and installed a second   {:.0}", f64::from(canisters) / creation.as_secs_f64());
    println!("update calls a second, client    {:.0}", 1.0 / by_client.as_secs_f64());
    println!("update calls a second, process   {:.0}", 1.0 / in_process.as_secs_f64());
    println!("update call / bare function      {:.1}", in_process.as_secs_f64() / bare.as_secs_f64());
    println!("resident KiB a canister          {:.1}", resident as f64 / 1024.0 / f64::from(canisters));
    println!("resident MiB in all              {:.0}", resident_bytes() as f64 / 1024.0 / 1024.0);
}

/// Calls through the client, going round all canisters.
fn time_by_client(pic: &PocketIc, ids: &[Principal]) -> Duration {
    let calls = (CALLS / 10).max(1);
    let start = Instant::now();
    for id in ids.iter().cycle().take(calls as usize) {
        pic.update_call(*id, Principal::anonymous(), "store", ARGUMENT.to_vec()).expect("it replies");
    }
    start.elapsed() / calls
}

/// The exported function under wasmtime alone, with host functions that only copy.
fn time_bare(wasm: &[u8]) -> Duration {
    let engine = Engine::default();
    let module = Module::new(&engine, wasm).expect("it compiles");
    let mut linker: Linker<Vec<u8>> = Linker::new(&engine);
    let memory = |caller: &mut Caller<'_, Vec<u8>>| {
        caller.get_export("memory").and_then(wasmtime::Extern::into_memory).expect("a memory")
    };
    linker.func_wrap("ic0", "msg_arg_data_size", || ARGUMENT.len() as u32).expect("links");
    linker
        .func_wrap(
            "ic0",
            "msg_arg_data_copy",
            move |mut caller: Caller<'_, Vec<u8>>, to: u32, from: u32, size: u32| {
                let bytes = &ARGUMENT[from as usize..(from + size) as usize];
                memory(&mut caller).write(&mut caller, to as usize, bytes).expect("in bounds");
            },
        )
        .expect("links");
    linker
        .func_wrap(
            "ic0",
            "msg_reply_data_append",
            move |mut caller: Caller<'_, Vec<u8>>, from: u32, size: u32| {
                let mut bytes = vec![0; size as usize];
                memory(&mut caller).read(&caller, from as usize, &mut bytes).expect("in bounds");
                caller.data_mut().extend(bytes);
            },
        )
        .expect("links");
    linker.func_wrap("ic0", "msg_reply", || ()).expect("links");
    linker.func_wrap("ic0", "stable64_grow", |_: i64| 0i64).expect("links");
    linker.func_wrap("ic0", "stable64_write", |_: i64, _: i64, _: i64| ()).expect("links");
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &module).expect("it instantiates");
    let function = instance.get_typed_func::<(), ()>(&mut store, "canister_update store").expect("exported");
    let start = Instant::now();
    for _ in 0..CALLS {
        function.call(&mut store, ()).expect("it returns");
        store.data_mut().clear();
    }
    start.elapsed() / CALLS
}
