//! What a journal says of the block that a finding is about, for people.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write;

use drystone_checker::journal::{Entry, Name};

use crate::model::finding::Finding;

/// The most lines that are shown of one block, and of each worker at the end: the last ones.
const LINES: usize = 120;
const LAST_CALLS: usize = 24;

/// Where a block is.
#[derive(Clone, Copy)]
struct Place {
    start: u64,
    bytes: u64,
}

impl Place {
    /// A block of no bytes has an address all the same.
    fn meets(self, other: Place) -> bool {
        let end = |place: Place| place.start.saturating_add(place.bytes.max(1));
        self.start < end(other) && other.start < end(self)
    }
}

/// The history of the block that the finding's worker was at last: every call on any block that lay
/// where it lies, and then what each worker did last.
pub fn of(entries: &[Entry], finding: &Finding) -> String {
    let mut text = String::new();
    let worker = finding.thread.or_else(|| entries.last().map(|entry| entry.worker));
    let last = entries.iter().rev().find(|entry| Some(entry.worker) == worker);
    let places = places(entries);
    if let Some(block) = last.and_then(|entry| entry.block) {
        match places.get(&block) {
            Some(&place) => write_block(&mut text, entries, block, place),
            None => _ = writeln!(text, "block {block} was asked for and not returned\n"),
        }
    }
    write_last_calls(&mut text, entries);
    text
}

/// Where each block was last.
fn places(entries: &[Entry]) -> HashMap<Name, Place> {
    let mut places = HashMap::new();
    for entry in entries {
        if let (Some(block), Some(place)) = (entry.block, place(entry)) {
            places.insert(block, place);
        }
    }
    places
}

fn place(entry: &Entry) -> Option<Place> {
    let (Some(start), Some(size)) = (entry.address, entry.call.size()) else { return None };
    Some(Place { start, bytes: size as u64 })
}

fn write_block(text: &mut String, entries: &[Entry], block: Name, place: Place) {
    let end = place.start.saturating_add(place.bytes);
    _ = writeln!(
        text,
        "block {block} (thread {}'s block {}), {} bytes, {:#x}..{end:#x}",
        block.owner, block.sequence, place.bytes, place.start,
    );
    _ = writeln!(text, "Every call on a block that lay there, the last {LINES}:\n");
    // Which blocks lie there at this time.
    let mut there = HashSet::new();
    let mut lines = VecDeque::new();
    for entry in entries {
        let Some(name) = entry.block else { continue };
        let was_there = there.contains(&name);
        if let Some(now) = self::place(entry) {
            match now.meets(place) {
                true => there.insert(name),
                false => there.remove(&name),
            };
        }
        if was_there || there.contains(&name) {
            lines.push_back(entry);
            if lines.len() > LINES {
                lines.pop_front();
            }
        }
    }
    lines.into_iter().for_each(|entry| write_entry(text, entry));
    text.push('\n');
}

fn write_last_calls(text: &mut String, entries: &[Entry]) {
    let workers = entries.iter().map(|entry| entry.worker + 1).max().unwrap_or(0);
    for worker in 0..workers {
        let own = entries.iter().rev().filter(|entry| entry.worker == worker);
        let mut last: Vec<&Entry> = own.take(LAST_CALLS).collect();
        last.reverse();
        _ = writeln!(text, "The last calls of thread {worker}:\n");
        last.into_iter().for_each(|entry| write_entry(text, entry));
        text.push('\n');
    }
}

fn write_entry(text: &mut String, entry: &Entry) {
    let Entry { worker, at, call, block, address } = entry;
    _ = write!(text, "{:>14.6} ms  thread {worker}  {call}", *at as f64 / 1e6);
    if let Some(address) = address {
        _ = write!(text, " = {address:#x}");
    }
    if let (true, Some(block)) = (call.allocates(), block) {
        _ = write!(text, ", block {block}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::{Length, Spec, Workload};
    use drystone_checker::journal::Call;
    use drystone_checker::violation::Kind;
    use drystone_harness::seed::Seed;
    use std::time::Duration;

    #[test]
    fn former_holders_and_neighbours_that_overlap_are_written() {
        let name = |owner, sequence| Name { owner, sequence };
        let entry = |worker, at, call, block, address| Entry { worker, at, call, block, address };
        let malloc = |size| Call::Malloc { size };
        let free = |block| Call::Free { block };
        let entries = [
            entry(0, 1_000, malloc(100), Some(name(0, 0)), Some(0x1000)),
            entry(1, 2_000, malloc(64), Some(name(1, 0)), Some(0x2000)),
            entry(1, 3_000, free(name(0, 0)), Some(name(0, 0)), None),
            entry(1, 4_000, malloc(32), Some(name(1, 1)), Some(0x1040)),
            entry(0, 5_000, malloc(16), Some(name(0, 1)), Some(0x1050)),
            entry(1, 6_000, free(name(1, 1)), Some(name(1, 1)), None),
        ];
        let spec = Spec::new("list", Workload::Mixed, 2, Seed(7), Length::Once);
        let mut finding =
            spec.finding(Duration::ZERO, Kind::Identity, "its own", "another".to_owned());
        finding.thread = Some(1);
        let text = of(&entries, &finding);
        let (block, calls) = text.split_once("The last calls of thread 0").unwrap();
        assert!(block.starts_with("block 1.1 (thread 1's block 1), 32 bytes, 0x1040..0x1060\n"));
        let lines: Vec<&str> = block
            .lines()
            .filter_map(|line| line.split_once("thread "))
            .map(|(_, l)| l)
            .skip(1)
            .collect();
        assert_eq!(
            lines,
            [
                "0  malloc(100) = 0x1000, block 0.0",
                "1  free(block 0.0)",
                "1  malloc(32) = 0x1040, block 1.1",
                "0  malloc(16) = 0x1050, block 0.1",
                "1  free(block 1.1)",
            ]
        );
        assert!(calls.contains("0.002000 ms  thread 1  malloc(64) = 0x2000, block 1.0"), "{calls}");
    }
}
