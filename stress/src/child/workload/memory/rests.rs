//! What is resident at each rest of one process, and what that must not be.
//!
//! | it must not | judged |
//! |---|---|
//! | stay, where all was freed | against what was resident before the first cycle: by more than an eighth of what was live, and [`SLACK`] |
//! | grow from rest to rest | the rests after the first quarter, by thirds: each third lies above the one before, its median by [`STEP`], and the last above the first quarter too |
//!
//! Before a rest is looked at every thread has exited, the allocator has been asked to give back if
//! it has a function for that, and threads have done a little light work, by which many allocators
//! give back. One that takes its time is looked at again for [`PATIENCE`], at the run's end or when
//! three rests in a row were above the bound.

use std::thread;
use std::time::{Duration, Instant};

use drystone_checker::violation::{self, Kind};
use drystone_harness::text::units;
use drystone_harness::usage::{Usage, UsageError};
use drystone_workloads::calls::MoreCalls;

use crate::child::workers::CheckedWorkers;
use crate::child::workload::memory::figures;
use crate::model::outcome::{MOST_AT_REST, RESTS_JUDGED};

/// What any allocator may keep, bytes. The C library, tcmalloc, jemalloc and mimalloc keep 9 MiB of
/// 100 at most, of this and the eighth together.
const SLACK: u64 = 16 << 20;
/// Growth from one third of the rests to the next that is no chance, bytes.
const STEP: u64 = 768 << 10;
/// The same as a share of what was live: one in so many.
const STEP_SHARE: u64 = 128;
/// Fewer rests tell nothing of growth: what wanders has 16 of them in that order by chance in 1 of
/// 127,000 (12: 1 of 4,400).
const LEAST_RESTS: usize = 16;
/// So many rests in a row above the bound are looked into.
const MOST_ABOVE: u32 = 3;
/// How long memory may take to come back: jemalloc's decays in ten seconds.
const PATIENCE: Duration = Duration::from_secs(12);
/// The same, where the allocator has a function that gives back, and is asked again and again.
const PATIENCE_IF_ASKED: Duration = Duration::from_secs(3);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The rests of one process.
#[derive(Debug)]
pub struct Rests {
    /// Resident before the first cycle, bytes.
    before: u64,
    /// In use before the first cycle, as the allocator says, bytes.
    said: Option<u64>,
    /// Resident at each rest, bytes.
    resident: Vec<u64>,
    /// The most that was live.
    live: u64,
    /// How many of the last rests in a row were above the bound.
    above: u32,
}

impl Rests {
    /// Before the first cycle.
    ///
    /// # Errors
    /// The machine does not say what is resident.
    pub fn begin(more: &MoreCalls) -> Result<Self, UsageError> {
        let said = figures::in_use(more);
        Ok(Self { before: resident()?, said, resident: Vec::new(), live: 0, above: 0 })
    }

    /// Looks at a rest, before which `live` bytes were.
    ///
    /// # Errors
    /// The machine does not say what is resident.
    pub fn look(&mut self, workers: &mut CheckedWorkers<'_>, live: u64) -> Result<(), UsageError> {
        self.live = self.live.max(live);
        light_work(workers);
        figures::judge_at_rest(&workers.allocator().more, self.said, self.live);
        let now = resident()?;
        self.resident.push(now);
        workers.board().note(RESTS_JUDGED, 1);
        if let Some(grown) = grown(&self.resident, STEP.max(self.live / STEP_SHARE)) {
            let expected = "memory at rest that does not grow from rest to rest";
            let seen = format!(
                "{} more from the second quarter of {} rests to the last, and never less: {}",
                units::bytes(grown),
                self.resident.len(),
                shown(&self.resident)
            );
            violation::raise(Kind::Growth, expected, seen);
        }
        if workers.stop().is_set() {
            let most = self.resident.iter().max().unwrap_or(&0).saturating_sub(self.before);
            workers.board().note(MOST_AT_REST, most >> 20);
        }
        self.above = if now > self.bound() { self.above + 1 } else { 0 };
        // At the end of the run too: whoever stops it from outside waits for nothing.
        if self.above == MOST_ABOVE || self.above > 0 && workers.stop().is_set() {
            self.wait(workers)?;
        }
        Ok(())
    }

    /// What may be resident at rest.
    fn bound(&self) -> u64 {
        self.before + self.live / 8 + SLACK
    }

