//! `cargo stress bench instructions`: what warm pairs of an allocation and a free execute, by
//! callgrind.
//!
//! ```text
//! per pair = (I(allocator, 2N) - I(allocator, N)) / N - (I(nothing, 2N) - I(nothing, N)) / N + own
//! ```
//!
//! *I* counts a whole process, so the difference of two lengths leaves what N warm pairs cost;
//! *nothing* is the same loop over two functions of `own` instructions together, so what is left
//! lies between the first instruction of a call and its return, both included. Other blocks
//! of the size are live meanwhile, as in a program: of a lone block some allocators give its page
//! up at each free.

use std::fs;
use std::mem::discriminant;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use drystone_harness::allocators::Allocator;
use drystone_harness::process::launcher::Launcher;
use drystone_harness::stop::Stop;
use serde::Serialize;

use crate::bench::job::{Job, Task};
use crate::bench::launch::{self, Failure, Outcome};
use crate::bench::work::pairs::{self, AtMost, Call};

/// What an allocator executes.
#[derive(Clone, Debug, Serialize)]
pub struct Count {
    /// The allocator.
    pub allocator: Allocator,
    /// Instructions of a pair, by the name of its call, in the order of `work::pairs`.
    pub instructions: Vec<(&'static str, f64)>,
    /// Why there are no more.
    pub failure: Option<Failure>,
}

impl Count {
    /// Instructions of a pair with the call of this name.
    pub fn of(&self, call: &str) -> Option<f64> {
        self.instructions.iter().find_map(|&(name, count)| (name == call).then_some(count))
    }
}

/// The limits that the first allocator's counts are above, or for which it has none.
pub fn broken(counts: &[Count], limits: &[AtMost]) -> Vec<AtMost> {
    let Some(first) = counts.first() else { return Vec::new() };
    let keeps = |limit: &&AtMost| first.of(limit.call).is_some_and(|n| n <= limit.instructions);
    limits.iter().filter(|limit| !keeps(limit)).cloned().collect()
}

/// Pairs of the shorter of two runs. A slow path taken every so many pairs is shared out.
const PAIRS: u64 = 20_000;
/// Under callgrind everything takes fifty times as long.
const DEADLINE: Duration = Duration::from_secs(300);

/// Counts for every allocator.
///
/// # Errors
/// valgrind can't be run, or the empty loop can't be counted: nothing that an allocator does.
pub fn count(
    allocators: Vec<Allocator>,
    stop: &Stop,
    mut progress: impl FnMut(&str),
) -> Result<Vec<Count>> {
    let callgrind = Callgrind::new()?;
    // A loop is the same for all sizes.
    let mut empty: Vec<(Call, f64)> = Vec::new();
    let loop_of = |empty: &[(Call, f64)], call: &Call| {
        let same = |other: &Call| discriminant(other) == discriminant(call);
        empty.iter().find_map(|(other, count)| same(other).then_some(*count))
    };
    for (name, call) in pairs::ALL {
        if loop_of(&empty, &call).is_none() {
            match callgrind.per_pair(None, name, stop)? {
                Ok(count) => empty.push((call, count)),
                Err(why) => bail!("counting the loop's own instructions: {}", why.detail),
            }
        }
    }
    let count = |allocator: Allocator| {
        progress(&allocator.name);
        let (mut instructions, mut failure) = (Vec::new(), None);
        for (name, call) in pairs::ALL {
            let own = loop_of(&empty, &call).context("each loop was counted")?;
            match callgrind.per_pair(Some(&allocator), name, stop)? {
                Ok(all) => instructions.push((name, all - own + pairs::INSTRUCTIONS_OF_NOTHING)),
                Err(why) => {
                    failure = Some(why);
                    break;
                }
            }
        }
        Ok(Count { allocator, instructions, failure })
    };
    allocators.into_iter().map(count).collect()
}

struct Callgrind {
    launcher: Launcher,
    folder: tempfile::TempDir,
}

impl Callgrind {
    fn new() -> Result<Self> {
        let there = std::process::Command::new("valgrind").arg("--version").output();
        if !there.is_ok_and(|output| output.status.success()) {
            bail!("instructions are counted by valgrind, which can't be run: install it");
        }
        let folder = tempfile::tempdir().context("a folder for callgrind's counts")?;
        Ok(Self { launcher: Launcher::of_this_binary(DEADLINE)?, folder })
    }

    /// Instructions of the loop and what it calls, for each pair; or how the allocator failed.
    fn per_pair(
        &self,
        allocator: Option<&Allocator>,
        call: &str,
        stop: &Stop,
    ) -> Result<Result<f64, Failure>> {
        let mut totals = [0.0; 2];
        for (total, pairs) in totals.iter_mut().zip([PAIRS, 2 * PAIRS]) {
            *total = match self.total(allocator, call, pairs, stop)? {
                Ok(total) => total,
                Err(why) => return Ok(Err(why)),
            };
        }
        Ok(Ok((totals[1] - totals[0]) / PAIRS as f64))
    }

    fn total(
        &self,
        allocator: Option<&Allocator>,
        call: &str,
        pairs: u64,
        stop: &Stop,
    ) -> Result<Result<f64, Failure>> {
        let file = self.folder.path().join("counts");
        let wrapper = [
            "valgrind".to_owned(),
            "--quiet".to_owned(),
            "--tool=callgrind".to_owned(),
            format!("--callgrind-out-file={}", file.display()),
        ];
        let task = Task::Pairs { call: call.to_owned(), pairs, allocator: allocator.is_some() };
        let library = allocator.and_then(|allocator| allocator.library.clone());
        match launch::run(&self.launcher, &wrapper, &Job { task, library }, stop)? {
            Outcome::Done(_) => {
                let counts = fs::read_to_string(&file).context("reading callgrind's counts")?;
                Ok(Ok(total(&counts).context("callgrind's file has no total")?))
            }
            Outcome::Failed(failure) => Ok(Err(failure)),
            Outcome::Rejected(detail) => Ok(Err(Failure { short: "rejected".to_owned(), detail })),
            Outcome::Stopped => {
                let detail = "stopped before it was counted".to_owned();
                Ok(Err(Failure { short: "–".to_owned(), detail }))
            }
        }
    }
}

/// The total of a callgrind file whose one event is instructions.
fn total(counts: &str) -> Option<f64> {
    counts.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_callgrinds_file() {
        let counts = "version: 1\nevents: Ir\n\nsummary: 5\nfn=(1) main\n16 20\n\ntotals: 123456\n";
        assert_eq!(total(counts), Some(123_456.0));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn a_limit_is_broken_by_more_instructions_and_by_none() {
        let allocator = Allocator { name: "x".to_owned(), library: None, version: String::new() };
        let counts = [Count { allocator, instructions: vec![("malloc/32", 49.0)], failure: None }];
        let limit = |text: &str| text.parse::<AtMost>().unwrap();
        let limits = ["malloc/32=49", "malloc/32=48.9", "calloc/64=1000"].map(limit);
        assert_eq!(broken(&counts, &limits), limits[1..]);
    }
}
