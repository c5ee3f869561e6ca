//! What a repack did, in words.

use super::rewrite::Rewritten;
use super::survey::nested;
use decant_layout::{MAX_BUCKETS, PAGE_BYTES};
use std::fmt;

impl fmt::Display for Rewritten {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |pages: u64| pages * PAGE_BYTES;
        let (before, after) = (&self.before, &self.after);
        writeln!(formatter, "repacked and read back: {} virtual memories", self.memories.len())?;
        for (size_pages, contents) in &self.memories {
            write!(formatter, "  memory {}: {size_pages} pages", contents.memory)?;
            match contents.structure {
                Some(structure) => writeln!(formatter, ", {structure}")?,
                None => writeln!(formatter)?,
            }
        }
        writeln!(
            formatter,
            "  before  {} pages ({} bytes) in buckets of {}: {} used, {} wasted",
            before.stable_pages,
            bytes(before.stable_pages),
            self.bucket_pages.0,
            before.used_pages,
            before.reclaimable_pages()
        )?;
        writeln!(
            formatter,
            "  after   {} pages ({} bytes) in buckets of {}: {} used, {} wasted",
            after.stable_pages,
            bytes(after.stable_pages),
            self.bucket_pages.1,
            after.used_pages,
            after.reclaimable_pages()
        )?;
        writeln!(
            formatter,
            "  written {} pages; {} more hold zeros and are holes in the file",
            self.repacked.written_pages, self.repacked.zero_pages
        )?;
        writeln!(
            formatter,
            "  room    {} pages ({} bytes) until all {MAX_BUCKETS} buckets are dealt out",
            self.room_pages,
            bytes(self.room_pages)
        )?;
        self.write_notes(formatter)
    }
}

impl Rewritten {
    fn write_notes(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = &self.before;
        if before.prefix_pages > 0 {
            writeln!(formatter, "  kept    {} pages before the manager, byte for byte", before.prefix_pages)?;
        }
        for (size_pages, contents) in &self.dropped_memories {
            let held = contents.structure.map_or(String::new(), |structure| format!(", {structure}"));
            writeln!(formatter, "  DROPPED memory {}: {size_pages} pages{held}", contents.memory)?;
        }
        if let Some(leftover) = &self.dropped {
            writeln!(
                formatter,
                "  DROPPED {} pages behind the last bucket: {leftover}",
                leftover.size_pages()
            )?;
        }
        if before.free_buckets > 0 {
            writeln!(
                formatter,
                "  DROPPED {} free buckets, {} pages",
                before.free_buckets, before.free_pages
            )?;
        }
        if before.missing_pages > 0 {
            writeln!(
                formatter,
                "  note    the last bucket was cut short by {} pages, none of them in use; now it is whole",
                before.missing_pages
            )?;
        }
        for note in self.memories.iter().filter_map(|(_, contents)| nested(contents)) {
            writeln!(formatter, "  note    {note}")?;
        }
        Ok(())
    }
}