    /// Gives the allocator the time that it may take.
    fn wait(&mut self, workers: &mut CheckedWorkers<'_>) -> Result<(), UsageError> {
        let asked = workers.allocator().own.is_some() || workers.allocator().more.gives_back();
        let patience = if asked { PATIENCE_IF_ASKED } else { PATIENCE };
        let (began, mut pause) = (Instant::now(), PAUSE);
        loop {
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(500));
            light_work(workers);
            let now = resident()?;
            if now <= self.bound() {
                self.above = 0;
                return Ok(());
            }
            if began.elapsed() <= patience {
                continue;
            }
            let expected = format!(
                "at most {} resident when all is freed: {} at first, an eighth of the {} that were \
                 live, and {}",
                units::bytes(self.bound()),
                units::bytes(self.before),
                units::bytes(self.live),
                units::bytes(SLACK)
            );
            let (seconds, rests) = (patience.as_secs(), self.resident.len());
            let seen = format!("{} {seconds} s after rest {rests}", units::bytes(now));
            violation::raise(Kind::NotGivenBack, &expected, seen);
        }
    }
}

/// Some of the figures, from the first to the last.
fn shown(resident: &[u64]) -> String {
    let step = resident.len().div_ceil(6);
    let some: Vec<String> = resident.iter().step_by(step).map(|one| units::bytes(*one)).collect();
    format!("{}, {}", some.join(", "), units::bytes(*resident.last().unwrap_or(&0)))
}

/// By how much the rests have grown, third by third after the first quarter; none if they have not.
fn grown(resident: &[u64], step: u64) -> Option<u64> {
    if resident.len() < LEAST_RESTS {
        return None;
    }
    let (quarter, rest) = resident.split_at(resident.len() / 4);
    let third = rest.len() / 3;
    let mut parts =
        [&rest[..third], &rest[third..2 * third], &rest[2 * third..]].map(<[u64]>::to_vec);
    parts.iter_mut().for_each(|part| part.sort_unstable());
    let [first, second, last] = &parts;
    let rises = |one: &[u64], next: &[u64]| {
        next.first() >= one.last() && next[next.len() / 2] >= one[one.len() / 2] + step
    };
    // What falls at first, and comes back, wanders.
    let is_new = quarter.iter().max() < last.first();
    let grows = is_new && rises(first, second) && rises(second, last);
    grows.then(|| last.last().unwrap_or(&0) - first.first().unwrap_or(&0))
}

/// What the allocator has resident, bytes.
fn resident() -> Result<u64, UsageError> {
    Ok(Usage::of_this_process()?.of_the_allocator())
}

/// What makes allocators give back: a few blocks of each size in new threads, and a word to those
/// that take one.
fn light_work(workers: &mut CheckedWorkers<'_>) {
    let (more, own) = (workers.allocator().more, workers.allocator().own);
    workers.each(|checked| {
        for octave in 4..=20 {
            let blocks: Vec<_> = (0..4).map(|_| checked.malloc(1 << octave)).collect();
            blocks.into_iter().for_each(|block| checked.free(block));
        }
        more.give_back();
    });
    more.give_back();
    if let Some(own) = own {
        (own.trim)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_grows_from_third_to_third_is_found() {
        let growing: Vec<u64> = (0..40).map(|rest| 50 * MIB + rest * MIB / 8).collect();
        assert!(grown(&growing, STEP).is_some());
        assert_eq!(grown(&growing[..LEAST_RESTS - 1], STEP), None, "too few");
    }

    #[test]
    fn what_is_level_levels_off_or_wanders_is_not() {
        let level: Vec<u64> = (0..40).map(|rest| 50 * MIB + rest % 5 * MIB).collect();
        let levels_off: Vec<u64> = (0..40).map(|rest| 50 * MIB + rest.min(12) * MIB).collect();
        let one_step: Vec<u64> = (0..40).map(|rest| (50 + rest / 25 * 9) * MIB).collect();
        let falls_back: Vec<u64> = (0..40).map(|rest| 50 * MIB + rest % 30 * MIB).collect();
        // glibc's, beside other work.
        let comes_back =
            [157, 140, 120, 100, 97, 90, 87, 95, 110, 138, 130, 128, 140, 158, 158, 158];
        let comes_back = comes_back.map(|tenths| tenths * MIB / 10).to_vec();
        for rests in [level, levels_off, one_step, falls_back, comes_back] {
            assert_eq!(grown(&rests, STEP), None, "{rests:?}");
        }
    }
}
