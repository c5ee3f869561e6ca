//! The events that every job has, in as few bytes as they need: they stay for ever, one or two a job. What ends a job says
//! how it ended; with what it was enrolled with (`line`) that is the whole of it.
//!
//! Numbers are LEB128, of 7 bits a byte, the lowest first. Ids and texts have their length before them. A digest that many
//! jobs have is a number (`shared`).
//!
//! | what | how |
//! |---|---|
//! | version | 2 |
//! | kind | 1 moved, 2 ended, 3 deleted, 4 entombed, 5 recycled |
//! | when, which job | numbers |
//! | evidence, unless moved | flags (1: there is a module, 2: it is a number), module, fingerprint, bytes it had, pages |
//! | end, unless moved | nothing, if the job is kept whole elsewhere; or flags, target, counters, times before this event, root or reason |

use super::kept::{Evidence, Happened, Noted};
use super::records::{Damaged, unknown};
use super::shared;
use candid::Principal;
use decant_engine::{Counters, Digest, End, Reason, ReasonCode, TimeNanos, Times};
use serde_bytes::ByteBuf;

/// First byte of such an event.
pub(super) const VERSION: u8 = 2;

/// An event of a job that did by itself what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) noted: Noted,
    /// How the job ended, if that is not kept elsewhere.
    pub(super) end: Option<End>,
}

const MOVED: u8 = 1;
const ENDED: u8 = 2;
const DELETED: u8 = 3;
const ENTOMBED: u8 = 4;
const RECYCLED: u8 = 5;

/// Flags of evidence.
mod has {
    pub(super) const MODULE: u64 = 1;
    pub(super) const SHARED_MODULE: u64 = 2;
}

/// Flags of an end.
mod is {
    pub(super) const DONE: u64 = 1;
    pub(super) const ELSEWHERE: u64 = 2;
    pub(super) const FENCED: u64 = 4;
    pub(super) const COMMITTED: u64 = 8;
    pub(super) const SERVED: u64 = 16;
    pub(super) const TIMER_LOST: u64 = 32;
    pub(super) const ABORT_REQUESTED: u64 = 64;
    pub(super) const NESTED: u64 = 128;
    pub(super) const ENDED_THEN: u64 = 256;
}

/// An event in few bytes, if it is one of those.
pub(super) fn write(Packed { noted, end }: &Packed) -> Option<Vec<u8>> {
    let Noted { at_nanos, by: None, happened } = noted else { return None };
    let (kind, job, evidence) = match happened {
        Happened::Moved { job } => (MOVED, *job, None),
        Happened::Ended { job, evidence } => (ENDED, *job, Some(evidence)),
        Happened::Deleted { job, evidence } => (DELETED, *job, Some(evidence)),
        Happened::Entombed { job, evidence } => (ENTOMBED, *job, Some(evidence)),
        Happened::Recycled { job, evidence } => (RECYCLED, *job, Some(evidence)),
        _ => return None,
    };
    let mut bytes = vec![VERSION, kind];
    number(&mut bytes, *at_nanos);
    number(&mut bytes, job);
    if let Some(evidence) = evidence {
        write_evidence(&mut bytes, evidence);
    }
    if let Some(end) = end {
        write_end(&mut bytes, end, *at_nanos)?;
    }
    Some(bytes)
}

/// What was written so.
pub(super) fn read(bytes: &[u8]) -> Result<Packed, Damaged> {
    let [VERSION, kind, rest @ ..] = bytes else { return Err(unknown(bytes)) };
    read_event(*kind, rest).ok_or_else(|| Damaged("a packed event that ends early, or goes on".to_owned()))
}

fn read_event(kind: u8, mut rest: &[u8]) -> Option<Packed> {
    let bytes = &mut rest;
    let (at_nanos, job) = (take_number(bytes)?, take_number(bytes)?);
    let mut end = None;
    let happened = match kind {
        MOVED => Happened::Moved { job },
        ENDED | DELETED | ENTOMBED | RECYCLED => {
            let evidence = read_evidence(bytes)?;
            end = if bytes.is_empty() { None } else { Some(read_end(bytes, at_nanos)?) };
            match kind {
                ENDED => Happened::Ended { job, evidence },
                DELETED => Happened::Deleted { job, evidence },
                RECYCLED => Happened::Recycled { job, evidence },
                _ => Happened::Entombed { job, evidence },
            }
        }
        _ => return None,
    };
    bytes.is_empty().then_some(Packed { noted: Noted { at_nanos, by: None, happened }, end })
}

fn write_evidence(bytes: &mut Vec<u8>, evidence: &Evidence) {
    let Evidence { source_module, fingerprint, fingerprint_bytes, pages_after } = evidence;
    let module = source_module.map(|module| (module, shared::number_of(&module.0)));
    match module {
        None => number(bytes, 0),
        Some((_, Some(shared))) => {
            number(bytes, has::MODULE | has::SHARED_MODULE);
            number(bytes, shared.into());
        }
        Some((module, None)) => {
            number(bytes, has::MODULE);
            bytes.extend(module.0);
        }
    }
    text(bytes, fingerprint);
    number(bytes, (*fingerprint_bytes).into());
    number(bytes, *pages_after);
}

