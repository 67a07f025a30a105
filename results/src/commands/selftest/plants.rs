//! What is planted, and what is promised of it.

use anyhow::{Result, ensure};

use crate::evidence::Lane;
use crate::report::Promise;

/// The row that slow-downs are measured on.
pub const RING: &str = "ring/256";

/// A change of known size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// None: the same archive twice.
    Same,
    /// Other places in memory, and nothing else.
    Layout,
    /// Comments and documents of the tree.
    Documents,
    /// The ring takes this fraction longer, as measured.
    Slower(f64),
    /// This much more is resident, as measured.
    Fatter(f64),
    /// A stall of 2 µs in one malloc of 20,000.
    Stall,
    /// A calloc of so many is not all zero.
    Wrong,
}

/// A plant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plant {
    /// Its name.
    pub name: &'static str,
    /// The change.
    pub change: Change,
    /// What must come of it.
    pub promise: Promise,
    /// The lanes that look for it.
    pub lanes: &'static [Lane],
    /// Whether a quick test has it.
    pub quick: bool,
}

const TIME: &[Lane] = &[Lane::Time];

const fn slower(name: &'static str, change: f64, least: f64, quick: bool) -> Plant {
    let promise = Promise::AtLeast(least);
    Plant { name, change: Change::Slower(change), promise, lanes: TIME, quick }
}

/// All plants.
pub const PLANTS: [Plant; 10] = [
    Plant {
        name: "same",
        change: Change::Same,
        promise: Promise::AtMost(0.02),
        lanes: TIME,
        quick: true,
    },
    Plant {
        name: "layout",
        change: Change::Layout,
        promise: Promise::AtMost(0.02),
        lanes: TIME,
        quick: false,
    },
    Plant {
        name: "documents",
        change: Change::Documents,
        promise: Promise::AtLeast(1.0),
        lanes: TIME,
        quick: true,
    },
    slower("ring+2%", 0.02, 0.35, false),
    slower("ring+3%", 0.03, 0.9, false),
    slower("ring+5%", 0.05, 0.99, false),
    slower("ring+10%", 0.1, 0.99, true),
    Plant {
        name: "resident+5%",
        change: Change::Fatter(0.05),
        promise: Promise::AtLeast(1.0),
        lanes: &[Lane::Memory],
        quick: true,
    },
    Plant {
        name: "stall",
        change: Change::Stall,
        promise: Promise::AtLeast(1.0),
        lanes: TIME,
        quick: false,
    },
    Plant {
        name: "wrong",
        change: Change::Wrong,
        promise: Promise::AtLeast(1.0),
        lanes: &[Lane::Correctness],
        quick: false,
    },
];

/// The plants that were asked for.
///
/// # Errors
/// If a name begins none of them.
pub fn chosen(names: &[String], quick: bool) -> Result<Vec<Plant>> {
    let all = || PLANTS.iter().map(|plant| plant.name).collect::<Vec<_>>().join(", ");
    for name in names {
        let known = PLANTS.iter().any(|plant| plant.name.starts_with(name.as_str()));
        ensure!(known, "--plants: no plant begins with `{name}`; there are {}", all());
    }
    let wanted = |plant: &&Plant| match names.is_empty() {
        true => !quick || plant.quick,
        false => names.iter().any(|name| plant.name.starts_with(name.as_str())),
    };
    Ok(PLANTS.iter().filter(wanted).copied().collect())
}
