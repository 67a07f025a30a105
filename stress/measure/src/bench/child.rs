//! The child process: makes one measurement and prints it as a line of JSON.
//!
//! It is as lean as it can be, for what it has resident before the row starts is the row's floor.

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::panic;
use std::path::{Path, PathBuf};

use drystone_harness::exit;
use drystone_harness::library::{self, LibraryError};
use drystone_harness::stats::median;
use drystone_harness::usage::{Usage, UsageError};
use drystone_workloads::calls::Calls;
use drystone_workloads::heap::Heap;
use drystone_workloads::trace::Script;
use thiserror::Error;

use crate::bench::job::{Answer, Gains, Job, Look, Sample, Task};
use crate::bench::probe::line::{self, Line};
use crate::bench::probe::{latency, lock, memory};
use crate::bench::suite::{self, Kind};
use crate::bench::work::passes::{Clock, Work};
use crate::bench::work::scaling;
use crate::bench::work::{self, pairs};

const KIB: u64 = 1024;

/// Does the job that `argument` describes, and returns the process's exit code.
pub fn main(argument: &str) -> u8 {
    end_at_a_panic();
    let (answer, code) = match job(argument) {
        Ok(sample) => (Answer::Done(sample), exit::FINE),
        Err(why) => (Answer::Rejected { why: why.to_string() }, exit::FAILED),
    };
    send(&answer);
    // Without exit handlers: what an allocator does there is no part of any row.
    exit::now(code)
}

/// A job that can't be done.
#[derive(Debug, Error)]
enum JobError {
    /// It can't be read.
    #[error("the measurement is not readable: {0}")]
    Unreadable(serde_json::Error),
    /// The allocator does not serve.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The loader does not know whose `malloc` it is.
    #[error("malloc is in no loaded object")]
    NoObject,
    /// The kernel does not say what this process uses.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The parent knows other rows.
    #[error("there is no row {0}")]
    NoRow(String),
    /// The recorded program can't be read.
    #[error("the script {}: {error}", .script.display())]
    Script {
        /// Its file.
        script: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
}

fn job(argument: &str) -> Result<Sample, JobError> {
    let job: Job = serde_json::from_str(argument).map_err(JobError::Unreadable)?;
    let calls = library::functions_of_this_process(job.library.as_deref())?;
    let malloc = calls.malloc as *mut c_void;
    let served_by = library::object_of(malloc).ok_or(JobError::NoObject)?;
    let proof = Sample {
        served_by,
        operations: 0,
        nanoseconds: 0.0,
        peak: 0,
        floor: 0,
        faults: 0,
        switches: 0,
        locked: None,
        gains: None,
        line: None,
        latency: None,
        memory: None,
    };
    match job.task {
        Task::Prove => Ok(proof),
        Task::Floor { row, script } => {
            let ready = Ready::new(&row, script.as_deref())?;
            let usage = Usage::of_this_process()?;
            drop(ready);
            Ok(Sample { peak: usage.peak_rss / KIB, floor: usage.rss / KIB, ..proof })
        }
        Task::Row { row, passes, script, look } => {
            let ready = Ready::new(&row, script.as_deref())?;
            let marked = suite::kind_of(&row).is_some_and(Kind::marks);
            looked(look, ready, passes, calls, marked, proof)
        }
        Task::Pairs { call, pairs, allocator } => {
            let call = pairs::named(&call).ok_or(JobError::NoRow(call))?;
            pairs::run(allocator.then_some(&calls), call, pairs);
            Ok(Sample { operations: 2 * pairs, ..proof })
        }
    }
}

/// Makes a row's passes and adds to `proof` what is looked at.
fn looked(
    look: Look,
    ready: Ready,
    passes: u64,
    calls: Calls,
    marked: bool,
    proof: Sample,
) -> Result<Sample, JobError> {
    match look {
        Look::Time => timed(ready, passes, calls, proof),
        Look::Latency => {
            let heap = Heap::opaque(latency::timed(calls));
            let (operations, ..) = ready.measure(heap, passes);
            Ok(Sample { operations, latency: Some(Box::new(latency::end())), ..proof })
        }
        Look::Memory => {
            let heap = Heap::opaque(memory::watched(calls, marked));
            let (operations, ..) = ready.measure(heap, passes);
            Ok(Sample { operations, memory: memory::end(), ..proof })
        }
    }
}

fn timed(ready: Ready, passes: u64, calls: Calls, proof: Sample) -> Result<Sample, JobError> {
    // Outside of all that is counted.
    let way = ready.is_timed_by_the_wall().then(line::way).flatten();
    let lock = lock::Watch::begin();
    let before = Usage::of_this_process()?;
    let (operations, nanoseconds, gains) = ready.measure(Heap::opaque(calls), passes);
    let after = Usage::of_this_process()?;
    let switches = after.involuntary_switches - before.involuntary_switches;
    let locked = lock.map(lock::Watch::end);
    let faults = after.minor_faults - before.minor_faults;
    let (peak, floor) = (after.peak_rss / KIB, before.rss / KIB);
    let line = way.and_then(|before| Some(Line { before, after: line::way()? }));
    Ok(Sample {
        operations,
        nanoseconds,
        peak,
        floor,
        faults,
        switches,
        locked,
        gains,
        line,
        ..proof
    })
}

/// Parts of a row that is timed by the wall's clock. Odd, so that the median is one of them.
const PARTS: u64 = 9;

/// A row whose data are made.
enum Ready {
    Passes(Work),
    Scaling(scaling::Data),
}

impl Ready {
    fn new(row: &str, script: Option<&Path>) -> Result<Self, JobError> {
        let kind = suite::kind_of(row).ok_or_else(|| JobError::NoRow(row.to_owned()))?;
        if kind == Kind::Scaling {
            return Ok(Ready::Scaling(scaling::prepare()));
        }
        let script = script.map(read).transpose()?;
        Ok(Ready::Passes(work::prepare(kind, script)))
    }

