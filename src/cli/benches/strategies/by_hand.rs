//! What a team does without a coordinator of ours: one canister after the other, by a person's messages. By hand as
//! `docs/offline-repack.md` says, slice by slice through the person's machine; or through a canister in the middle, which reads a
//! snapshot and writes it, repacked, into a second one, its module and its heap too.

use anyhow::{Context, anyhow, bail, ensure};
use candid::{CandidType, Principal};
use decant_cli::rehearsal::world::World;
use decant_cli::repack::EMPTY_MODULE;
use decant_layout::{Layout, PAGE_BYTES, copies};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{CanisterInstallMode, ErrorCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use std::time::Duration;

/// Bytes of a slice: what a message and an answer take beside their other fields (spec: 2 MiB).
pub(crate) const SLICE_BYTES: u64 = 1_900_000;
/// Rounds in which a message is answered.
const ROUNDS: u32 = 10_000;

/// What is refused for now: too much was installed or written just before.
const RATE_LIMITS: [ErrorCode; 2] =
    [ErrorCode::CanisterInstallCodeRateLimited, ErrorCode::CanisterHeapDeltaRateLimited];

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

#[derive(CandidType)]
struct Install {
    mode: CanisterInstallMode,
    canister_id: Principal,
    wasm_module: ByteBuf,
    arg: ByteBuf,
}

/// Bytes that go from a snapshot into another one.
struct Span {
    read: fn(Slice) -> Part<Slice>,
    write: fn(Place) -> Part<Place>,
    from: u64,
    to: u64,
    size: u64,
}

impl Span {
    /// No longer than a message.
    fn slices(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let (from, to, size) = (self.from, self.to, self.size);
        let step = usize::try_from(SLICE_BYTES).unwrap_or(usize::MAX);
        (0..size).step_by(step).map(move |done| (from + done, to + done, SLICE_BYTES.min(size - done)))
    }
}

/// A person at work on one canister.
pub(crate) struct Person<'a> {
    pub(crate) world: &'a World,
    pub(crate) canister: Principal,
    pub(crate) taken: Taken,
}

impl<'a> Person<'a> {
    pub(crate) fn new(world: &'a World, canister: Principal) -> Self {
        Self { world, canister, taken: Taken::default() }
    }

    /// Sends a message to the management canister and waits for its answer, round by round.
    fn call<R: CandidType + DeserializeOwned>(
        &mut self,
        method: &str,
        argument: &impl CandidType,
    ) -> anyhow::Result<R> {
        let reply = self.manage(method, argument)?;
        candid::decode_one(&reply).with_context(|| format!("{method} answers something else"))
    }

    pub(crate) fn manage(&mut self, method: &str, argument: &impl CandidType) -> anyhow::Result<Vec<u8>> {
        self.send(Principal::management_canister(), method, candid::encode_one(argument)?)
    }

