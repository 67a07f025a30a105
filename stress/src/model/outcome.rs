//! What became of a run.

use std::time::Duration;

use drystone_checker::counters::{Count, Counters, Notes};
use serde::{Deserialize, Serialize};

use crate::model::finding::Finding;
use crate::model::spec::Spec;

/// The note of an allocator in which every place where a report may be deferred to must come up.
pub const DEFERS_REPORTS: &str = "places where a double free may be reported later";

/// What became of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The run.
    pub spec: Spec,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// What was done.
    #[serde(alias = "tally")]
    pub counters: Counters,
    /// What was noted.
    pub notes: Notes,
    /// What was found. The first wrong answer ends a run.
    pub finding: Option<Finding>,
    /// Why the finding is in no folder, if it could not be kept.
    #[serde(skip)]
    pub not_kept: Option<String>,
    /// Whether it was stopped from outside before its end.
    pub cut_short: bool,
}

/// Notes that say how things stand, and are not added up: the last process's stands.
const STATES: [&str; 4] = [
    "copies of the trace at once",
    "bytes given back by the last trim",
    "bytes mapped at the end",
    DEFERS_REPORTS,
];

impl Outcome {
    /// Adds what became of another process of the same run.
    pub fn add(&mut self, other: Outcome) {
        self.counters += &other.counters;
        self.elapsed += other.elapsed;
        for (note, times) in other.notes {
            let state = STATES.contains(&note.as_str());
            let before = self.notes.entry(note).or_default();
            *before = if state { times } else { *before + times };
        }
        (self.finding, self.not_kept) = (other.finding, other.not_kept);
        self.cut_short |= other.cut_short;
    }

    /// Whether the run did anything at all, or found something.
    pub fn worked(&self) -> bool {
        self.counters[Count::Operations] > 0 || self.finding.is_some()
    }
}
