//! Which pages of a heap are absent, clean or dirty, and what a touch asks for: the decisions of a region, without its
//! memory.

/// Pages that a first touch brings in, itself included: neighbours are likely to follow, and a fault
/// costs more than copying a page.
const READ_AHEAD_PAGES: usize = 32;
/// Pages that a run of consecutive first writes makes writable at once, at most.
const WRITE_AHEAD_PAGES: usize = 64;

/// Pages that stay writable after a message, whether it changed them or not. The next message of a canister writes most
/// of what the latest ones wrote (stack, allocator, hot data), and comparing such a page takes a fiftieth of the fault
/// that it saves.
const WARM_PAGES: usize = 64;
/// Messages that leave a page alone after which it is not writable any more, if there are more than those.
const COLD_MESSAGES: u8 = 8;
/// Pages that stay writable at all, at most.
const HOT_PAGES: usize = 2_048;

/// What a page is to wasm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageState {
    /// Inaccessible; not yet copied.
    Absent,
    /// Equal to the canister's page; readable.
    Clean,
    /// Perhaps changed by the running message, or by one not long ago; writable.
    Dirty,
}

/// Pages one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Index of the first.
    pub(super) first: usize,
    /// How many.
    pub(super) count: usize,
}

/// What a touch that the protection refused asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Absent pages: copy them and make them readable.
    BringIn(Run),
    /// Clean pages: make them writable.
    MakeWritable(Run),
    /// The page was writable: the fault is not ours.
    Foreign,
}

/// A page that is writable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    index: u32,
    /// Messages that left it as it was since one changed it.
    age: u8,
}

/// The states of all pages of a heap.
#[derive(Debug)]
pub(super) struct PageStates {
    states: Vec<PageState>,
    written: Vec<Written>,
    last_written: usize,
    write_ahead: usize,
}

impl PageStates {
    /// No page.
    pub(super) fn new() -> Self {
        Self { states: Vec::new(), written: Vec::new(), last_written: usize::MAX, write_ahead: 1 }
    }

    /// How many pages there are.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// Adds absent pages up to that many. A fault handler must not allocate: what it needs is reserved here.
    pub(super) fn grow(&mut self, pages: usize) {
        self.states.resize(pages, PageState::Absent);
        self.written.reserve(pages - self.written.len().min(pages));
    }

    /// Whether a page is absent.
    pub(super) fn is_absent(&self, index: usize) -> bool {
        self.states[index] == PageState::Absent
    }

    /// What the touch of a page asks for, which its protection refused.
    pub(super) fn on_fault(&mut self, index: usize) -> Fault {
        match self.states[index] {
            PageState::Absent => Fault::BringIn(self.run_of(index, READ_AHEAD_PAGES)),
            PageState::Clean => {
                // A run of first writes is likely to go on: make ever more pages writable at once.
                let follows = self.last_written.wrapping_add(1) == index;
                self.write_ahead = if follows { (self.write_ahead * 2).min(WRITE_AHEAD_PAGES) } else { 1 };
                let run = self.run_of(index, self.write_ahead);
                self.last_written = index + run.count - 1;
                Fault::MakeWritable(run)
            }
            PageState::Dirty => Fault::Foreign,
        }
    }

    /// Pages from one on that are in the same state, `most` at most.
    fn run_of(&self, first: usize, most: usize) -> Run {
        let end = (first + most).min(self.states.len());
        let count = self.states[first..end].iter().take_while(|state| **state == self.states[first]).count();
        Run { first, count }
    }

    /// The first run of pages in a state, among those from `first` up to `end`, `end` excluded.
    pub(super) fn next_run(&self, first: usize, end: usize, state: PageState) -> Option<Run> {
        let first = (first..end).find(|index| self.states[*index] == state)?;
        Some(self.run_of(first, end - first))
    }

    /// Absent pages became readable, with their bytes.
    pub(super) fn brought_in(&mut self, run: Run) {
        self.states[run.first..run.first + run.count].fill(PageState::Clean);
    }

