//! The runs of a campaign, in order, and what became of them.

use std::time::Duration;

use drystone_harness::seed::Seed;

use crate::model::finding::Finding;
use crate::model::outcome::Outcome;
use crate::model::shard::Shard;
use crate::model::spec::Spec;

/// The runs that the options ask for, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The campaign's seed.
    pub seed: Seed,
    /// Which part of the campaign these runs are: their seed is the shard's own.
    pub shard: Option<Shard>,
    /// The threads of all of them.
    pub threads: usize,
    /// One child process each.
    pub runs: Vec<Spec>,
    /// The allocators that are left out of a workload though all are run: a sentence each.
    pub left_out: Vec<String>,
}

/// What became of a campaign.
#[derive(Debug)]
pub struct Results {
    /// The plan.
    pub plan: Plan,
    /// The runs that were made.
    pub outcomes: Vec<Outcome>,
    /// The runs that could not be made, or did nothing: a sentence each.
    pub failures: Vec<String>,
    /// Whether it was stopped from outside before all planned runs had come to their end.
    pub interrupted: bool,
    /// Wall-clock time.
    pub elapsed: Duration,
}

impl Results {
    /// Everything that was found.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.outcomes.iter().flat_map(Outcome::findings)
    }
}
