//! A finding made small: delta debugging (Zeller and Hildebrandt 2002) over the threads, blocks,
//! calls and sizes of its journal.
//!
//! What is tried is a script; it counts if a finding of the same kind comes of it. Passes, each as
//! long as something can be taken away, all of them again until none takes anything:
//!
//! | pass | takes away |
//! |---|---|
//! | lately used | all blocks but those of the last calls |
//! | kinds | all calls of a kind that makes no block |
//! | threads | all calls of a thread; or the thread, whose calls another makes |
//! | blocks | a block with all calls on it |
//! | calls | single calls |
//! | sizes | bytes asked for, alignments, the zeroing |
//!
//! The best script so far always shows the finding, so that it may end at any time.

use std::collections::HashSet;

use anyhow::Result;
use drystone_checker::journal::{Call, Name};
use drystone_checker::journal::{Script, Step};

/// Says whether a script shows the finding; none when there is no time left to find out.
pub type Oracle<'a> = dyn FnMut(&Script) -> Result<Option<bool>> + 'a;

/// The smallest script that was found, and whether no pass could make it smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// It shows the finding.
    pub script: Script,
    /// False if time ran out.
    pub finished: bool,
}

/// No more time: the best so far stands.
struct OutOfTime;

/// Either a failure of the harness, which ends everything, or of time.
enum Halt {
    Time(OutOfTime),
    Harness(anyhow::Error),
}

type Halting<T> = std::result::Result<T, Halt>;

/// Makes `script` smaller, which shows the finding.
///
/// # Errors
/// The oracle's.
pub fn shrink(script: Script, oracle: &mut Oracle<'_>) -> Result<Shrunk> {
    let mut shrinker = Shrinker { best: script, oracle };
    match shrinker.passes() {
        Ok(()) => Ok(Shrunk { script: shrinker.best, finished: true }),
        Err(Halt::Time(OutOfTime)) => Ok(Shrunk { script: shrinker.best, finished: false }),
        Err(Halt::Harness(error)) => Err(error),
    }
}

struct Shrinker<'a, 'b> {
    best: Script,
    oracle: &'a mut Oracle<'b>,
}

impl Shrinker<'_, '_> {
    /// Takes `steps` for the best if they show the finding.
    fn try_steps(&mut self, steps: Vec<Step>) -> Halting<bool> {
        if steps == self.best.steps || steps.is_empty() {
            return Ok(false);
        }
        let script = Script { steps };
        match (self.oracle)(&script).map_err(Halt::Harness)? {
            None => Err(Halt::Time(OutOfTime)),
            Some(false) => Ok(false),
            Some(true) => {
                self.best = script;
                Ok(true)
            }
        }
    }

    fn passes(&mut self) -> Halting<()> {
        self.lately_used()?;
        self.kinds()?;
        // First roughly: what is tried after is tried the faster.
        self.sizes(self.best.steps.len())?;
        loop {
            let before = self.best.clone();
            self.threads()?;
            self.blocks()?;
            self.calls()?;
            self.sizes(1)?;
            self.sizes_to_the_byte()?;
            if self.best == before {
                return Ok(());
            }
        }
    }

    fn lately_used(&mut self) -> Halting<()> {
        let mut calls = 4;
        while calls < self.best.steps.len() {
            let last = &self.best.steps[self.best.steps.len() - calls..];
            let used: HashSet<Name> = last.iter().filter_map(|step| step.block).collect();
            let of_these = |step: &&Step| step.block.is_some_and(|block| used.contains(&block));
            let steps = self.best.steps.iter().filter(of_these).copied().collect();
            if self.try_steps(steps)? {
                return Ok(());
            }
            calls *= 8;
        }
        Ok(())
    }

    fn kinds(&mut self) -> Halting<()> {
        let kinds: [fn(&Call) -> bool; 3] = [
            |call| matches!(call, Call::Verify { .. }),
            |call| !call.allocates() && call.block().is_none(),
            |call| matches!(call, Call::ImpossibleResize { .. } | Call::Free { .. }),
        ];
        for kind in kinds {
            let steps = self.best.steps.iter().filter(|step| !kind(&step.call)).copied().collect();
            self.try_steps(steps)?;
        }
        Ok(())
    }

