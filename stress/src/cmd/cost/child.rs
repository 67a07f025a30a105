//! The child process: one allocator, one set of checks, the same operations as every other; or how
//! the harness's memory grows with the live blocks.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

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
use serde::{Deserialize, Serialize};

use crate::allocators::process::{self, AllocatorEntry, OpenAllocator};
use crate::child::panics::end_at_a_panic;
use crate::child::violation_handler;
use crate::child::workers::Workers;
use crate::child::workload::mixed::Prepared;
use crate::model::spec::Spec;
use crate::model::{job, message};

/// The name of this tool, of which the children are.
pub const TOOL: &str = "cost";

static STOP: Stop = Stop::new();

/// What the child is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Allocator, threads, seed.
    pub spec: Spec,
    /// What is measured.
    pub task: Task,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "task")]
pub enum Task {
    /// Time.
    Time {
        /// What is done around each call.
        checks: Checks,
        /// Operations of each thread in a part.
        operations: usize,
        /// How many parts, of which the median counts; one more is made before.
        parts: u32,
        /// The file for the log, where the checks have one.
        log: Option<PathBuf>,
    },
    /// Memory.
    Memory {
        /// At how many live blocks.
        blocks: [usize; 2],
    },
}

/// What the child answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// The allocator does not serve this process: wrong usage.
    Rejected {
        /// One sentence that names what to change.
        why: String,
    },
    /// The time was measured.
    Time(Time),
    /// The memory was.
    Memory {
        /// Bytes of the harness's own at each number of live blocks.
        bytes: [u64; 2],
    },
}

/// How long operations took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Time {
    /// Operations in a second, of all threads together.
    pub per_second: f64,
    /// Processor time of the threads, nanoseconds for each operation.
    pub nanoseconds: f64,
}

/// Does the job that `argument` describes, and returns the process's exit code.
pub fn main(argument: &str, subjects: &[AllocatorEntry]) -> u8 {
    end_at_a_panic();
    let (answer, code) = match work(argument, subjects) {
        Ok(answer) => (answer, exit::FINE),
        Err(why) => (Answer::Rejected { why }, exit::FAILED),
    };
    message::send_line(&answer);
    // Without exit handlers: what an allocator does there is no part of this.
    exit::now(code)
}

fn work(argument: &str, subjects: &[AllocatorEntry]) -> Result<Answer, String> {
    let Job { spec, task } = serde_json::from_str(argument)
        .map_err(|error| format!("the measurement is not readable: {error}"))?;
    let target = process::open(&spec.allocator, spec.library.as_deref(), subjects)?;
    let board: &'static Board = Box::leak(Box::new(Board::new(spec.threads)));
    violation_handler::arm(&job::Job::plain(&spec), board);
    let measurement = Measurement { spec, target, board };
    Ok(match task {
        Task::Memory { blocks } => Answer::Memory { bytes: measurement.memory(blocks) },
        Task::Time { checks, operations, parts, log } => {
            if let Some(path) = log {
                journal::begin(&path, measurement.spec.threads, || STOP.set())
                    .map_err(|error| format!("the log {}: {error}", path.display()))?;
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
    fn time(mut self, checks: Checks, operations: usize, parts: u32) -> Result<Time, String> {
        if !checks.has(Check::Schedule) {
            self.spec.disturb = Rates::one_in(0);
        }
        let overlap = Overlap::default();
        let prepared = Prepared::new(self.spec.seed, self.spec.threads, operations);
        let workers = Workers::new(&self.target, self.board, &STOP, &overlap, &self.spec);
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
            return Err("the log is full before the operations are done".to_owned());
        }
        let middle = |figure: fn(&Time) -> f64| {
            median(&times.iter().map(figure).collect::<Vec<_>>()).ok_or("no part was asked for")
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
        let mut workers = Workers::new(&self.target, self.board, &STOP, &overlap, &self.spec);
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

/// Finds the answer in what a child printed; the allocator may have printed more.
pub fn answer(output: &[u8]) -> Option<Answer> {
    output.rsplit(|&byte| byte == b'\n').find_map(|line| serde_json::from_slice(line).ok())
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
