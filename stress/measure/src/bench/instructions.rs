//! `cargo stress bench instructions`: what a warm malloc and free of 32 bytes execute, by
//! callgrind.
//!
//! ```text
//! per pair = (I(allocator, 2N) - I(allocator, N)) / N - (I(nothing, 2N) - I(nothing, N)) / N + own
//! ```
//!
//! *I* counts a whole process, so the difference of two lengths leaves what N warm pairs cost;
//! *nothing* is the same loop over two functions of `own` instructions together, so what is left
//! lies between the first instruction of malloc or free and its return, both included. Other blocks
//! of the size are live meanwhile, as in a program: of a lone block some allocators give its page
//! up at each free.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use drystone_harness::allocators::Allocator;
use drystone_harness::process::launcher::Launcher;
use drystone_harness::stop::Stop;
use serde::Serialize;

use crate::bench::job::{Job, Task};
use crate::bench::launch::{self, Failure, Outcome};
use crate::bench::work::pairs;

/// What an allocator executes.
#[derive(Clone, Debug, Serialize)]
pub struct Count {
    /// The allocator.
    pub allocator: Allocator,
    /// Instructions per pair.
    pub instructions: Option<f64>,
    /// Why there are none.
    pub failure: Option<Failure>,
}

/// What the first allocator's count is to be at most.
pub const BOUND: f64 = 49.0;
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
    let empty = match callgrind.per_pair(None, stop)? {
        Ok(empty) => empty,
        Err(why) => bail!("counting the loop's own instructions: {}", why.detail),
    };
    let count = |allocator: Allocator| {
        progress(&allocator.name);
        let counted = callgrind.per_pair(Some(&allocator), stop)?;
        let (instructions, failure) = match counted {
            Ok(all) => (Some(all - empty + pairs::INSTRUCTIONS_OF_NOTHING), None),
            Err(why) => (None, Some(why)),
        };
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
    fn per_pair(&self, allocator: Option<&Allocator>, stop: &Stop) -> Result<Result<f64, Failure>> {
        let mut totals = [0.0; 2];
        for (total, pairs) in totals.iter_mut().zip([PAIRS, 2 * PAIRS]) {
            *total = match self.total(allocator, pairs, stop)? {
                Ok(total) => total,
                Err(why) => return Ok(Err(why)),
            };
        }
        Ok(Ok((totals[1] - totals[0]) / PAIRS as f64))
    }

    fn total(
        &self,
        allocator: Option<&Allocator>,
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
        let task = Task::Pairs { pairs, allocator: allocator.is_some() };
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
}
