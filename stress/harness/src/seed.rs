//! The one number that every random choice of a run comes from.

use std::fmt;
use std::str::FromStr;

use drystone_workloads::splitmix::splitmix;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A seed, printed and read as `0x` and 16 hexadecimal digits (JSON numbers hold 53 bits only).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Seed(pub u64);

impl Seed {
    /// A seed that nobody chose, from the operating system.
    #[expect(clippy::disallowed_methods, reason = "this is the one seed, and it is printed")]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The seed of a run's episode by its sequence number, from 0. The first has the run's own, so
    /// that a run from an episode's seed begins with that episode.
    #[must_use]
    pub fn episode(self, number: u64) -> Self {
        if number == 0 {
            return self;
        }
        // An odd step (Steele and Vigna 2021), so that no two of a run are alike.
        let mut state = self.0.wrapping_add(number.wrapping_mul(0xd134_2543_de82_ef95));
        Self(splitmix(&mut state))
    }

    /// The seed of the round after this one's in one process. It makes the same choices wherever it
    /// comes; what it meets in the allocator is left by those before it.
    #[must_use]
    pub fn next(self) -> Self {
        let mut state = self.0;
        Self(splitmix(&mut state))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

/// A text that is no seed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no seed: write a 64-bit number, decimal or 0x and hexadecimal")]
pub struct NoSeed(String);

impl FromStr for Seed {
    type Err = NoSeed;

    fn from_str(text: &str) -> Result<Self, NoSeed> {
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.map(Self).map_err(|_| NoSeed(text.to_owned()))
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> String {
        seed.to_string()
    }
}

impl TryFrom<String> for Seed {
    type Error = NoSeed;

    fn try_from(text: String) -> Result<Self, NoSeed> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_is_printed_can_be_read_back() {
        for seed in [0, 1, 0xdead_beef, u64::MAX] {
            assert_eq!(Seed(seed).to_string().parse(), Ok(Seed(seed)));
        }
        assert_eq!("42".parse(), Ok(Seed(42)));
        assert!("0xg".parse::<Seed>().unwrap_err().to_string().contains("64-bit number"));
        assert!("-1".parse::<Seed>().is_err());
    }

    #[test]
    fn episodes_and_their_rounds_do_not_repeat() {
        const EACH: u64 = 1_000;
        // Two runs with neighbouring seeds, their episodes, and the first rounds of each.
        let mut seeds = HashSet::new();
        for run in [1, 2] {
            assert_eq!(Seed(run).episode(0), Seed(run));
            for number in 0..EACH {
                let mut seed = Seed(run).episode(number);
                for _ in 0..10 {
                    seeds.insert(seed.0);
                    seed = seed.next();
                }
            }
        }
        assert_eq!(seeds.len() as u64, 2 * EACH * 10);
    }
}