    /// As the rows of two threads are.
    fn is_timed_by_the_wall(&self) -> bool {
        matches!(self, Ready::Passes(Work { clock: Clock::Wall, .. }))
    }

    /// Operations in the steady part, nanoseconds for each, and gains.
    fn measure(self, heap: Heap, passes: u64) -> (u64, f64, Option<Gains>) {
        match self {
            Ready::Passes(Work { operations, clock, start }) => {
                let mut run = start(heap);
                // A tenth more, before; one pass at least, which maps and fills what later ones
                // reuse.
                run(passes.div_ceil(10));
                let parts = match clock {
                    Clock::Processor => 1,
                    Clock::Wall => PARTS.min(passes),
                };
                let times = (0..parts).map(|_| run(passes / parts).as_secs_f64());
                let time = median(&times.collect::<Vec<_>>()).expect("at least one part");
                let of_a_part = operations * (passes / parts);
                (of_a_part * parts, 1e9 * time / of_a_part as f64, None)
            }
            Ready::Scaling(data) => {
                let (gains, time) = scaling::measure(data, heap, passes);
                let nanoseconds = time.as_nanos() as f64 / scaling::OPERATIONS as f64;
                (scaling::OPERATIONS, nanoseconds, Some(gains))
            }
        }
    }
}

fn read(script: &Path) -> Result<Script, JobError> {
    File::open(script)
        .and_then(|file| Script::read_from(&mut BufReader::new(file)))
        .map_err(|error| JobError::Script { script: script.to_owned(), error })
}

/// A worker that panics would leave the others waiting for ever.
fn end_at_a_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        print(panic);
        exit::now(exit::PANICKED);
    }));
}

/// Writes a line of its own, whatever the allocator has half written. A parent that is gone reads
/// nothing.
fn send(answer: &Answer) {
    let mut line = vec![b'\n'];
    serde_json::to_writer(&mut line, answer).expect("answers have string keys only");
    line.push(b'\n');
    let mut out = io::stdout().lock();
    let _ = out.write_all(&line).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is resident when a row begins must be the most there was, or a part of the row's peak
    /// would hide beneath what its preparation used and gave back.
    #[test]
    fn making_a_rows_data_takes_no_more_than_the_data() {
        for row in suite::rows(true).expect("the traces are in the repository") {
            if row.trace.is_some() {
                continue;
            }
            let before = Usage::of_this_process().unwrap();
            let ready = Ready::new(&row.name, None).unwrap();
            let after = Usage::of_this_process().unwrap();
            drop(ready);
            // The kernel may count the pages of now sooner than it raises the peak.
            let hidden = after.peak_rss.saturating_sub(before.peak_rss.max(after.rss)) / KIB;
            assert!(hidden <= 512, "{}: {hidden} KiB were used and given back", row.name);
        }
    }
}
