//! The first line: what is compared, how, by which program, and where.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// The `format` field of every header.
pub const FORMAT: &str = "drystone-evidence";

/// The version this program writes, and the only one it reads. Any change to a field's name, type,
/// unit or meaning raises it.
pub const VERSION: u32 = 1;

/// The header of an evidence file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// When the comparison began, ISO 8601 in UTC.
    pub started: String,
    /// The seed that every random choice comes from, and with it the layouts.
    pub seed: u64,
    /// BLAKE3 of the program that measures, first 16 hexadecimal digits: rows of another program
    /// are other rows.
    pub harness: String,
    /// What the compiler's `--version` says; empty where no side was built.
    pub toolchain: String,
    /// Where it was measured.
    pub machine: Machine,
    /// The side compared from.
    pub a: Side,
    /// The side compared to.
    pub b: Side,
    /// How it was measured, and by which limits it is judged.
    pub settings: Settings,
    /// The libraries that were asked for besides the sides themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Also>,
    /// Whether all rows are of `also`, for the sides themselves are identical.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub identical: bool,
}

/// A library that is compared besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Also {
    /// Its name. The names of its rows begin with it and a slash.
    pub name: String,
    /// Why its rows were left out; none if they were measured.
    pub left_out: Option<String>,
    /// BLAKE3 of the archives or libraries of A and of B; none if its rows were left out.
    pub artifacts: Option<[String; 2]>,
    /// Whether each process gets layouts of its own.
    pub fresh_layouts: bool,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// As the user gave it.
    pub name: String,
    /// What it was made from.
    pub made: Made,
    /// The full hash of the commit, or of the one that a working tree began as.
    pub commit: Option<String>,
    /// Whether it differs from that commit.
    pub dirty: bool,
    /// BLAKE3 of all that it was built from, in hexadecimal; of the file, if it was given built.
    pub inputs: String,
    /// BLAKE3 of the archive or library that was measured.
    pub artifact: String,
    /// Whether each process gets a layout of its own. If not, the luck of one layout is in the
    /// change.
    pub fresh_layouts: bool,
}

/// What a side was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Made {
    /// A commit, exported and built.
    Commit,
    /// A working tree or a folder as it is, copied and built.
    Tree,
    /// A static archive, as given.
    Archive,
    /// A shared library, as given.
    Library,
}

/// How it was measured, and by which limits it is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A change of time up to this fraction is no regression (0.01 is 1 %).
    pub floor: f64,
    /// `OK` is shown to lie within this fraction.
    pub margin: f64,
    /// The probability that a comparison without a change has any verdict of time beyond the floor.
    pub error: f64,
    /// Seconds of measuring, all lanes together.
    pub budget_s: f64,
    /// Every process whose number is a multiple of this loads A twice.
    pub null_every: u32,
    /// What was asked for.
    pub lanes: Vec<Lane>,
    /// The rows of the time lane; the others take theirs from these.
    pub rows: Vec<RowPlan>,
    /// Growth of memory up to this fraction is no regression.
    pub memory_floor: f64,
    /// Slow calls per million up to which more of them are no regression: over 1 µs, over 10 µs.
    pub tail_floor: [f64; 2],
    /// Whether a growth of instructions beyond this fraction is a regression; none if it is only
    /// told.
    pub instructions_gate: Option<f64>,
    /// The recipe that was named; none where the sides were built as they are by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
}

/// A lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// The stress tool on B, and on A where B has a finding.
    Correctness,
    /// Instructions counted by callgrind.
    Instructions,
    /// Peak and drained memory, page faults.
    Memory,
    /// Times and slow calls.
    Time,
}

impl Lane {
    /// All, cheapest first.
    pub const ALL: [Self; 4] = [Self::Correctness, Self::Instructions, Self::Memory, Self::Time];

    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Correctness => "correctness",
            Self::Instructions => "instructions",
            Self::Memory => "memory",
            Self::Time => "time",
        }
    }
}

/// A row of the time lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowPlan {
    /// Its name, such as `ring/256`.
    pub name: String,
    /// What one operation is, in words.
    pub operation: String,
    /// Pairs of slices a process.
    pub pairs: u32,
    /// Processor time of a slice, in microseconds; 0 where the slices are pieces of a recorded
    /// trace.
    pub slice_us: f64,
}

impl Header {
    /// Whether the row is of the sides themselves, and not of a library besides.
    pub fn is_own(&self, row: &str) -> bool {
        let first = row.split('/').next();
        !self.also.iter().any(|also| first == Some(&also.name))
    }

    /// Everything that must be equal for the lines of two files to belong together, as one text.
    /// Shards of one comparison differ in the time, the seed and the machine.
    pub fn comparison(&self) -> String {
        let mut same = self.clone();
        same.started.clear();
        same.seed = 0;
        same.machine = Machine::new("", 0, "", "");
        same.settings.budget_s = 0.0;
        serde_json::to_string(&same).expect("strings and finite numbers are always JSON")
    }
}
