//! A trace laid out for workers that replay it at once.

use super::in_memory::Trace;
use super::op::Op;

/// One operation in a worker's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The operation's place in the trace's order, from 0.
    pub index: u32,
    /// What to do.
    pub op: Op,
    /// The step of another worker that must be done before this one, if any.
    pub awaits: Option<Awaits>,
}

/// A step of another worker: the one in which the block was made that is about to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaits {
    /// The other worker's number.
    pub worker: u32,
    /// The place in its list, from 0: it must have done more than this many steps.
    pub step: u32,
}

impl Trace {
    /// Folds the trace's threads onto `workers` workers (thread *t* goes to worker *t* mod
    /// `workers`) and gives each its steps in the trace's order.
    ///
    /// The only dependency between workers is a block that one of them ends and another one brought
    /// to life: such a step says what it [`awaits`](Step::awaits). Whoever waits for nothing else
    /// cannot deadlock, for every awaited step stands earlier in the trace's order. Workers beyond
    /// the number of threads get empty lists.
    ///
    /// # Panics
    /// If `workers` is 0.
    pub fn fold(&self, workers: usize) -> Vec<Vec<Step>> {
        assert!(workers > 0, "a trace needs a worker");
        let mut lists = vec![Vec::new(); workers];
        let mut births: Vec<Awaits> = Vec::with_capacity(self.blocks() as usize);
        for (index, &op) in self.ops().iter().enumerate() {
            let worker = op.thread as usize % workers;
            let list: &mut Vec<Step> = &mut lists[worker];
            let here = Awaits { worker: worker as u32, step: list.len() as u32 };
            let made = op.kind.ended().map(|block| births[block as usize]);
            let awaits = made.filter(|birth| birth.worker != here.worker);
            if op.kind.made().is_some() {
                births.push(here);
            }
            list.push(Step { index: index as u32, op, awaits });
        }
        lists
    }
}
