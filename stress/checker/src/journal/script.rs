//! A journal's calls in order, each with the worker that makes it.
//!
//! The worker threads are as many generations as they were: where a worker's thread was a new one,
//! all are. A step that uses a block which no step has made is left out: a journal that was cut may
//! name such.

use std::collections::HashMap;

use crate::journal::call::{Call, Name};
use crate::journal::kept::{Builder, Journal};
use crate::journal::reader::Entry;

/// One call and who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The worker.
    pub worker: usize,
    /// What it asks.
    pub call: Call,
    /// The name of the block that the call makes, or uses.
    pub block: Option<Name>,
    /// Which of the worker's threads makes it, counted from 0.
    pub generation: usize,
}

/// The calls of an episode in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The calls, one generation after the other.
    pub steps: Vec<Step>,
}

impl Script {
    /// The calls of a journal.
    pub fn of(entries: &[Entry]) -> Self {
        let mut begun = HashMap::<usize, usize>::new();
        let mut steps = Vec::new();
        for &Entry { worker, call, block, .. } in entries {
            let begun = begun.entry(worker).or_default();
            match call {
                Call::Begin => *begun += 1,
                _ => steps.push(Step { worker, call, block, generation: begun.saturating_sub(1) }),
            }
        }
        // They are in this order: no thread begins before all of the generation before have exited.
        steps.sort_by_key(|step| step.generation);
        Self { steps }
    }

    /// The steps of each generation in turn.
    pub fn generations(&self) -> impl Iterator<Item = &[Step]> {
        self.steps.chunk_by(|one, next| one.generation == next.generation)
    }

    /// The script as a journal, so that it is kept and read like one. Blocks are numbered anew: a
    /// journal names each by how many its owner has made. Steps that use blocks which no step makes
    /// are left out.
    pub fn to_journal(&self) -> Journal {
        let mut journal = Builder::new(self.workers());
        let mut names = HashMap::new();
        let mut generation = None;
        for (moment, step) in self.steps.iter().enumerate() {
            if generation.replace(step.generation) != Some(step.generation) {
                for worker in 0..self.workers() {
                    journal.push(worker, moment as u64, Call::Begin);
                }
            }
            let Some(call) = renamed(step.call, &names) else { continue };
            let made = journal.push(step.worker, moment as u64, call);
            if let (Some(made), Some(block)) = (made, step.block) {
                names.insert(block, made);
            }
        }
        journal.finish()
    }

    /// How many workers it takes.
    pub fn workers(&self) -> usize {
        self.steps.iter().map(|step| step.worker + 1).max().unwrap_or(1)
    }
}

fn renamed(call: Call, names: &HashMap<Name, Name>) -> Option<Call> {
    let Some(block) = call.block() else { return Some(call) };
    Some(call.with_block(*names.get(&block)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_survives_being_a_journal_and_its_blocks_are_numbered_anew() {
        let name = |owner, sequence| Name { owner, sequence };
        let step = |worker, generation, call: Call, block| Step { worker, call, block, generation };
        let malloc = Call::Malloc { size: 10 };
        let steps = vec![
            step(0, 0, malloc, Some(name(0, 7))),
            step(1, 0, malloc, Some(name(1, 3))),
            step(0, 0, Call::Free { block: name(1, 3) }, Some(name(1, 3))),
            // Nobody makes this one.
            step(1, 0, Call::Free { block: name(0, 9) }, Some(name(0, 9))),
            step(1, 3, Call::Realloc { block: name(0, 7), size: 5 }, Some(name(0, 7))),
            step(0, 3, malloc, Some(name(0, 8))),
            step(0, 3, Call::Rest, None),
        ];
        let journal = Script { steps }.to_journal();
        let again = Script::of(&Journal::from_bytes(&journal.to_bytes()).unwrap().entries());
        let expected = vec![
            step(0, 0, malloc, Some(name(0, 0))),
            step(1, 0, malloc, Some(name(1, 0))),
            step(0, 0, Call::Free { block: name(1, 0) }, Some(name(1, 0))),
            step(1, 1, Call::Realloc { block: name(0, 0), size: 5 }, Some(name(0, 0))),
            step(0, 1, malloc, Some(name(0, 1))),
            step(0, 1, Call::Rest, None),
        ];
        assert_eq!(again.steps, expected);
        assert_eq!(again.generations().map(<[Step]>::len).collect::<Vec<_>>(), [3, 3]);
    }
}
