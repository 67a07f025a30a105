//! What became of a run.

use std::time::Duration;

use drystone_checker::counters::{Count, Counters, Notes, Seen};
use serde::{Deserialize, Serialize};

use crate::model::finding::Finding;
use crate::model::spec::Spec;

/// The note of an allocator in which every place where a report may be deferred to must come up.
pub const DEFERS_REPORTS: &str = "places where a double free may be reported later";

/// The note that memory at rest was judged.
pub const RESTS_JUDGED: &str = "rests whose resident set was judged";

/// The note of the most that was resident at rest, beyond what was before, in MiB.
pub const MOST_AT_REST: &str = "MiB resident at rest at most";

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
    /// How long the calls took, and which came up.
    #[serde(default)]
    pub seen: Seen,
    /// What was found first. It ends its process, and not the run.
    pub finding: Option<Finding>,
    /// What else was found, by later processes of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Finding>,
    /// Why the finding is in no folder, if it could not be kept.
    #[serde(skip)]
    pub not_kept: Option<String>,
    /// Whether it was stopped from outside before its end.
    pub cut_short: bool,
}

/// Notes that say how things stand, and are not added up: the last process's stands.
const STATES: [&str; 5] = [
    MOST_AT_REST,
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
        self.seen.add(&other.seen);
        for finding in other.finding.into_iter().chain(other.more) {
            self.found(finding);
        }
        self.not_kept = self.not_kept.take().or(other.not_kept);
        self.cut_short |= other.cut_short;
    }

    /// Adds a finding.
    pub fn found(&mut self, finding: Finding) {
        match self.finding {
            None => self.finding = Some(finding),
            Some(_) => self.more.push(finding),
        }
    }

    /// Everything that was found.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.finding.iter().chain(&self.more)
    }

    /// Whether the run did anything at all, or found something.
    pub fn worked(&self) -> bool {
        self.counters[Count::Operations] > 0 || self.finding.is_some()
    }
}
