//! The runs of a campaign, in order.

use drystone_harness::seed::Seed;

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
