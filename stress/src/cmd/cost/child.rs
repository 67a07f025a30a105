//! The child process: one allocator, one set of checks, the same operations as every other; or how
//! the harness's memory grows with the live blocks.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use drystone_checker::checks::{Check, Checks};
use drystone_checker::counters::Board;
use drystone_checker::journal;
use drystone_checker::overlap::Overlap;
use drystone_checker::schedule::Rates;
use drystone_harness::stats::median;
use drystone_harness::stop::Stop;
use drystone_harness::{exit, memory};
use drystone_workloads::mixed::generator;
use drystone_workloads::sizes::LogUniform;

use crate::allocators::process::{self, AllocatorEntry, OpenAllocator};
use crate::child::panics::end_at_a_panic;
use crate::child::violation_handler;
use crate::child::workers::CheckedWorkers;
use crate::child::workload::mixed::Prepared;
use crate::cmd::cost::job::{Answer, Job, Task, Time};
use crate::model::spec::Spec;
use crate::model::{job, message};

static STOP: Stop = Stop::new();

/// Does the job that `argument` describes, and returns the process's exit code.
pub fn main(argument: &str, allocators: &[AllocatorEntry]) -> u8 {
    end_at_a_panic();
    let (answer, code) = match work(argument, allocators) {
        Ok(answer) => (answer, exit::FINE),
        Err(why) => (Answer::Rejected { why: format!("{why:#}") }, exit::FAILED),
    };
    message::send_line(&answer);
    // Without exit handlers: what an allocator does there is no part of this.
    exit::now(code)
}

fn work(argument: &str, allocators: &[AllocatorEntry]) -> Result<Answer> {
    let Job { spec, task } =
        serde_json::from_str(argument).context("the measurement is not readable")?;
    let target = process::open(&spec.allocator, spec.library.as_deref(), allocators)?;
    let board: &'static Board = Box::leak(Box::new(Board::new(spec.threads)));
    violation_handler::arm(&job::Job::plain(&spec), board);
    let measurement = Measurement { spec, target, board };
    Ok(match task {
        Task::Memory { blocks } => Answer::Memory { bytes: measurement.memory(blocks) },
        Task::Time { checks, operations, parts, journal } => {
            if let Some(path) = journal {
                journal::begin(&path, measurement.spec.threads, || STOP.set())
                    .with_context(|| format!("the journal {}", path.display()))?;
            }
            Answer::Time(measurement.time(checks, operations, parts)?)
        }
    })
}

struct Measurement {
    spec: Spec,
    target: OpenAllocator,
    board: &'static Board,
}

/// What a worker's operations took.
#[derive(Clone, Copy)]
struct Stint {
    elapsed: Duration,
    processor: Duration,
}

impl Measurement {
    fn time(mut self, checks: Checks, operations: usize, parts: u32) -> Result<Time> {
        if !checks.has(Check::Schedule) {
            self.spec.disturb = Rates::one_in(0);
        }
        let overlap = Overlap::default();
        let prepared = Prepared::new(self.spec.seed, self.spec.threads, operations);
        let workers = CheckedWorkers::new(&self.target, self.board, &STOP, &overlap, &self.spec);
        let mut workers = workers.checking(checks);
        let mut part = || {
            let stints = Mutex::new(Vec::new());
            prepared.round(&mut workers, |carry_out| {
                let (began, processor) = (Instant::now(), processor_time());
                carry_out();
                let processor = processor_time() - processor;
                let stint = Stint { elapsed: began.elapsed(), processor };
                stints.lock().expect("a panic ends the process").push(stint);
            });
            assert!(overlap.is_empty(), "a round ends with nothing live");
            Time::of(&stints.into_inner().expect("a panic ends the process"), operations)
        };
        // What is mapped and filled once is in nobody's figure.
        part();
        let times: Vec<Time> = (0..parts).map(|_| part()).collect();
        if STOP.is_set() {
            bail!("the journal is full before the operations are done");
        }
        let middle = |figure: fn(&Time) -> f64| {
            median(&times.iter().map(figure).collect::<Vec<_>>()).context("no part was asked for")
        };
        Ok(Time {
            per_second: middle(|time| time.per_second)?,
            nanoseconds: middle(|time| time.nanoseconds)?,
        })
    }

    /// With every check, and in a table as the workers have theirs.
    fn memory(mut self, blocks: [usize; 2]) -> [u64; 2] {
        self.spec.threads = 1;
        let overlap = Overlap::default();
        let mut workers =
            CheckedWorkers::new(&self.target, self.board, &STOP, &overlap, &self.spec);
        let seed = self.spec.seed.0;
        let seen = Mutex::new([0; 2]);
        workers.each(|checked| {
            let mut seen = seen.lock().expect("a panic ends the process");
            let mut sizes = generator(seed, 0);
            let mut live = Vec::new();
            for (count, seen) in blocks.into_iter().zip(seen.iter_mut()) {
                while live.len() < count {
                    live.push(checked.malloc(LogUniform::KIBIBYTE.draw(&mut sizes)));
                }
                *seen = memory::used() as u64;
            }
            live.into_iter().for_each(|block| checked.free(block));
        });
        seen.into_inner().expect("a panic ends the process")
    }
}

impl Time {
    fn of(stints: &[Stint], operations: usize) -> Self {
        let operations = operations as f64;
        let per_second = stints.iter().map(|stint| operations / stint.elapsed.as_secs_f64()).sum();
        let processor: Duration = stints.iter().map(|stint| stint.processor).sum();
        let nanoseconds = processor.as_nanos() as f64 / (operations * stints.len() as f64);
        Self { per_second, nanoseconds }
    }
}

/// What the calling thread has used of a processor so far.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable. Linux has had this clock since 2.6.12.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0, "the kernel does not tell the thread's time");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up_and_their_processor_time_is_shared_out() {
        let stint = |elapsed, processor| Stint {
            elapsed: Duration::from_micros(elapsed),
            processor: Duration::from_micros(processor),
        };
        let time = Time::of(&[stint(1000, 800), stint(500, 500)], 1000);
        assert!((time.per_second - 3e6).abs() < 1.0, "{time:?}");
        assert!((time.nanoseconds - 650.0).abs() < 1e-6, "{time:?}");
    }
}
