//! Parent and child: the plan goes in as one line on stdin, the report comes out as one on stdout.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::evidence::{Row, RowPlan};

/// All that a child needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The libraries of A and of B: files of their own, with inodes of their own, or the loader would
    /// take the second for the first.
    pub libraries: [PathBuf; 2],
    /// What the order of rows, of loading, of slices, and the gaps come from.
    pub seed: u64,
    /// The rows to measure.
    pub rows: Vec<RowPlan>,
    /// Where the recorded traces' scripts are.
    pub scripts: PathBuf,
}

/// What a child measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Processor seconds it used.
    pub cpu_s: f64,
    /// The rows, in the order in which they ran.
    pub rows: Vec<Row>,
}
