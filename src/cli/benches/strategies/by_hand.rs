//! What a team does without a coordinator: one canister after the other, by a person's messages. The canister is stopped,
//! its snapshot read slice by slice, the image repacked on the host, written slice by slice into a second snapshot, and loaded.

use anyhow::{Context, anyhow, bail};
use candid::{CandidType, Principal};
use decant_cli::rehearsal::world::World;
use decant_layout::{Layout, PAGE_BYTES, copies};
use pocket_ic::common::rest::RawEffectivePrincipal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use std::time::Duration;

/// Bytes of a slice: what a message and an answer take beside their other fields (spec: 2 MiB).
const SLICE_BYTES: u64 = 1_900_000;
/// Rounds in which a message is answered.
const ROUNDS: u32 = 1_000;

/// What it took.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Messages of the person.
    pub(crate) messages: u64,
    /// Bytes that passed between the person and the platform.
    pub(crate) bytes: u64,
    /// Rounds of all messages.
    pub(crate) rounds: u64,
    /// Of these, from the stop of a canister to its start, at most.
    pub(crate) waited_rounds: u64,
}

impl Taken {
    /// One canister after the other.
    pub(crate) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.rounds += other.rounds;
        self.waited_rounds = self.waited_rounds.max(other.waited_rounds);
    }
}

#[derive(CandidType)]
struct OfCanister {
    canister_id: Principal,
}

#[derive(CandidType)]
struct Take {
    canister_id: Principal,
    replace_snapshot: Option<ByteBuf>,
}

#[derive(CandidType)]
struct OfSnapshot {
    canister_id: Principal,
    snapshot_id: ByteBuf,
}

#[derive(Deserialize, CandidType)]
struct Made {
    id: ByteBuf,
}

#[derive(Deserialize, CandidType)]
struct Uploaded {
    snapshot_id: ByteBuf,
}

#[derive(CandidType, Deserialize, Clone)]
enum Global {
    #[serde(rename = "i32")]
    I32(i32),
    #[serde(rename = "i64")]
    I64(i64),
    #[serde(rename = "f32")]
    F32(f32),
    #[serde(rename = "f64")]
    F64(f64),
    #[serde(rename = "v128")]
    V128(candid::Nat),
}

#[derive(CandidType, Deserialize)]
struct Metadata {
    wasm_module_size: u64,
    globals: Vec<Option<Global>>,
    wasm_memory_size: u64,
    stable_memory_size: u64,
    certified_data: ByteBuf,
}

#[derive(CandidType)]
struct NewMetadata {
    canister_id: Principal,
    wasm_module_size: u64,
    globals: Vec<Global>,
    wasm_memory_size: u64,
    stable_memory_size: u64,
    certified_data: ByteBuf,
}

#[derive(CandidType)]
struct Slice {
    offset: u64,
    size: u64,
}

#[derive(CandidType)]
struct Place {
    offset: u64,
}

#[derive(CandidType, Deserialize)]
enum Part<T> {
    #[serde(rename = "wasm_module")]
    Module(T),
    #[serde(rename = "wasm_memory")]
    Heap(T),
    #[serde(rename = "stable_memory")]
    Stable(T),
}

#[derive(CandidType)]
struct Read {
    canister_id: Principal,
    snapshot_id: ByteBuf,
    kind: Part<Slice>,
}

#[derive(CandidType, Deserialize)]
struct Chunk {
    chunk: ByteBuf,
}

#[derive(CandidType)]
struct Write {
    canister_id: Principal,
    snapshot_id: ByteBuf,
    kind: Part<Place>,
    chunk: ByteBuf,
}

#[derive(CandidType)]
struct Load {
    canister_id: Principal,
    snapshot_id: ByteBuf,
    sender_canister_version: Option<u64>,
}

/// A person at work on one canister.
struct Person<'a> {
    world: &'a World,
    canister: Principal,
    taken: Taken,
}

