//! Which calls to the OS are refused and by whom, and how many were made.

use std::fmt;

use drystone_harness::seed::Seed;
use drystone_workloads::mixed::splitmix;
use serde::{Deserialize, Serialize};

/// Which calls are refused, counted from 1 since refusals were armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
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

impl Plan {
    /// Whether the call of this number is refused.
    pub fn refuses(self, number: u64) -> bool {
        match self {
            Plan::None | Plan::AddressSpace(_) => false,
            Plan::Once(k) => number == k,
            Plan::OneIn { calls, seed } => {
                let mut state = seed.0 ^ number.wrapping_mul(0xd134_2543_de82_ef95);
                splitmix(&mut state).is_multiple_of(calls)
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::None => write!(f, "no call to the OS refused"),
            Plan::Once(k) => write!(f, "call {k} to the OS refused"),
            Plan::OneIn { calls, .. } => write!(f, "one call in {calls} to the OS refused"),
            Plan::AddressSpace(bytes) => {
                write!(f, "the address space limited to {} MiB more", bytes >> 20)
            }
        }
    }
}

/// The notes of calls to the OS while refusals were armed.
pub const MADE: &str = "calls to the OS";
/// Of these, the ones that were refused.
pub const REFUSED: &str = "calls to the OS refused";

/// What became of the calls since refusals were armed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Calls made.
    pub made: u64,
    /// Calls refused.
    pub refused: u64,
}

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The subject's own OS.
    FakeOs,
    /// The supervisor, by seccomp's notifications.
    Notify,
    /// The kernel, by a limit.
    Limit,
}

impl By {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            By::FakeOs => "its own OS",
            By::Notify => "seccomp",
            By::Limit => "RLIMIT_AS",
        }
    }
}

/// Which calls are refused, and by whom: what a finding needs to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    pub plan: Plan,
    /// By whom.
    pub by: By,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_refuse_what_they_say() {
        let refused = |plan: Plan| (1..=10_000).filter(|k| plan.refuses(*k)).collect::<Vec<u64>>();
        assert_eq!(refused(Plan::None).len(), 0);
        assert_eq!(refused(Plan::Once(7)), [7]);
        let one_in_ten = refused(Plan::OneIn { calls: 10, seed: Seed(3) });
        assert!((800..1_200).contains(&one_in_ten.len()), "{}", one_in_ten.len());
        assert_ne!(one_in_ten, refused(Plan::OneIn { calls: 10, seed: Seed(4) }));
    }
}