    /// The same to any canister. What is refused for now is sent again.
    pub(crate) fn send(
        &mut self,
        callee: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> anyhow::Result<Vec<u8>> {
        let (pic, operator) = (&self.world.pic, self.world.operator);
        let effective = RawEffectivePrincipal::CanisterId(self.canister.as_slice().to_vec());
        let submit = || {
            pic.submit_call_with_effective_principal(
                callee,
                effective.clone(),
                operator,
                method,
                argument.clone(),
            )
            .map_err(|error| anyhow!("{method}: {error}"))
        };
        let mut message = submit()?;
        for _ in 0..ROUNDS {
            pic.advance_time(Duration::from_secs(1));
            pic.tick();
            self.taken.rounds += 1;
            match pic.ingress_status(message.clone()) {
                None => {}
                Some(Ok(reply)) => {
                    self.count(1, argument.len() + reply.len());
                    return Ok(reply);
                }
                Some(Err(error)) if RATE_LIMITS.contains(&error.error_code) => {
                    self.count(1, argument.len());
                    message = submit()?;
                }
                Some(Err(error)) => bail!("{method}: {error}"),
            }
        }
        bail!("{method} is not answered")
    }

    /// Messages, and bytes in them.
    pub(crate) fn count(&mut self, messages: u64, bytes: usize) {
        self.taken.messages += messages;
        self.taken.bytes += bytes as u64;
    }

    fn read(&self, snapshot_id: &ByteBuf, kind: Part<Slice>) -> Read {
        Read { canister_id: self.canister, snapshot_id: snapshot_id.clone(), kind }
    }

    fn write(&self, snapshot_id: &ByteBuf, kind: Part<Place>, chunk: &[u8]) -> Write {
        Write {
            canister_id: self.canister,
            snapshot_id: snapshot_id.clone(),
            kind,
            chunk: ByteBuf::from(chunk),
        }
    }

    pub(crate) fn install(&mut self, module: &[u8], mode: CanisterInstallMode) -> anyhow::Result<()> {
        let (wasm_module, arg) = (ByteBuf::from(module), ByteBuf::from(candid::encode_args(())?));
        let install = Install { mode, canister_id: self.canister, wasm_module, arg };
        self.manage("install_code", &install).map(|_| ())
    }

    fn take_snapshot(&mut self) -> anyhow::Result<ByteBuf> {
        let take = Take { canister_id: self.canister, replace_snapshot: None };
        self.call("take_canister_snapshot", &take).map(|made: Made| made.id)
    }

    fn of_snapshot(&self, snapshot_id: &ByteBuf) -> OfSnapshot {
        OfSnapshot { canister_id: self.canister, snapshot_id: snapshot_id.clone() }
    }

    /// A second snapshot of what the first one has, but for its module, heap and stable memory: these are so large.
    fn new_snapshot(
        &mut self,
        metadata: Metadata,
        [module, heap, stable]: [u64; 3],
    ) -> anyhow::Result<ByteBuf> {
        let new = NewMetadata {
            canister_id: self.canister,
            wasm_module_size: module,
            globals: metadata.globals.into_iter().flatten().collect(),
            wasm_memory_size: heap,
            stable_memory_size: stable,
            certified_data: metadata.certified_data,
        };
        self.call("upload_canister_snapshot_metadata", &new).map(|made: Uploaded| made.snapshot_id)
    }

    fn load(&mut self, snapshot_id: &ByteBuf) -> anyhow::Result<()> {
        let load = Load {
            canister_id: self.canister,
            snapshot_id: snapshot_id.clone(),
            sender_canister_version: None,
        };
        self.manage("load_canister_snapshot", &load).map(|_| ())
    }

    /// The canister takes calls again, and these snapshots are not needed any more.
    fn end(mut self, stopped_rounds: u64, snapshots: &[ByteBuf]) -> anyhow::Result<Taken> {
        self.manage("start_canister", &OfCanister { canister_id: self.canister })?;
        self.taken.waited_rounds = self.taken.rounds - stopped_rounds;
        for snapshot in snapshots {
            self.manage("delete_canister_snapshot", &self.of_snapshot(snapshot))?;
        }
        Ok(self.taken)
    }

    /// Slice by slice, all of a snapshot's stable memory.
    fn download(&mut self, snapshot: &ByteBuf, bytes: u64) -> anyhow::Result<Vec<u8>> {
        let mut image = Vec::new();
        while (image.len() as u64) < bytes {
            let offset = image.len() as u64;
            let slice = Part::Stable(Slice { offset, size: SLICE_BYTES.min(bytes - offset) });
            let slice: Chunk = self.call("read_canister_snapshot_data", &self.read(snapshot, slice))?;
            image.extend(slice.chunk);
        }
        Ok(image)
    }

    fn upload(&mut self, snapshot: &ByteBuf, image: &[u8]) -> anyhow::Result<()> {
        for (number, slice) in (0_u64..).zip(image.chunks(usize::try_from(SLICE_BYTES)?)) {
            let place = Part::Stable(Place { offset: number * SLICE_BYTES });
            self.manage("upload_canister_snapshot_data", &self.write(snapshot, place, slice))?;
        }
        Ok(())
    }

    /// Spans of a snapshot into another one, by a canister in the middle; an answer has so many bytes before its slice and the slice's length.
    fn relay(
        &mut self,
        relay: Principal,
        before: usize,
        (old, new): (&ByteBuf, &ByteBuf),
        spans: &[Span],
    ) -> anyhow::Result<()> {
        let mut list = Vec::new();
        let (mut calls, mut bytes) = (0, 0);
        for span in spans {
            for (offset, to, size) in span.slices() {
                let read = candid::encode_one(self.read(old, (span.read)(Slice { offset, size })))?;
                let write = |chunk: &[u8]| {
                    candid::encode_one(self.write(new, (span.write)(Place { offset: to }), chunk))
                };
                // They differ first in the length of the chunk.
                let (none, one) = (write(&[])?, write(&[1])?);
                let at = none.iter().zip(&one).position(|(none, one)| none != one);
                let at = at.context("an argument without its chunk")?;
                let [head, tail] = [&none[..at], &none[at + 1..]];
                let length = length_bytes(size) + usize::try_from(size)?;
                calls += 2;
                bytes += read.len() + before + length + head.len() + length + tail.len();
                append(&mut list, &read)?;
                list.extend(u32::try_from(before)?.to_le_bytes());
                append(&mut list, head)?;
                append(&mut list, tail)?;
            }
        }
        let canister = std::mem::replace(&mut self.canister, relay);
        let sent = self.send(relay, "relay", list);
        self.canister = canister;
        sent?;
        self.count(calls, bytes);
        Ok(())
    }
}

fn append(list: &mut Vec<u8>, bytes: &[u8]) -> anyhow::Result<()> {
    list.extend(u32::try_from(bytes.len())?.to_le_bytes());
    list.extend(bytes);
    Ok(())
}

/// Bytes of a length in Candid: seven bits each.
fn length_bytes(length: u64) -> usize {
    (64 - length.max(1).leading_zeros()).div_ceil(7) as usize
}

/// Gives back what a canister, which runs this module, holds and does not use, in the steps of `docs/offline-repack.md`.
///
/// # Errors
/// A message that is refused, or an image that is none of a `MemoryManager`.
pub(crate) fn by_hand(world: &World, canister: Principal, own: &[u8]) -> anyhow::Result<Taken> {
    let mut person = Person::new(world, canister);
    person.manage("stop_canister", &OfCanister { canister_id: canister })?;
    let stopped_rounds = person.taken.rounds;
    let back = person.take_snapshot()?;
    person.install(&EMPTY_MODULE, CanisterInstallMode::Upgrade(None))?;
    let saved = person.take_snapshot()?;
    let metadata: Metadata = person.call("read_canister_snapshot_metadata", &person.of_snapshot(&saved))?;
    let image = compact(&person.download(&saved, metadata.stable_memory_size)?)?;
    let (module_bytes, heap_bytes) = (metadata.wasm_module_size, metadata.wasm_memory_size);
    ensure!((module_bytes, heap_bytes) == (EMPTY_MODULE.len() as u64, 0), "it has code");
    let compact = person.new_snapshot(metadata, [module_bytes, 0, image.len() as u64])?;
    let place = Part::Module(Place { offset: 0 });
    person.manage("upload_canister_snapshot_data", &person.write(&compact, place, &EMPTY_MODULE))?;
    person.upload(&compact, &image)?;
    person.load(&compact)?;
    person.install(own, CanisterInstallMode::Upgrade(None))?;
    person.end(stopped_rounds, &[compact, saved, back])
}

/// The image in buckets of one page.
fn compact(image: &[u8]) -> anyhow::Result<Vec<u8>> {
    let page = usize::try_from(PAGE_BYTES)?;
    let source =
        Layout::parse(image.get(..page).context("an image without a page")?, (image.len() / page) as u64)?;
    let target = source.compact(1)?;
    let mut compact = vec![0; usize::try_from(target.stable_size_pages())? * page];
    let header = target.header_page();
    compact[..header.len()].copy_from_slice(&header);
    for run in copies(&source, &target)? {
        let at = |first: u64| -> anyhow::Result<_> {
            let first = usize::try_from(first)? * page;
            Ok(first..first + usize::try_from(run.length_pages)? * page)
        };
        compact[at(run.target_page)?].copy_from_slice(&image[at(run.source_page)?]);
    }
    Ok(compact)
}

/// The same through a canister that controls it, with its code as it is.
///
/// # Errors
/// As [`by_hand`].
pub(crate) fn relayed(world: &World, canister: Principal, relay: Principal) -> anyhow::Result<Taken> {
    let mut person = Person::new(world, canister);
    person.manage("stop_canister", &OfCanister { canister_id: canister })?;
    let stopped_rounds = person.taken.rounds;
    let taken = person.take_snapshot()?;
    let metadata: Metadata = person.call("read_canister_snapshot_metadata", &person.of_snapshot(&taken))?;
    let first_page = Part::Stable(Slice { offset: 0, size: PAGE_BYTES });
    let reply = person.manage("read_canister_snapshot_data", &person.read(&taken, first_page))?;
    let header: Chunk = candid::decode_one(&reply)?;
    let before = reply.len() - header.chunk.len() - length_bytes(PAGE_BYTES);
    let source = Layout::parse(&header.chunk, metadata.stable_memory_size / PAGE_BYTES)?;
    let target = source.compact(1)?;
    let stable = copies(&source, &target)?.map(|run| Span {
        read: Part::Stable,
        write: Part::Stable,
        from: run.source_page * PAGE_BYTES,
        to: run.target_page * PAGE_BYTES,
        size: run.length_pages * PAGE_BYTES,
    });
    let (module, heap) = (metadata.wasm_module_size, metadata.wasm_memory_size);
    let mut spans = vec![
        Span { read: Part::Module, write: Part::Module, from: 0, to: 0, size: module },
        Span { read: Part::Heap, write: Part::Heap, from: 0, to: 0, size: heap },
    ];
    spans.extend(stable);
    let made = person.new_snapshot(metadata, [module, heap, target.stable_size_pages() * PAGE_BYTES])?;
    let place = Part::Stable(Place { offset: 0 });
    let first_page = person.write(&made, place, &target.header_page());
    person.manage("upload_canister_snapshot_data", &first_page)?;
    person.relay(relay, before, (&taken, &made), &spans)?;
    person.load(&made)?;
    person.end(stopped_rounds, &[taken, made])
}
