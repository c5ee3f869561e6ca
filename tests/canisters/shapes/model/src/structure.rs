//! One stable structure, whatever its kind.

use blake3::Hasher;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{Memory, StableBTreeMap, StableCell, StableLog, StableMinHeap, StableVec};

use crate::SplitMix;
use crate::record::Record;
use crate::spec::{Kind, SpecError, StructureSpec};

/// Keys of a map lie below: some are written twice.
const KEYS: u64 = 50_000;
/// Bytes of a value of a map, and of an entry of a log, lie below.
const VALUE_BYTES: u64 = 200;
/// Bytes of a cell lie below: it may take two pages.
const CELL_BYTES: u64 = 100_000;
/// One change of so many goes to the cell, which is written as a whole.
const CELL_INTERVAL: u64 = 64;

/// A structure with a name in its memory.
pub(crate) enum Structure<M: Memory> {
    Map(StableBTreeMap<u64, Vec<u8>, VirtualMemory<M>>),
    List(StableVec<Record, VirtualMemory<M>>),
    Log(StableLog<Vec<u8>, VirtualMemory<M>, VirtualMemory<M>>),
    Heap(StableMinHeap<u64, VirtualMemory<M>>),
    Cell(StableCell<Vec<u8>, VirtualMemory<M>>),
}

impl<M: Memory> Structure<M> {
    /// Opens it, or begins it on a memory without pages.
    pub(crate) fn open(manager: &MemoryManager<M>, spec: &StructureSpec) -> Result<Self, SpecError> {
        let memory = manager.get(MemoryId::new(spec.id));
        Ok(match spec.kind {
            Kind::BTreeMap => Self::Map(StableBTreeMap::init(memory)),
            Kind::Vec => Self::List(StableVec::init(memory)),
            Kind::Log => {
                let second = spec.second.ok_or(SpecError::SecondMemory(spec.id))?;
                Self::Log(StableLog::init(memory, manager.get(MemoryId::new(second))))
            }
            Kind::Heap => Self::Heap(StableMinHeap::init(memory)),
            Kind::Cell => Self::Cell(StableCell::init(memory, Vec::new())),
        })
    }

    /// One random change. Items are removed too: what they leave behind in memory must not matter.
    pub(crate) fn change(&mut self, random: &mut SplitMix) {
        match self {
            Self::Map(map) => {
                let key = random.below(KEYS);
                match random.below(4) {
                    0 => map.remove(&key),
                    _ => map.insert(key, random.bytes(VALUE_BYTES)),
                };
            }
            Self::List(list) => match random.below(8) {
                0 if !list.is_empty() => {
                    list.set(random.below(list.len()), &Record::random(random));
                }
                1 => {
                    list.pop();
                }
                _ => list.push(&Record::random(random)),
            },
            Self::Log(log) => {
                log.append(&random.bytes(VALUE_BYTES)).expect("the log grows");
            }
            Self::Heap(heap) => match random.below(4) {
                0 => {
                    heap.pop();
                }
                _ => heap.push(&random.next_number()),
            },
            Self::Cell(cell) => {
                if random.below(CELL_INTERVAL) == 0 {
                    cell.set(random.bytes(CELL_BYTES));
                }
            }
        }
    }

    /// Everything in it, in its order.
    pub(crate) fn digest(&self, into: &mut Hasher) {
        match self {
            Self::Map(map) => {
                number(into, map.len());
                for entry in map.iter() {
                    number(into, *entry.key());
                    bytes(into, &entry.value());
                }
            }
            Self::List(list) => {
                number(into, list.len());
                for record in list.iter() {
                    bytes(into, &record.0);
                }
            }
            Self::Log(log) => {
                number(into, log.len());
                for entry in log.iter() {
                    bytes(into, &entry);
                }
            }
            Self::Heap(heap) => {
                number(into, heap.len());
                for item in heap.iter() {
                    number(into, item);
                }
            }
            Self::Cell(cell) => bytes(into, cell.get()),
        }
    }
}

fn number(into: &mut Hasher, number: u64) {
    into.update(&number.to_le_bytes());
}

fn bytes(into: &mut Hasher, bytes: &[u8]) {
    number(into, bytes.len() as u64);
    into.update(bytes);
}
