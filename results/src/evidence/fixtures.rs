//! Made-up evidence for the tests of every room.

use super::{FORMAT, Header, Lane, Made, Process, Row, RowPlan, Settings, Side, VERSION};
use crate::machine::Machine;

/// The header of a comparison with these rows, of two commits.
pub fn header(rows: &[&str]) -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        started: "2026-11-29T20:00:00Z".to_owned(),
        seed: 7,
        harness: "0123456789abcdef".to_owned(),
        toolchain: "rustc 1.95.0".to_owned(),
        machine: Machine::new("Test CPU", 2, "x86_64", "6.1.0"),
        a: side("main", 'a'),
        b: side(".", 'b'),
        settings: Settings {
            floor: 0.01,
            margin: 0.03,
            error: 0.02,
            budget_s: 300.0,
            null_every: 8,
            lanes: Lane::ALL.to_vec(),
            rows: rows.iter().map(|row| plan(row)).collect(),
            memory_floor: 0.02,
            tail_floor: [10.0, 5.0],
            instructions_gate: None,
            recipe: None,
        },
        also: Vec::new(),
        identical: false,
    }
}

fn side(name: &str, hash: char) -> Side {
    let hash = |length| std::iter::repeat_n(hash, length).collect::<String>();
    Side {
        name: name.to_owned(),
        made: Made::Commit,
        commit: Some(hash(40)),
        dirty: false,
        inputs: hash(64),
        artifact: hash(64),
        fresh_layouts: true,
    }
}

fn plan(name: &str) -> RowPlan {
    RowPlan { name: name.to_owned(), operation: "a call".to_owned(), pairs: 20, slice_us: 250.0 }
}

/// A process with these values.
pub fn process(number: u32, values: &[(&str, f64)]) -> Process {
    Process {
        number,
        null: false,
        at_s: f64::from(number),
        seed: u64::from(number),
        layouts: [Some(1), Some(2)],
        cpu_s: 0.25,
        load: 0.5,
        steal: 0.0,
        rows: values.iter().map(|&(name, value)| row(name, value)).collect(),
    }
}

/// A row with this value, at 20 ns an operation on A.
pub fn row(name: &str, value: f64) -> Row {
    Row {
        name: name.to_owned(),
        value,
        wall: value,
        ns: [20.0, 20.0 * value.exp()],
        pairs: 20,
        dropped: 0,
        switches: 0,
        tails: None,
    }
}
