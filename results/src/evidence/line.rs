//! The other lines: one for each process, and one at the end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A line of evidence. In JSON its `kind` says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// The stress tool's word on a side.
    Correctness(Correctness),
    /// Instructions of one side, counted by callgrind.
    Instructions(Instructions),
    /// One process of the memory lane.
    Memory(Memory),
    /// One process of the time lane.
    Process(Process),
    /// How it ended. A file without one was cut off.
    End(End),
}

/// The stress tool's word on a side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correctness {
    /// `a` or `b`.
    pub side: char,
    /// Seconds it ran.
    pub seconds: f64,
    /// The tool's exit code: 0 nothing found, 1 findings.
    pub code: u8,
    /// Each finding in a sentence.
    pub findings: Vec<String>,
    /// Why it was not run; then the other fields are empty.
    pub skipped: Option<String>,
}

/// Instructions of one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instructions {
    /// `a` or `b`.
    pub side: char,
    /// Instructions per operation, by row: the difference of two lengths over the difference of
    /// their operations, so what is done once does not count.
    pub rows: BTreeMap<String, f64>,
}

/// One process of the memory lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// `a` or `b`.
    pub side: char,
    /// Its number, from 0, over both sides.
    pub number: u32,
    /// By workload.
    pub rows: BTreeMap<String, MemoryRow>,
}

/// The memory of one workload in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryRow {
    /// Peak resident set (`VmHWM`) above the resident set before the library was loaded, in KiB.
    pub peak_kib: u64,
    /// Resident set above the same, in KiB, after all was freed.
    pub drained_kib: u64,
    /// Minor page faults.
    pub faults: u64,
}

/// One process of the time lane: one value for each row it measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its number, from 1.
    pub number: u32,
    /// Whether both libraries are A.
    pub null: bool,
    /// Seconds from the header's `started` to its end.
    pub at_s: f64,
    /// What its own random choices came from.
    pub seed: u64,
    /// The seeds of the layouts of A and B; none where the library was measured as given.
    pub layouts: [Option<u64>; 2],
    /// Processor seconds that it used.
    pub cpu_s: f64,
    /// Processes running or waiting, machine-wide, when it ended (1-minute load).
    pub load: f64,
    /// Fraction of the machine's time that a hypervisor gave to others meanwhile.
    pub steal: f64,
    /// The rows, in the order in which they ran.
    pub rows: Vec<Row>,
}

/// A row in one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The median over pairs of ln(time of B / time of A), by processor time: what is judged.
    pub value: f64,
    /// The same by wall time: what is not.
    pub wall: f64,
    /// The median nanoseconds of processor time per operation, A and B.
    pub ns: [f64; 2],
    /// Pairs that count.
    pub pairs: u32,
    /// Pairs dropped because a slice of theirs met a context switch.
    pub dropped: u32,
    /// Context switches in all slices, voluntary and not.
    pub switches: u64,
    /// Slow calls, if the row counts them.
    pub tails: Option<Tails>,
}

/// Slow calls of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tails {
    /// Of A.
    pub a: Tail,
    /// Of B.
    pub b: Tail,
}

/// Slow calls of one side, in slices of 2,000 calls without a context switch. A slice counts 8 at
/// most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Calls timed.
    pub calls: u64,
    /// Of these, over 1 µs.
    pub over_1us: u64,
    /// Of these, over 10 µs.
    pub over_10us: u64,
    /// The slowest, in nanoseconds.
    pub slowest_ns: u64,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub why: Ended,
    /// Seconds from the header's `started`.
    pub at_s: f64,
    /// Processes that failed, and were left out.
    pub failed: u32,
}

/// Why a comparison ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Both sides have equal sections and dynamic symbols.
    Identical,
    /// Every row has its verdict.
    Decided,
    /// A finding in B that is not in A: nothing more need be measured.
    Vetoed,
    /// The budget is used up.
    Budget,
    /// Ctrl-C.
    Interrupted,
    /// Too many processes failed.
    Failed,
}
