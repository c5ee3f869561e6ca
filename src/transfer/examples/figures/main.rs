//! Prints the figures behind `docs/chunks.md`: instructions of the Internet Computer a byte of state, and
//! bytes on the wire a byte of state, on 1 MiB of each kind of state that dapps hold.
//!
//! ```text
//! cargo build --profile canister --target wasm32-unknown-unknown -p decant-transfer --features figures \
//!     --example figures_guest
//! cargo run -p decant-transfer --features figures --example figures -- \
//!     target/wasm32-unknown-unknown/canister/examples/figures_guest.wasm
//! ```
//!
//! Files that are named after the module are measured besides: stable memory of a dapp, its first MiB.

mod state;
mod weights;

use wasmtime::{Config, Engine, Instance, Module, Store, TypedFunc};

/// Bytes of state that is measured.
const STATE_BYTES: usize = 1 << 20;

struct Guest {
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    fn new(module: &Module, state: &[u8]) -> wasmtime::Result<Self> {
        let mut store = Store::new(module.engine(), ());
        store.set_fuel(u64::MAX)?;
        let instance = Instance::new(&mut store, module, &[])?;
        let mut guest = Self { store, instance };
        let (address, _) = guest.call("state_address", state.len())?;
        let memory = guest.instance.get_memory(&mut guest.store, "memory").expect("wasm exports its memory");
        memory.write(&mut guest.store, address, state)?;
        Ok(guest)
    }

    /// Calls a function; answers its result and the instructions it took.
    fn call(&mut self, name: &str, argument: usize) -> wasmtime::Result<(usize, u64)> {
        let function: TypedFunc<u32, u32> = self.instance.get_typed_func(&mut self.store, name)?;
        let before = self.store.get_fuel()?;
        let result = function.call(&mut self.store, argument as u32)?;
        Ok((result as usize, before - self.store.get_fuel()?))
    }

    /// Bytes that came out and instructions it took, both a byte of state.
    fn per_byte(&mut self, name: &str, chunk_pages: usize) -> wasmtime::Result<(f64, f64)> {
        let (bytes, instructions) = self.call(name, chunk_pages)?;
        Ok((bytes as f64 / STATE_BYTES as f64, instructions as f64 / STATE_BYTES as f64))
    }
}

fn main() -> wasmtime::Result<()> {
    let mut paths = std::env::args().skip(1);
    let path = paths.next().expect("usage: figures GUEST_WASM [STATE_FILE...]");
    let mut kinds = state::kinds(STATE_BYTES);
    for file in paths {
        let mut state = std::fs::read(&file)?;
        state.resize(STATE_BYTES, 0);
        kinds.push(("file", state));
    }
    let mut config = Config::new();
    config.consume_fuel(true).operator_cost(weights::operator_weights());
    let module = Module::from_file(&Engine::new(&config)?, path)?;
    println!("instructions a byte (bytes a byte)");
    println!(
        "{:11}{:>6}{:>9}{:>8}{:>15}{:>15}{:>15}{:>8}{:>15}{:>8}",
        "state", "pages", "sha256", "blake3", "deflate", "lz4", "snappy", "scan", "pack", "unpack"
    );
    for (kind, state) in kinds {
        for chunk_pages in [1, 2, 4, 8, 16] {
            let mut guest = Guest::new(&module, &state)?;
            let (_, sha256) = guest.per_byte("sha256", chunk_pages)?;
            let (_, blake3) = guest.per_byte("blake3", chunk_pages)?;
            let (deflate_bytes, deflate) = guest.per_byte("deflate", chunk_pages)?;
            let (lz4_bytes, lz4) = guest.per_byte("lz4", chunk_pages)?;
            let (snappy_bytes, snappy) = guest.per_byte("snappy", chunk_pages)?;
            let (_, scan) = guest.per_byte("scan", chunk_pages)?;
            let (wire_bytes, pack) = guest.per_byte("pack_batch", chunk_pages)?;
            let (unpacked, unpack) = guest.per_byte("unpack_batch", chunk_pages)?;
            let (identity, _) = guest.call("is_identity", 0)?;
            assert_eq!((unpacked, identity), (1.0, 1), "what was packed is unpacked");
            println!(
                "{kind:11}{chunk_pages:>6}{sha256:>9.1}{blake3:>8.1}{deflate:>7.1} ({deflate_bytes:.3}) \
                 {lz4:>6.1} ({lz4_bytes:.3}) {snappy:>6.1} ({snappy_bytes:.3}) \
                 {scan:>6.1}{pack:>7.1} ({wire_bytes:.3}){unpack:>8.1}"
            );
        }
    }
    Ok(())
}
