//! A measurement: the processes of one or two sides, interleaved.
//!
//! A machine drifts: clocks, temperature, neighbours. Sides measured one after the other would
//! have the drift for a difference. So each round runs one process of every side, in an order drawn
//! anew, and a drift slower than a round falls on all sides alike.

use anyhow::{Error, Result};
use rand::Rng;
use rand_pcg::Pcg64;

use super::Interrupted;
use super::bench::Bench;
use crate::records::record::Process;

/// Which processes to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Sides, numbered from 0.
    pub sides: usize,
    /// Processes per side.
    pub runs: usize,
    /// Where the order comes from: the same seed gives the same order in every version.
    pub seed: u64,
}

impl Plan {
    /// The side of each process, in the order in which they run.
    pub fn order(&self) -> Vec<usize> {
        let mut random = Pcg64::new(u128::from(self.seed), 0);
        let mut order = Vec::new();
        for _ in 0..self.runs {
            let mut round: Vec<usize> = (0..self.sides).collect();
            for last in (1..round.len()).rev() {
                // The bias of the remainder is below one in 2^60.
                round.swap(last, (random.next_u64() % (last as u64 + 1)) as usize);
            }
            order.extend(round);
        }
        order
    }
}

/// What happens, for whoever shows progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process of this side starts.
    Started(usize),
    /// It measured this many benchmarks.
    Finished(usize, usize),
}

/// What a measurement brought.
#[derive(Debug)]
pub struct Measured {
    /// The finished processes of each side.
    pub sides: Vec<Vec<Process>>,
    /// Whether they are all.
    pub ended: Ended,
}

/// Why a measurement ended.
#[derive(Debug)]
pub enum Ended {
    /// All processes ran.
    Complete,
    /// The user asked to stop.
    Interrupted,
    /// A process failed.
    Failed(Error),
}

/// Runs the processes of `plan`, one at a time. Stops at the first that fails or is
/// interrupted, and returns what was finished before it.
pub fn measure(plan: Plan, bench: &mut dyn Bench, tell: &mut dyn FnMut(Event)) -> Measured {
    let mut sides = vec![Vec::new(); plan.sides];
    let ended = match measure_into(&mut sides, plan, bench, tell) {
        Ok(()) => Ended::Complete,
        Err(error) if error.is::<Interrupted>() => Ended::Interrupted,
        Err(error) => Ended::Failed(error),
    };
    Measured { sides, ended }
}

fn measure_into(
    sides: &mut [Vec<Process>],
    plan: Plan,
    bench: &mut dyn Bench,
    tell: &mut dyn FnMut(Event),
) -> Result<()> {
    for (position, side) in plan.order().into_iter().enumerate() {
        tell(Event::Started(side));
        let benchmarks = bench.run(side)?;
        tell(Event::Finished(side, benchmarks.len()));
        sides[side].push(Process { position, benchmarks });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::record::Samples;
    use std::collections::BTreeMap;

    /// A bench that takes no time: side s takes s + 1 ns in its first process, s + 1.1 in its
    /// second, and so on, until `ends_after` processes.
    struct Fake {
        ran: Vec<usize>,
        ends_after: usize,
        end: fn() -> Error,
    }

    impl Bench for Fake {
        fn run(&mut self, side: usize) -> Result<BTreeMap<String, Samples>> {
            if self.ran.len() == self.ends_after {
                return Err((self.end)());
            }
            let before = self.ran.iter().filter(|&&ran| ran == side).count();
            self.ran.push(side);
            let time = side as f64 + 1.0 + 0.1 * before as f64;
            let samples = Samples { throughput: None, iters: vec![1.0], times: vec![time] };
            Ok(BTreeMap::from([("x/y/z".to_owned(), samples)]))
        }
    }

    fn run(plan: Plan, ends_after: usize, end: fn() -> Error) -> (Fake, Measured, Vec<Event>) {
        let mut fake = Fake { ran: Vec::new(), ends_after, end };
        let mut events = Vec::new();
        let measured = measure(plan, &mut fake, &mut |event| events.push(event));
        (fake, measured, events)
    }

    fn unexpected() -> Error {
        unreachable!("the fake is not to end")
    }

    #[test]
    fn each_round_runs_each_side_once() {
        let plan = Plan { sides: 2, runs: 40, seed: 7 };
        let (fake, measured, events) = run(plan, usize::MAX, unexpected);
        assert!(matches!(measured.ended, Ended::Complete));
        let mut first = [0, 0];
        for round in fake.ran.chunks(2) {
            assert_ne!(round[0], round[1]);
            first[round[0]] += 1;
        }
        // Of 40 fair draws, fewer than 8 of one kind come up once in 50,000 seeds; this is one
        // seed.
        assert!(first.iter().all(|&times| times >= 8), "the order is not drawn: {first:?}");
        assert_eq!(events.len(), 160);
        assert_eq!(events[..2], [Event::Started(fake.ran[0]), Event::Finished(fake.ran[0], 1)]);
    }

    #[test]
    fn samples_go_to_the_side_that_took_them_with_their_place() {
        let plan = Plan { sides: 2, runs: 3, seed: 1 };
        let (fake, measured, _) = run(plan, usize::MAX, unexpected);
        for (side, processes) in measured.sides.iter().enumerate() {
            assert_eq!(processes.len(), 3);
            for (number, process) in processes.iter().enumerate() {
                assert_eq!(fake.ran[process.position], side);
                let time = process.benchmarks["x/y/z"].times[0];
                assert_eq!(time, side as f64 + 1.0 + 0.1 * number as f64);
            }
        }
    }

    /// From an implementation of its own of PCG XSL RR 128/64 (M. E. O'Neill, "PCG: A Family of
    /// Simple Fast Space-Efficient Statistically Good Algorithms for Random Number Generation",
    /// 2014), in another language. A change of the generator would make printed seeds worthless.
    #[test]
    fn a_seed_gives_the_same_order_for_ever() {
        let plan = Plan { sides: 2, runs: 6, seed: 42 };
        assert_eq!(plan.order(), [1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0]);
        assert_ne!(plan.order(), Plan { seed: 43, ..plan }.order());
    }

    #[test]
    fn what_was_finished_before_the_end_is_kept() {
        let plan = Plan { sides: 2, runs: 5, seed: 3 };
        let (_, measured, _) = run(plan, 5, || Interrupted.into());
        assert!(matches!(measured.ended, Ended::Interrupted));
        assert_eq!(measured.sides.iter().map(Vec::len).sum::<usize>(), 5);

        let (_, measured, _) = run(plan, 0, || anyhow::anyhow!("broken"));
        let Ended::Failed(error) = measured.ended else { panic!("{:?}", measured.ended) };
        assert_eq!(error.to_string(), "broken");
        assert!(measured.sides.iter().all(Vec::is_empty));
    }
}
