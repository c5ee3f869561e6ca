//! A canister's log (spec, "IC method fetch_canister_logs").

use crate::costs::limits;
use crate::system_api::host::LogLine;
use std::collections::VecDeque;

/// The latest lines, within [`limits::LOG_BYTES`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    next_index: u64,
    bytes: usize,
    lines: VecDeque<(u64, LogLine)>,
}

impl Log {
    /// Adds a line; the oldest go where the space does not suffice.
    pub(crate) fn push(&mut self, mut line: LogLine) {
        line.content.truncate(limits::LOG_BYTES - LogLine::RECORD_BYTES);
        self.bytes += line.counted_bytes();
        self.lines.push_back((self.next_index, line));
        self.next_index += 1;
        while self.bytes > limits::LOG_BYTES {
            let Some((_, oldest)) = self.lines.pop_front() else { break };
            self.bytes -= oldest.counted_bytes();
        }
    }

    /// The lines with their indices, oldest first.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &(u64, LogLine)> {
        self.lines.iter()
    }

    /// The index that the next line gets.
    pub(crate) fn next_index(&self) -> u64 {
        self.next_index
    }

    /// Bytes that can still be added without dropping a line.
    pub(crate) fn free_bytes(&self) -> usize {
        limits::LOG_BYTES - self.bytes
    }

    /// Forgets all lines, as uninstalling does; indices go on.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.bytes = 0;
    }
}
