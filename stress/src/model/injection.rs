//! Which calls to the OS are made to fail and by whom, and how many were made.

use std::fmt;

use drystone_harness::seed::Seed;
use drystone_workloads::splitmix::splitmix;
use serde::{Deserialize, Serialize};

/// Which calls fail, counted from 1 since injection was armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InjectionPlan {
    /// None: the calls are only counted.
    None,
    /// The k-th alone.
    Once(u64),
    /// One in so many, at random.
    OneIn {
        /// How many.
        calls: u64,
        /// Where chance comes from.
        seed: Seed,
    },
    /// No call by number: the address space may not grow beyond so many bytes more (`RLIMIT_AS`).
    AddressSpace(u64),
}

impl InjectionPlan {
    /// Whether the call of this number fails.
    pub fn fails(self, number: u64) -> bool {
        match self {
            InjectionPlan::None | InjectionPlan::AddressSpace(_) => false,
            InjectionPlan::Once(k) => number == k,
            InjectionPlan::OneIn { calls, seed } => {
                let mut state = seed.0 ^ number.wrapping_mul(0xd134_2543_de82_ef95);
                splitmix(&mut state).is_multiple_of(calls)
            }
        }
    }
}

impl fmt::Display for InjectionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InjectionPlan::None => write!(f, "no call to the OS failed"),
            InjectionPlan::Once(k) => write!(f, "call {k} to the OS failed by injection"),
            InjectionPlan::OneIn { calls, .. } => {
                write!(f, "one call in {calls} to the OS failed by injection")
            }
            InjectionPlan::AddressSpace(bytes) => {
                write!(f, "the address space limited to {} MiB more", bytes >> 20)
            }
        }
    }
}

/// The note of calls to the OS while injection was armed.
pub const MADE: &str = "calls to the OS";
/// The note of those that were made to fail.
pub const FAILED: &str = "calls to the OS failed by injection";

/// What became of the calls since injection was armed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Calls made.
    pub made: u64,
    /// Calls that were made to fail.
    pub failed: u64,
}

/// Who makes calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The allocator's own OS.
    #[serde(alias = "fake-os")]
    FaultyOs,
    /// The supervisor, by seccomp's notifications.
    Notify,
    /// The kernel, by a limit.
    Limit,
}

impl By {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            By::FaultyOs => "its own OS",
            By::Notify => "seccomp",
            By::Limit => "RLIMIT_AS",
        }
    }
}

/// Which calls fail, and by whom: what a finding needs to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    /// Which.
    pub plan: InjectionPlan,
    /// By whom.
    pub by: By,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_fail_the_calls_that_they_say() {
        let failed =
            |plan: InjectionPlan| (1..=10_000).filter(|k| plan.fails(*k)).collect::<Vec<u64>>();
        assert_eq!(failed(InjectionPlan::None).len(), 0);
        assert_eq!(failed(InjectionPlan::Once(7)), [7]);
        let one_in_ten = failed(InjectionPlan::OneIn { calls: 10, seed: Seed(3) });
        assert!((800..1_200).contains(&one_in_ten.len()), "{}", one_in_ten.len());
        assert_ne!(one_in_ten, failed(InjectionPlan::OneIn { calls: 10, seed: Seed(4) }));
    }
}