fn read_evidence(bytes: &mut &[u8]) -> Option<Evidence> {
    let flags = take_number(bytes)?;
    let source_module = match flags & (has::MODULE | has::SHARED_MODULE) {
        0 => None,
        has::MODULE => Some(take_digest(bytes)?),
        _ => {
            let shared = u32::try_from(take_number(bytes)?).ok()?;
            Some(Digest(shared::of_number(shared, |bytes| bytes.try_into().ok())??))
        }
    };
    Some(Evidence {
        source_module,
        fingerprint: ByteBuf::from(take_text(bytes)?),
        fingerprint_bytes: u32::try_from(take_number(bytes)?).ok()?,
        pages_after: take_number(bytes)?,
    })
}

/// `None`: a reason without a code.
fn write_end(bytes: &mut Vec<u8>, end: &End, at_nanos: TimeNanos) -> Option<()> {
    let End { target, counters, times, is_abort_requested, outcome } = end;
    let flags = [
        (is::DONE, outcome.is_ok()),
        (is::ELSEWHERE, target.is_some()),
        (is::FENCED, times.fenced_nanos.is_some()),
        (is::COMMITTED, times.committed_nanos.is_some()),
        (is::SERVED, times.served_nanos.is_some()),
        (is::TIMER_LOST, times.timer_lost_nanos.is_some()),
        (is::ABORT_REQUESTED, *is_abort_requested),
        (is::NESTED, counters.nested_pages > 0),
        (is::ENDED_THEN, times.ended_nanos == Some(at_nanos)),
    ];
    number(bytes, flags.iter().filter(|(_, is)| *is).map(|(flag, _)| flag).sum());
    if let Some(target) = target {
        text(bytes, target.as_slice());
    }
    number(bytes, counters.calls.into());
    for counted in [counters.wire_bytes, counters.source_pages, counters.used_pages] {
        number(bytes, counted);
    }
    long_number(bytes, counters.drained_cycles);
    long_number(bytes, counters.burned_cycles);
    if counters.nested_pages > 0 {
        number(bytes, counters.nested_pages);
    }
    for at in [times.fenced_nanos, times.committed_nanos, times.served_nanos, times.timer_lost_nanos] {
        // Before this event, mostly; where it is not, it wraps and is longer.
        at.into_iter().for_each(|at| number(bytes, at_nanos.wrapping_sub(at)));
    }
    match outcome {
        Ok(root) => bytes.extend(root.0),
        Err(reason) => {
            number(bytes, tag(reason.code())?);
            text(bytes, reason.detail().as_bytes());
        }
    }
    Some(())
}

fn read_end(bytes: &mut &[u8], at_nanos: TimeNanos) -> Option<End> {
    let flags = take_number(bytes)?;
    let is = |flag: u64| flags & flag != 0;
    let target = match is(is::ELSEWHERE) {
        true => Some(Principal::try_from_slice(take_text(bytes)?).ok()?),
        false => None,
    };
    let mut counters = Counters {
        calls: u32::try_from(take_number(bytes)?).ok()?,
        wire_bytes: take_number(bytes)?,
        source_pages: take_number(bytes)?,
        used_pages: take_number(bytes)?,
        drained_cycles: take_long(bytes)?,
        burned_cycles: take_long(bytes)?,
        nested_pages: 0,
    };
    if is(is::NESTED) {
        counters.nested_pages = take_number(bytes)?;
    }
    let mut before = |flag: u64| match is(flag) {
        true => take_number(bytes).map(|before| Some(at_nanos.wrapping_sub(before))),
        false => Some(None),
    };
    let times = Times {
        // It is kept with what the job was enrolled with.
        enrolled_nanos: 0,
        fenced_nanos: before(is::FENCED)?,
        committed_nanos: before(is::COMMITTED)?,
        served_nanos: before(is::SERVED)?,
        // No job ends while it reverts.
        before_revert: None,
        timer_lost_nanos: before(is::TIMER_LOST)?,
        ended_nanos: is(is::ENDED_THEN).then_some(at_nanos),
    };
    let outcome = match is(is::DONE) {
        true => Ok(take_digest(bytes)?),
        false => {
            let code = code(take_number(bytes)?)?;
            Err(Reason::new(code, std::str::from_utf8(take_text(bytes)?).ok()?))
        }
    };
    Some(End { target, counters, times, is_abort_requested: is(is::ABORT_REQUESTED), outcome })
}

/// The stored tag of a code, which is a number in words.
fn tag(code: ReasonCode) -> Option<u64> {
    ciborium::Value::serialized(&code).ok()?.as_text()?.parse().ok()
}

fn code(tag: u64) -> Option<ReasonCode> {
    ciborium::Value::Text(tag.to_string()).deserialized().ok()
}

fn number(bytes: &mut Vec<u8>, value: u64) {
    long_number(bytes, value.into());
}

fn long_number(bytes: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn text(bytes: &mut Vec<u8>, text: &[u8]) {
    number(bytes, text.len() as u64);
    bytes.extend(text);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    u64::try_from(take_long(bytes)?).ok()
}

fn take_long(bytes: &mut &[u8]) -> Option<u128> {
    let mut value = 0_u128;
    for shift in (0..u128::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u128::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(text)
}

fn take_digest(bytes: &mut &[u8]) -> Option<Digest> {
    let (digest, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(Digest(*digest))
}
