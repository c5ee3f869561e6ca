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

    /// Adds the lines of a message, of which it counted more than it kept.
    pub(crate) fn append(&mut self, other: &Self) {
        self.next_index += other.lines.front().map_or(other.next_index, |(index, _)| *index);
        for (_, line) in &other.lines {
            self.push(line.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u8) -> LogLine {
        LogLine { time_nanos: 0, content: vec![number] }
    }

    #[test]
    fn a_message_that_logs_without_end_takes_no_more_space_than_its_log_and_counts_all_the_same() {
        let (mut of_canister, mut of_message, mut one_by_one) =
            (Log::default(), Log::default(), Log::default());
        for number in 0..3 {
            of_canister.push(line(number));
            one_by_one.push(line(number));
        }
        for number in 0..1_000_u32 {
            of_message.push(line(number as u8));
            one_by_one.push(line(number as u8));
        }
        assert!(of_message.lines().count() <= limits::LOG_BYTES / LogLine::RECORD_BYTES);
        of_canister.append(&of_message);
        assert_eq!(of_canister.next_index(), 1_003);
        assert!(of_canister.lines().eq(one_by_one.lines()));
    }
}
