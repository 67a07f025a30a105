//! Parent and child: a task goes in as one line on stdin, a report comes out as one on stdout.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::evidence::{MemoryRow, Row, RowPlan};

/// What a child is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Take turns with two libraries; answered by a [`Report`].
    Time(Plan),
    /// Fill a heap, and empty it; answered by a [`MemoryRow`].
    Memory(Single),
    /// Do fixed work between marks that callgrind sees; answered by [`Lengths`].
    Instructions(Single),
}

/// A child of the time lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The libraries of A and of B: files of their own, with inodes of their own, or the loader
    /// would take the second for the first.
    pub libraries: [PathBuf; 2],
    /// What the order of rows, of loading, of slices, and the gaps come from.
    pub seed: u64,
    /// The rows to measure.
    pub rows: Vec<RowPlan>,
    /// Whether slow calls are counted too.
    pub counts_tails: bool,
    /// Where the recorded traces' scripts are.
    pub scripts: PathBuf,
}

/// A child with one library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Single {
    /// The library.
    pub library: PathBuf,
    /// The rows to run.
    pub rows: Vec<RowPlan>,
    /// Where the recorded traces' scripts are.
    pub scripts: PathBuf,
}

/// What a child of the time lane measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Processor seconds it used.
    pub cpu_s: f64,
    /// The rows, in the order in which they ran.
    pub rows: Vec<Row>,
}

/// What a child did between its marks: for each row three of them, the second after a length of
/// work, the third after a longer one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lengths {
    /// The rows, in order, each with the operations by which the second length exceeds the first.
    pub rows: Vec<(String, u64)>,
}

/// The memory of one row in a process of its own.
pub type MemoryReport = MemoryRow;

/// The function whose calls callgrind is told to look for.
pub const MARK: &str = "drystone_results_mark";

/// Whether the row of this name counts slow calls.
pub fn counts_tails(name: &str) -> bool {
    matches!(name, "ring/256" | "ring/16384")
}