impl Person<'_> {
    /// Sends a message to the management canister and waits for its answer, round by round.
    fn call<R: CandidType + DeserializeOwned>(
        &mut self,
        method: &str,
        argument: &impl CandidType,
    ) -> anyhow::Result<R> {
        let reply = self.send(method, argument)?;
        candid::decode_one(&reply).with_context(|| format!("{method} answers something else"))
    }

    fn tell(&mut self, method: &str, argument: &impl CandidType) -> anyhow::Result<()> {
        self.send(method, argument).map(|_| ())
    }

    fn send(&mut self, method: &str, argument: &impl CandidType) -> anyhow::Result<Vec<u8>> {
        let argument = candid::encode_one(argument)?;
        let sent = argument.len() as u64;
        let pic = &self.world.pic;
        let effective = RawEffectivePrincipal::CanisterId(self.canister.as_slice().to_vec());
        let management = Principal::management_canister();
        let message = pic
            .submit_call_with_effective_principal(
                management,
                effective,
                self.world.operator,
                method,
                argument,
            )
            .map_err(|error| anyhow!("{method}: {error}"))?;
        for _ in 0..ROUNDS {
            pic.advance_time(Duration::from_secs(1));
            pic.tick();
            self.taken.rounds += 1;
            if let Some(answer) = pic.ingress_status(message.clone()) {
                let reply = answer.map_err(|error| anyhow!("{method}: {error}"))?;
                self.taken.messages += 1;
                self.taken.bytes += sent + reply.len() as u64;
                return Ok(reply);
            }
        }
        bail!("{method} is not answered")
    }

    fn read(
        &mut self,
        snapshot_id: &ByteBuf,
        part: fn(Slice) -> Part<Slice>,
        from: u64,
        to: u64,
    ) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while from + (bytes.len() as u64) < to {
            let offset = from + bytes.len() as u64;
            let slice = Slice { offset, size: SLICE_BYTES.min(to - offset) };
            let (canister_id, snapshot_id) = (self.canister, snapshot_id.clone());
            let read = Read { canister_id, snapshot_id, kind: part(slice) };
            let chunk: Chunk = self.call("read_canister_snapshot_data", &read)?;
            bytes.extend_from_slice(&chunk.chunk);
        }
        Ok(bytes)
    }

    fn write(
        &mut self,
        snapshot_id: &ByteBuf,
        part: fn(Place) -> Part<Place>,
        at: u64,
        bytes: &[u8],
    ) -> anyhow::Result<()> {
        let slice_bytes = usize::try_from(SLICE_BYTES)?;
        for (number, slice) in (0_u64..).zip(bytes.chunks(slice_bytes)) {
            let place = Place { offset: at + number * SLICE_BYTES };
            let (canister_id, snapshot_id) = (self.canister, snapshot_id.clone());
            let write = Write { canister_id, snapshot_id, kind: part(place), chunk: ByteBuf::from(slice) };
            self.tell("upload_canister_snapshot_data", &write)?;
        }
        Ok(())
    }
}

/// Gives back what a canister holds and does not use.
///
/// # Errors
/// A message that is refused, or an image that is none of a `MemoryManager`.
pub(crate) fn give_back(world: &World, canister: Principal) -> anyhow::Result<Taken> {
    let mut person = Person { world, canister, taken: Taken::default() };
    let of_canister = OfCanister { canister_id: canister };
    person.tell("stop_canister", &of_canister)?;
    let stopped_rounds = person.taken.rounds;
    let taken: Made =
        person.call("take_canister_snapshot", &Take { canister_id: canister, replace_snapshot: None })?;
    let of_snapshot = OfSnapshot { canister_id: canister, snapshot_id: taken.id.clone() };
    let metadata: Metadata = person.call("read_canister_snapshot_metadata", &of_snapshot)?;
    let module = person.read(&taken.id, Part::Module, 0, metadata.wasm_module_size)?;
    let heap = person.read(&taken.id, Part::Heap, 0, metadata.wasm_memory_size)?;
    let header = person.read(&taken.id, Part::Stable, 0, PAGE_BYTES)?;
    let source = Layout::parse(&header, metadata.stable_memory_size / PAGE_BYTES)?;
    let target = source.compact(1)?;
    let stable_memory_size = target.stable_size_pages() * PAGE_BYTES;
    let mut image = vec![0; usize::try_from(stable_memory_size)?];
    for run in copies(&source, &target)? {
        let from = run.source_page * PAGE_BYTES;
        let bytes = person.read(&taken.id, Part::Stable, from, from + run.length_pages * PAGE_BYTES)?;
        let at = usize::try_from(run.target_page * PAGE_BYTES)?;
        image[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    let header = target.header_page();
    image[..header.len()].copy_from_slice(&header);
    let made: Uploaded = person.call(
        "upload_canister_snapshot_metadata",
        &NewMetadata {
            canister_id: canister,
            wasm_module_size: metadata.wasm_module_size,
            globals: metadata.globals.into_iter().flatten().collect(),
            wasm_memory_size: metadata.wasm_memory_size,
            stable_memory_size,
            certified_data: metadata.certified_data,
        },
    )?;
    person.write(&made.snapshot_id, Part::Module, 0, &module)?;
    person.write(&made.snapshot_id, Part::Heap, 0, &heap)?;
    person.write(&made.snapshot_id, Part::Stable, 0, &image)?;
    let (snapshot_id, sender_canister_version) = (made.snapshot_id.clone(), None);
    person.tell(
        "load_canister_snapshot",
        &Load { canister_id: canister, snapshot_id, sender_canister_version },
    )?;
    person.tell("start_canister", &of_canister)?;
    person.taken.waited_rounds = person.taken.rounds - stopped_rounds;
    for snapshot_id in [taken.id, made.snapshot_id] {
        person.tell("delete_canister_snapshot", &OfSnapshot { canister_id: canister, snapshot_id })?;
    }
    Ok(person.taken)
}
