//! A campaign split over machines: each makes all runs, from seeds that are its alone.

use std::fmt;
use std::str::FromStr;

use drystone_harness::seed::Seed;
use drystone_workloads::splitmix::splitmix;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Part `number` of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// From 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Shard {
    /// The seed of this shard's runs in the campaign of `seed`.
    pub fn seed(self, seed: Seed) -> Seed {
        let mut state = seed.0 ^ u64::from(self.number).wrapping_mul(0x9fb2_1c65_1e98_df25);
        Seed(splitmix(&mut state))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// A text that is no shard.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no shard: write K/N, as 1/4 to 4/4")]
pub struct NoShard(String);

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let rejected = || NoShard(text.to_owned());
        let (number, of) = text.split_once('/').ok_or_else(rejected)?;
        let parse = |text: &str| text.parse::<u32>().map_err(|_| rejected());
        let shard = Self { number: parse(number)?, of: parse(of)? };
        match (1..=shard.of).contains(&shard.number) && shard.of <= 10_000 {
            true => Ok(shard),
            false => Err(rejected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_read_as_they_are_written_and_their_seeds_differ() {
        let shard: Shard = "2/4".parse().unwrap();
        assert_eq!((shard, shard.to_string()), (Shard { number: 2, of: 4 }, "2/4".to_owned()));
        for text in ["0/4", "5/4", "1", "/", "a/b", "1/0", "-1/4", "1/99999"] {
            let why = text.parse::<Shard>().unwrap_err().to_string();
            assert!(why.contains("is no shard"), "{why}");
        }
        let seeds: std::collections::HashSet<u64> =
            (1..=1000).map(|number| Shard { number, of: 1000 }.seed(Seed(7)).0).collect();
        assert_eq!(seeds.len(), 1000);
    }
}