    /// Clean pages became writable.
    pub(super) fn made_writable(&mut self, run: Run) {
        let pages = run.first..run.first + run.count;
        self.states[pages.clone()].fill(PageState::Dirty);
        self.written.extend(pages.map(|index| Written { index: index as u32, age: 0 }));
    }

    /// All pages became writable.
    pub(super) fn opened(&mut self) {
        self.written.clear();
        self.made_writable(Run { first: 0, count: self.states.len() });
    }

    /// Learns which of the writable pages the message changed.
    pub(super) fn age(&mut self, is_changed: impl Fn(u32) -> bool) {
        for page in &mut self.written {
            page.age = if is_changed(page.index) { 0 } else { page.age.saturating_add(1) };
        }
        self.written.sort_unstable();
    }

    /// The pages that were found to have changed, in ascending order.
    pub(super) fn changed(&self) -> impl Iterator<Item = u32> {
        self.written.iter().filter(|page| page.age == 0).map(|page| page.index)
    }

    /// Ends a message, after which every page holds what its source holds: pages that no message changed for a while
    /// become clean, the others stay writable. Answers the former, which must not be writable any more.
    pub(super) fn settle(&mut self) -> Vec<Run> {
        self.last_written = usize::MAX;
        self.write_ahead = 1;
        let mut cold: Vec<Run> = Vec::new();
        if self.written.len() <= WARM_PAGES {
            return cold;
        }
        let is_hot = |page: &Written| page.age < COLD_MESSAGES;
        let keeps_hot = self.written.iter().filter(|page| is_hot(page)).count() <= HOT_PAGES;
        self.written.sort_unstable();
        let states = &mut self.states;
        self.written.retain(|page| {
            let stays = keeps_hot && is_hot(page);
            if !stays {
                let index = page.index as usize;
                states[index] = PageState::Clean;
                match cold.last_mut() {
                    Some(run) if run.first + run.count == index => run.count += 1,
                    _ => cold.push(Run { first: index, count: 1 }),
                }
            }
            stays
        });
        cold
    }

    /// Makes everything absent again; answers whether anything was accessible.
    pub(super) fn forget_all(&mut self) -> bool {
        let was_accessible = self.states.iter().any(|state| *state != PageState::Absent);
        self.states.fill(PageState::Absent);
        self.written.clear();
        self.last_written = usize::MAX;
        self.write_ahead = 1;
        was_accessible
    }

