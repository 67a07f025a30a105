//! Two threads against one on private blocks, and the same for a loop that uses no memory: what the
//! machine grants two threads just then is no allocator's fault, nor its merit.

use std::hint::black_box;
use std::time::Duration;

use drystone_harness::stats::median;
use drystone_workloads::heap::Heap;
use drystone_workloads::splitmix::splitmix;
use drystone_workloads::workers::TimedWorkers;

use crate::bench::job::Gains;
use crate::bench::work::one_thread::RingData;
use crate::bench::work::threads::{rings, workers_of_rings};

/// The rings: one for the thread that works alone, and one for each of the two.
#[derive(Debug)]
pub struct Data {
    alone: Vec<RingData>,
    together: Vec<RingData>,
}

/// Turns in a pass.
const TURNS: usize = 65_536;
/// Passes in a phase: some 10 ms.
const PASSES: u64 = 24;
/// Steps of the loop without memory that take about as long as a pass.
const STEPS: u64 = 300_000;

/// Makes the data.
pub fn prepare() -> Data {
    let mut alone = rings(TURNS);
    alone.truncate(1);
    Data { alone, together: rings(TURNS) }
}

/// Measures all four phases `rounds` times, one after the other in turn, at least once; the
/// medians, and the time of a median phase of two threads with blocks.
pub fn measure(data: Data, heap: Heap, rounds: u64) -> (Gains, Duration) {
    let sets = [
        workers_of_rings(heap, data.alone),
        workers_of_rings(heap, data.together),
        workers_of_registers(1),
        workers_of_registers(2),
    ];
    for workers in &sets {
        workers.run(1);
    }
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        for (workers, times) in sets.iter().zip(&mut times) {
            times.push(workers.run(PASSES).as_secs_f64());
        }
    }
    let [one, two, one_loop, two_loops] =
        times.map(|times| median(&times).expect("at least one round"));
    let gains = Gains { memory: 2.0 * one / two, registers: 2.0 * one_loop / two_loops };
    (gains, Duration::from_secs_f64(two))
}

/// Calls in the phase whose time [`measure`] returns.
pub const OPERATIONS: u64 = 2 * 2 * TURNS as u64 * PASSES;

fn workers_of_registers(threads: usize) -> TimedWorkers {
    TimedWorkers::start(threads, |number| {
        let mut state = number as u64;
        move |passes| {
            for _ in 0..passes * STEPS {
                // Each step needs the one before, or the compiler would do them all at once.
                state ^= splitmix(&mut state.clone());
            }
            black_box(state);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_of_what_there_was() {
        assert_eq!(Gains { memory: 1.5, registers: 1.5 }.kept(), 1.0);
        assert_eq!(Gains { memory: 1.0, registers: 2.0 }.kept(), 0.5);
    }
}
