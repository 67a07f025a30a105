//! Double frees of an external allocator, which says of no free whether it took effect.
//!
//! Each double free happens in a process of its own, forked from the child while it has one thread.
//! How that process ends is what the allocator made of it:
//!
//! | end | counted as |
//! |---|---|
//! | SIGABRT, SIGILL or SIGTRAP | died by its own report |
//! | another signal | crashed |
//! | SIGALRM | hung |
//! | exit, one block had two owners | silent, two owners |
//! | exit | silent |
//!
//! One that gets no block to free is no double free, and a finding of any allocator.
//!
//! Allocators that promise no detection are watched, not judged.

//!
//! | file | holds |
//! |---|---|
//! | `rules` | what is done in one double free, drawn from the seed |
//! | `end` | how its process ended |
//! | `process` | the process: forked, and what it does |
//! | `pulse` | when to end, and when to report to the supervisor |

mod end;
mod process;
mod pulse;
mod rules;

use drystone_checker::counters::{Board, Count, Doing, Row};
use drystone_checker::violation::{self, Kind};
use drystone_workloads::mixed::generator;

use crate::allocators::process::OpenAllocator;
use crate::child::workload::double_free_external::end::End;
use crate::child::workload::double_free_external::process::double_free_in_a_process;
use crate::child::workload::double_free_external::rules::{Pattern, Rules};

pub use self::pulse::Pulse;

/// Frees blocks twice until `ended`, which is asked after each, says so.
///
/// The calling process has one thread. Anything else would not survive the forks.
pub fn work(
    allocator: &OpenAllocator,
    board: &Board,
    seed: u64,
    threads: usize,
    mut ended: impl FnMut() -> bool,
) {
    let mut rng = generator(seed, 0);
    let row = board.row(0);
    violation::this_is_worker(0);
    while !ended() {
        let rules = Rules::draw(&mut rng, threads);
        row.doing(Doing::DoubleFree);
        let (end, words) = double_free_in_a_process(allocator, rules);
        let Some(place) = end.count() else { no_block(rules) };
        count(row, board, rules, end, &words);
        row.add(place, 1);
        if allocator.claims_detection {
            judge(rules, end, &words);
        }
    }
    row.doing(Doing::Idle);
}

fn count(row: &Row, board: &Board, rules: Rules, end: End, words: &str) {
    let frees = if rules.pattern == Pattern::Race { rules.threads as u64 } else { 2 };
    row.add(Count::Operations, 1 + frees);
    row.add(Count::DoubleFreeRounds, 1);
    // One process ends once, however many of its threads freed.
    row.add(Count::DoubleFrees, 1);
    board.note(&format!("{}, {} B: {}", rules.pattern.name(), rules.size, end.name()), 1);
    if end == End::OwnReport
        && let Some(line) = words.lines().find(|line| !line.trim().is_empty())
    {
        board.note(&format!("reported as: {}", without_numbers(line)), 1);
    }
}

/// No pressure is on memory, so that nothing excuses it.
fn no_block(rules: Rules) -> ! {
    let expected = format!("a block of {} bytes", rules.size);
    violation::raise(Kind::UnprovokedNull, &expected, "null")
}

/// An allocator that promises to report every double free.
fn judge(rules: Rules, end: End, words: &str) {
    let kind = match end {
        End::OwnReport if !words.trim().is_empty() => return,
        End::OwnReport | End::Silent | End::TwoOwners => Kind::DoubleFreeMissed,
        End::Crashed => Kind::Crash,
        End::Hung => Kind::Hang,
        End::NoBlock => Kind::UnprovokedNull,
    };
    let expected = format!(
        "a double free ({}, {} bytes, {} threads) to end by the allocator's own report",
        rules.pattern.name(),
        rules.size,
        rules.threads
    );
    violation::raise(kind, &expected, format!("{}; it printed: {:?}", end.name(), words.trim()));
}

/// The line with each address and process number replaced, so that equal reports are counted as
/// one.
fn without_numbers(line: &str) -> String {
    let is_number = |word: &str| {
        let digits = word.trim_start_matches("0x");
        digits.len() >= 4 && digits.chars().all(|c| c.is_ascii_hexdigit())
    };
    let words = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|word| {
            let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            match is_number(end) {
                true => word.replacen(end, "…", 1),
                false => word.to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_differ_by_their_words_only() {
        assert_eq!(
            without_numbers("drystone: double free: 0x7f00deadbeef, block of 64 bytes"),
            "drystone: double free: …, block of 64 bytes"
        );
        assert_eq!(
            without_numbers("free(): double free detected in tcache 2"),
            "free(): double free detected in tcache 2"
        );
    }
}
