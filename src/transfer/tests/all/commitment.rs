//! What a root commits to, and that it stays what it was.

use crate::common::{PAGE, State, page, states};
use decant_transfer::{
    Digest, DigestSet, Kind, MAX_STATE_PAGES, Manifest, MemoryShape, RAW_MEMORY, Shape, ShapeError,
};
use proptest::prelude::*;

fn key(purpose: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key[..purpose.len()].copy_from_slice(purpose.as_bytes());
    key
}

/// The root as the documentation of the crate says, written down a second time.
fn root_by_the_book(state: &State, chunk_pages: u32) -> Digest {
    let mut root = vec![u8::from(state.kind == Kind::Managed)];
    root.extend(chunk_pages.to_le_bytes());
    root.extend((state.memories.len() as u32).to_le_bytes());
    for (&id, bytes) in &state.memories {
        let size_pages = (bytes.len() / PAGE) as u64;
        let mut memory = vec![id];
        memory.extend(size_pages.to_le_bytes());
        memory.extend(chunk_pages.to_le_bytes());
        for (index, content) in bytes.chunks(chunk_pages as usize * PAGE).enumerate() {
            let mut chunk = vec![id];
            chunk.extend((index as u64 * u64::from(chunk_pages)).to_le_bytes());
            chunk.extend(((content.len() / PAGE) as u32).to_le_bytes());
            let digest = if content.iter().all(|&byte| byte == 0) {
                blake3::keyed_hash(&key("decant 1 zeros"), &chunk)
            } else {
                chunk.extend(blake3::keyed_hash(&key("decant 1 content"), content).as_bytes());
                blake3::keyed_hash(&key("decant 1 chunk"), &chunk)
            };
            memory.extend(digest.as_bytes());
        }
        root.push(id);
        root.extend(size_pages.to_le_bytes());
        root.extend(blake3::keyed_hash(&key("decant 1 memory"), &memory).as_bytes());
    }
    Digest::new(*blake3::keyed_hash(&key("decant 1 root"), &root).as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_root_is_what_the_documentation_says(state in states(), chunk_pages in 1..4_u32) {
        let manifest = state.digests(chunk_pages).manifest();
        prop_assert_eq!(manifest.root(), &root_by_the_book(&state, chunk_pages));
    }

    #[test]
    fn the_diff_of_two_states_is_exact(
        state in states(),
        changes in proptest::collection::vec(any::<[prop::sample::Index; 2]>(), 0..6),
        chunk_pages in 1..4_u32,
    ) {
        let mut changed = state.clone();
        let ids: Vec<u8> = changed.memories.keys().copied().collect();
        for [memory, at] in changes.iter().filter(|_| !ids.is_empty()) {
            let bytes = changed.memories.get_mut(memory.get(&ids)).expect("it is one of them");
            let at = at.index(bytes.len());
            bytes[at] ^= 0x40;
        }
        let (before, after) = (state.digests(chunk_pages), changed.digests(chunk_pages));
        let shape = after.shape();
        let expected: Vec<_> = shape.chunks()
            .filter(|&chunk| state.content(shape, chunk) != changed.content(shape, chunk)).collect();
        let runs = before.missing_for(&after);
        let listed: Vec<_> = runs.iter()
            .flat_map(|run| (run.first..run.first + run.count).map(|index| (run.memory, index))).collect();
        let changed: Vec<_> = expected.iter().map(|chunk| (chunk.memory, chunk.index)).collect();
        prop_assert_eq!(listed, changed);
        prop_assert_eq!(before.manifest().root() == after.manifest().root(), expected.is_empty());
        prop_assert!(runs.windows(2).all(|pair| {
            pair[0].memory != pair[1].memory || pair[0].first + pair[0].count < pair[1].first
        }), "runs are as long as they can be");
    }

    #[test]
    fn ordinals_count_the_chunks_in_order(state in states(), chunk_pages in 1..4_u32) {
        let shape = state.shape(chunk_pages);
        prop_assert_eq!(shape.chunks().count(), shape.chunk_count());
        for (ordinal, chunk) in shape.chunks().enumerate() {
            prop_assert_eq!(shape.ordinal(chunk), Some(ordinal));
            prop_assert_eq!(shape.chunk_at(ordinal), Some(chunk));
        }
        prop_assert_eq!(shape.chunk_at(shape.chunk_count()), None);
        let pages: u64 = shape.chunks().filter_map(|chunk| shape.pages(chunk)).map(|p| p.end - p.start).sum();
        prop_assert_eq!(pages, shape.size_pages());
    }
}

/// Three pages of text, zeros and noise.
fn sample() -> State {
    let text = b"no byte is lost ".repeat(PAGE / 16);
    State::managed([(0, [text, vec![0; PAGE]].concat()), (9, page(1, PAGE))])
}

fn root(state: &State, chunk_pages: u32) -> String {
    state.digests(chunk_pages).manifest().root().to_string()
}

#[test]
fn the_root_of_a_known_state_never_changes() {
    assert_eq!(root(&sample(), 1), "547d8c44c5c92b0e489af993e4774f9087e58e9cc624bc37f03ef8ef022b5839");
    assert_eq!(root(&sample(), 4), "4f1ff46af178867c2bd637762a5a4c0b6787c5737e8695cd801b081a4a94f351");
    assert_eq!(
        root(&State::managed([]), 1),
        "9545284e87abee1e206fb1e2b5dbe8c9fca8be81e6f661c1ee06fa2912173814"
    );
}

#[test]
fn the_root_commits_to_kind_ids_sizes_order_and_chunk_size() {
    let state = sample();
    let original = root(&state, 1);
    let swapped = State::managed([(0, state.memories[&9].clone()), (9, state.memories[&0].clone())]);
    let renamed = State::managed([(0, state.memories[&0].clone()), (8, state.memories[&9].clone())]);
    let mut grown = state.clone();
    grown.memories.entry(9).or_default().resize(2 * PAGE, 0);
    let mut reordered = state.clone();
    reordered.memories.entry(0).or_default().rotate_left(PAGE);
    let mut roots = vec![original, root(&state, 2), root(&swapped, 1), root(&renamed, 1), root(&grown, 1)];
    roots.push(root(&reordered, 1));
    let one_page = page(1, PAGE);
    roots.push(root(&State::managed([(0, one_page.clone())]), 1));
    roots.push(root(&State { kind: Kind::Raw, memories: [(RAW_MEMORY, one_page)].into() }, 1));
    roots.push(root(&State::managed([]), 1));
    roots.push(root(&State { kind: Kind::Raw, memories: [].into() }, 1));
    let distinct: std::collections::BTreeSet<_> = roots.iter().collect();
    assert_eq!(distinct.len(), roots.len());
}

#[test]
fn the_manifest_stays_small_and_the_digests_of_a_gibibyte_fit_a_reply() {
    let pages_of_a_gib = 16_384;
    let shape = Shape::managed((0..255).map(|id| (id, if id == 0 { pages_of_a_gib } else { 1 })), 1);
    let digests = DigestSet::of_zeros(shape.expect("it is far from the limit"));
    let manifest = candid::encode_one(digests.manifest()).expect("it can be encoded");
    assert!(manifest.len() < 12 * 1024, "{} bytes", manifest.len());
    let page = digests.page(0, 2 * 1024 * 1024).expect("there are chunks");
    assert_eq!(page.digests.len(), digests.digests().len() * 32, "all in one page");
    let page = candid::encode_one(page).expect("it can be encoded");
    assert!(page.len() < 540_000, "{} bytes", page.len());
    let decoded: Manifest = candid::decode_one(&manifest).expect("it was encoded so");
    assert_eq!(decoded, digests.manifest());
}

#[test]
fn shapes_that_break_a_rule_are_refused() {
    let shape = |kind, chunk_pages, memories: &[(u8, u64)]| {
        let memories = memories.iter().map(|&(id, size_pages)| MemoryShape { id, size_pages });
        Shape::new(kind, chunk_pages, memories)
    };
    for chunk_pages in [0, 17] {
        assert_eq!(shape(Kind::Managed, chunk_pages, &[]), Err(ShapeError::ChunkPages { chunk_pages }));
    }
    assert_eq!(shape(Kind::Raw, 1, &[(0, 1)]), Err(ShapeError::ForeignMemory { memory: 0 }));
    for second in [3, 2] {
        let memories = [(3, 1), (second, 1)];
        assert_eq!(shape(Kind::Managed, 1, &memories), Err(ShapeError::NotAscending { memory: second }));
    }
    assert!(shape(Kind::Managed, 1, &[(0, MAX_STATE_PAGES)]).is_ok());
    for too_much in [1, u64::MAX] {
        let size_pages = MAX_STATE_PAGES.saturating_add(too_much);
        let memories = [(0, MAX_STATE_PAGES), (1, too_much)];
        assert_eq!(shape(Kind::Managed, 1, &memories), Err(ShapeError::TooLarge { size_pages }));
    }
    let unlisted =
        shape(Kind::Managed, 1, &[(5, 0), (4, 0), (6, 1)]).expect("memories without pages don't count");
    assert_eq!(unlisted.memories(), [MemoryShape { id: 6, size_pages: 1 }]);
}

#[test]
fn what_lies_before_a_manager_is_its_shapes_last_memory() {
    let shape = Shape::managed([(0, 2), (254, 1), (RAW_MEMORY, 48)], 16).expect("a shape");
    assert_eq!((shape.prefix_pages(), shape.size_pages()), (48, 51));
    assert_eq!(Shape::managed([(0, 2)], 16).expect("a shape").prefix_pages(), 0);
    assert_eq!(Shape::raw(48, 16).expect("a shape").prefix_pages(), 0);
}