    fn threads(&mut self) -> Halting<()> {
        for worker in (0..self.best.workers()).rev() {
            let others = self.best.steps.iter().filter(|step| step.worker != worker);
            let others = others.copied().collect();
            if self.try_steps(without_gaps(others))? || worker == 0 {
                continue;
            }
            let by_the_first = |step: &Step| match step.worker == worker {
                true => Step { worker: 0, ..*step },
                false => *step,
            };
            let merged = self.best.steps.iter().map(by_the_first).collect();
            self.try_steps(without_gaps(merged))?;
        }
        Ok(())
    }

    fn blocks(&mut self) -> Halting<()> {
        let mut seen = HashSet::new();
        let blocks = self.best.steps.iter().filter_map(|step| step.block);
        let blocks: Vec<Name> = blocks.filter(|block| seen.insert(*block)).collect();
        self.ddmin(blocks, |steps, gone| {
            let gone: HashSet<&Name> = gone.iter().collect();
            let stays = |step: &&Step| step.block.is_none_or(|block| !gone.contains(&block));
            steps.iter().filter(stays).copied().collect()
        })
    }

    fn calls(&mut self) -> Halting<()> {
        // By what does not change when others go: how far a step is from the end would.
        let marked: Vec<usize> = (0..self.best.steps.len()).collect();
        let all = self.best.steps.clone();
        let mut gone_so_far = HashSet::new();
        let mut chunk = marked.len().div_ceil(2);
        while chunk > 0 {
            let mut from = 0;
            while from < all.len() {
                let part: Vec<usize> = (from..(from + chunk).min(all.len()))
                    .filter(|index| !gone_so_far.contains(index))
                    .collect();
                from += chunk;
                if part.is_empty() {
                    continue;
                }
                let gone: HashSet<usize> = gone_so_far.iter().copied().chain(part).collect();
                let steps = (0..all.len()).filter(|index| !gone.contains(index));
                if self.try_steps(steps.map(|index| all[index]).collect())? {
                    gone_so_far = gone;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
        Ok(())
    }

    /// Takes away as many of `things` as it can, in ever smaller groups. `without` makes the steps
    /// that are left when a group goes.
    fn ddmin<T: Clone>(
        &mut self,
        mut things: Vec<T>,
        without: impl Fn(&[Step], &[T]) -> Vec<Step>,
    ) -> Halting<()> {
        let mut chunk = things.len().div_ceil(2);
        while chunk > 0 {
            let mut from = 0;
            while from < things.len() {
                let end = (from + chunk).min(things.len());
                let steps = without(&self.best.steps, &things[from..end]);
                match self.try_steps(steps)? {
                    true => drop(things.drain(from..end)),
                    false => from = end,
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
        Ok(())
    }

    /// All calls at once first, then in ever smaller groups, down to `smallest` calls.
    fn sizes(&mut self, smallest: usize) -> Halting<()> {
        for simpler in SIMPLER {
            let mut chunk = self.best.steps.len();
            while chunk >= smallest.max(1) {
                for from in (0..self.best.steps.len()).step_by(chunk) {
                    let end = (from + chunk).min(self.best.steps.len());
                    // As long as it helps: to halve does so more than once.
                    loop {
                        let mut steps = self.best.steps.clone();
                        for step in &mut steps[from..end] {
                            step.call = simpler(step.call);
                        }
                        if !self.try_steps(steps)? {
                            break;
                        }
                    }
                }
                chunk /= 2;
            }
        }
        Ok(())
    }

    /// Each call's size by bisection: what is wrong with a size is mostly wrong with all above it.
    fn sizes_to_the_byte(&mut self) -> Halting<()> {
        if self.best.steps.len() > FEW {
            return Ok(());
        }
        for index in 0..self.best.steps.len() {
            let (mut least, Some(mut most)) = (0, self.best.steps[index].call.size()) else {
                continue;
            };
            while least < most {
                let middle = least.midpoint(most);
                let mut steps = self.best.steps.clone();
                steps[index].call = with_size(steps[index].call, |_| middle);
                match self.try_steps(steps)? {
                    true => most = middle,
                    false => least = middle + 1,
                }
            }
        }
        Ok(())
    }
}

/// A call that asks for less, or the same if there is none.
type Simpler = fn(Call) -> Call;

const SIMPLER: [Simpler; 4] = [
    |call| match call {
        Call::Calloc { count, size } => Call::Malloc { size: count.saturating_mul(size) },
        // As many bytes as the checker asks for.
        Call::AlignedAlloc { alignment, size } => {
            Call::Malloc { size: size.next_multiple_of(alignment).max(alignment) }
        }
        Call::ReallocNull { size } => Call::Malloc { size },
        other => other,
    },
    |call| with_size(call, |size| size.min(1)),
    |call| with_size(call, |size| size.min(64)),
    |call| with_size(call, |size| size / 2),
];

/// In a script of more calls sizes are not brought down to the byte.
const FEW: usize = 64;

fn with_size(call: Call, less: impl Fn(usize) -> usize) -> Call {
    match call {
        Call::Malloc { size } => Call::Malloc { size: less(size) },
        Call::Calloc { count, size } => {
            Call::Calloc { count: 1, size: less(count.saturating_mul(size)) }
        }
        Call::AlignedAlloc { alignment, size } => {
            Call::AlignedAlloc { alignment, size: less(size) }
        }
        Call::ReallocNull { size } => Call::ReallocNull { size: less(size) },
        Call::Realloc { block, size } => Call::Realloc { block, size: less(size) },
        // These must be impossible: less may be granted.
        other => other,
    }
}

/// The workers numbered from 0 on.
fn without_gaps(mut steps: Vec<Step>) -> Vec<Step> {
    let mut workers: Vec<usize> = steps.iter().map(|step| step.worker).collect();
    workers.sort_unstable();
    workers.dedup();
    for step in &mut steps {
        step.worker = workers.partition_point(|worker| *worker < step.worker);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(sequence: u64) -> Name {
        Name { owner: 0, sequence }
    }

    fn malloc(worker: usize, sequence: u64, size: usize) -> Step {
        Step { worker, call: Call::Malloc { size }, block: Some(name(sequence)), generation: 0 }
    }

    fn free(worker: usize, sequence: u64) -> Step {
        let block = name(sequence);
        Step { worker, call: Call::Free { block }, block: Some(block), generation: 0 }
    }

    /// Blocks made and freed by three workers, `count` of each.
    fn program(count: u64) -> Script {
        let mut steps = Vec::new();
        for sequence in 0..count {
            steps.push(malloc(sequence as usize % 3, sequence, 1_000 + sequence as usize));
            if sequence >= 5 {
                steps.push(free(sequence as usize % 2, sequence - 5));
            }
        }
        Script { steps }
    }

    #[test]
    fn what_is_needed_is_all_that_is_left() {
        // Goes wrong when block 77 is freed after block 40 was made with more than 512 bytes.
        let wrong = |script: &Script| {
            let made = script.steps.iter().position(|step| {
                step.block == Some(name(40)) && step.call.size().is_some_and(|size| size > 512)
            });
            let freed =
                script.steps.iter().position(|step| step.call == Call::Free { block: name(77) });
            made.zip(freed).is_some_and(|(made, freed)| made < freed)
        };
        let mut tries = 0;
        let mut oracle = |script: &Script| {
            tries += 1;
            Ok(Some(wrong(script)))
        };
        let shrunk = shrink(program(1_000), &mut oracle).unwrap();
        assert!(shrunk.finished);
        assert_eq!(shrunk.script.steps.len(), 2, "{:?}", shrunk.script);
        assert_eq!(shrunk.script.steps[0], malloc(0, 40, 513));
        assert_eq!(shrunk.script.steps[1], free(0, 77));
        assert!(tries < 300, "{tries} tries");
    }

    #[test]
    fn what_needs_two_threads_keeps_two() {
        let mut oracle = |script: &Script| {
            let workers: HashSet<usize> = script.steps.iter().map(|step| step.worker).collect();
            Ok(Some(workers.len() >= 2))
        };
        let shrunk = shrink(program(100), &mut oracle).unwrap();
        assert_eq!((shrunk.script.steps.len(), shrunk.script.workers()), (2, 2));
    }

    proptest! {
        #[test]
        fn the_best_so_far_always_shows_it(tries in 0usize..60, needed in 0u64..90) {
            let shows = |script: &Script| {
                script.steps.iter().any(|step| step.block == Some(name(needed)))
            };
            let mut left = tries;
            let mut oracle = |script: &Script| {
                if left == 0 {
                    return Ok(None);
                }
                left -= 1;
                Ok(Some(shows(script)))
            };
            let whole = program(100);
            let shrunk = shrink(whole.clone(), &mut oracle).unwrap();
            prop_assert!(shows(&shrunk.script));
            prop_assert!(shrunk.script.steps.len() <= whole.steps.len());
        }
    }
}