    /// Places at which neighbours differ.
    pub(super) fn divisions(&self) -> usize {
        self.states.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A heap of one byte a page, with the protection that a region would have.
    struct Heap {
        states: PageStates,
        bytes: Vec<u8>,
        protection: Vec<PageState>,
        source: Vec<u8>,
    }

    impl Heap {
        fn grow(&mut self, pages: usize) {
            self.states.grow(pages);
            self.source.resize(pages, 0);
            // What lies there before it was brought in must never be seen.
            self.bytes.resize(pages, 0xEE);
            self.protection.resize(pages, PageState::Absent);
        }

        /// Touches a page until the protection lets it: twice at most, as for a first write.
        fn touch(&mut self, index: usize, wanted: &[PageState]) {
            for _ in 0..3 {
                if wanted.contains(&self.protection[index]) {
                    return;
                }
                match self.states.on_fault(index) {
                    Fault::BringIn(run) => {
                        let pages = run.first..run.first + run.count;
                        assert!(pages.contains(&index) && run.count <= READ_AHEAD_PAGES);
                        self.bytes[pages.clone()].copy_from_slice(&self.source[pages.clone()]);
                        self.protection[pages].fill(PageState::Clean);
                        self.states.brought_in(run);
                    }
                    Fault::MakeWritable(run) => {
                        let pages = run.first..run.first + run.count;
                        assert!(pages.contains(&index) && run.count <= WRITE_AHEAD_PAGES);
                        assert!(self.protection[pages.clone()].iter().all(|it| *it == PageState::Clean));
                        self.protection[pages].fill(PageState::Dirty);
                        self.states.made_writable(run);
                    }
                    Fault::Foreign => panic!("page {index} is {:?}", self.protection[index]),
                }
            }
            panic!("page {index} is not to be had");
        }

        fn find_changed(&mut self) -> Vec<usize> {
            let (bytes, source) = (&self.bytes, &self.source);
            self.states.age(|index| bytes[index as usize] != source[index as usize]);
            self.states.changed().map(|index| index as usize).collect()
        }

        fn settle(&mut self) {
            for run in self.states.settle() {
                self.protection[run.first..run.first + run.count].fill(PageState::Clean);
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Act {
        Read(usize),
        Write { first: usize, count: usize, byte: u8 },
        Commit,
        RollBack,
        Grow(usize),
        OpenAll,
        Load(u8),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            6 => (0..600usize).prop_map(Act::Read),
            8 => (0..600usize, 1..80usize, any::<u8>())
                .prop_map(|(first, count, byte)| Act::Write { first, count, byte }),
            4 => Just(Act::Commit),
            3 => Just(Act::RollBack),
            1 => (0..60usize).prop_map(Act::Grow),
            1 => Just(Act::OpenAll),
            1 => any::<u8>().prop_map(Act::Load),
        ];
        proptest::collection::vec(act, 1..120)
    }

    proptest! {
        #[test]
        fn a_heap_behind_pages_is_a_vector_that_commits_and_rolls_back(acts in acts()) {
            let mut heap =
                Heap { states: PageStates::new(), bytes: vec![], protection: vec![], source: vec![] };
            heap.grow(200);
            let (mut now, mut committed) = (vec![0u8; 200], vec![0u8; 200]);
            for act in acts {
                let pages = now.len();
                match act {
                    Act::Read(index) => {
                        let index = index % pages;
                        heap.touch(index, &[PageState::Clean, PageState::Dirty]);
                        prop_assert_eq!(heap.bytes[index], now[index]);
                    }
                    Act::Write { first, count, byte } => {
                        let written = first % pages..(first % pages + count).min(pages);
                        for index in written.clone() {
                            heap.touch(index, &[PageState::Dirty]);
                            heap.bytes[index] = byte;
                        }
                        now[written].fill(byte);
                    }
                    Act::Commit => {
                        let differing: Vec<usize> =
                            (0..pages).filter(|index| now[*index] != committed[*index]).collect();
                        let changed = heap.find_changed();
                        prop_assert_eq!(&changed, &differing);
                        for index in changed {
                            heap.source[index] = heap.bytes[index];
                        }
                        heap.settle();
                        committed.clone_from(&now);
                    }
                    Act::RollBack => {
                        for index in heap.find_changed() {
                            heap.bytes[index] = heap.source[index];
                        }
                        heap.settle();
                        now.clone_from(&committed);
                    }
                    Act::Grow(more) => {
                        heap.grow(pages + more);
                        now.resize(pages + more, 0);
                        committed.resize(pages + more, 0);
                    }
                    Act::OpenAll => {
                        for index in 0..pages {
                            if heap.states.is_absent(index) {
                                heap.bytes[index] = heap.source[index];
                            }
                        }
                        heap.protection.fill(PageState::Dirty);
                        heap.states.opened();
                    }
                    Act::Load(byte) => {
                        heap.states.forget_all();
                        heap.protection.fill(PageState::Absent);
                        heap.bytes.fill(0xEE);
                        heap.source.fill(byte);
                        now.fill(byte);
                        committed.fill(byte);
                    }
                }
                prop_assert_eq!(&heap.states.states, &heap.protection);
            }
            for index in 0..now.len() {
                heap.touch(index, &[PageState::Clean, PageState::Dirty]);
            }
            prop_assert_eq!(heap.bytes, now);
        }
    }

    #[test]
    fn pages_that_no_message_changes_for_a_while_are_not_writable_any_more() {
        let mut states = PageStates::new();
        states.grow(WARM_PAGES + 1);
        states.opened();
        for _ in 1..COLD_MESSAGES {
            states.age(|index| index == 7);
            assert_eq!(states.settle(), []);
        }
        states.age(|index| index == 7);
        assert_eq!(states.settle(), [Run { first: 0, count: 7 }, Run { first: 8, count: WARM_PAGES - 7 }]);
        assert_eq!(states.next_run(0, WARM_PAGES + 1, PageState::Dirty), Some(Run { first: 7, count: 1 }));
    }
}
