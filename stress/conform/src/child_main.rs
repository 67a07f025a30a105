//! The child process: one row with the allocator that was preloaded.

use drystone_harness::exit;
use thiserror::Error;

use crate::checks;
use crate::child::functions::ServeError;
use crate::child::heap::Heap;
use crate::misuse;
use crate::outcome::Verdict;
use crate::protocol::job::{Job, Line, Task};
use crate::protocol::say::say;
use crate::row::Check;

/// Does what the job says; the exit status. The process ends through its exit handlers, which are
/// the allocator's too.
pub fn main(job: &str) -> u8 {
    match run(job) {
        Ok(()) => exit::FINE,
        Err(why) => {
            say(&Line::Rejected { why: why.to_string() });
            exit::FAILED
        }
    }
}

/// A job that can't be done.
#[derive(Debug, Error)]
enum JobError {
    /// It can't be read.
    #[error("the job: {0}")]
    Unreadable(serde_json::Error),
    /// The allocator does not serve.
    #[error(transparent)]
    Heap(#[from] ServeError),
    /// The parent knows other rows.
    #[error("there is no row `{0}`")]
    NoRow(String),
}

fn run(job: &str) -> Result<(), JobError> {
    let job: Job = serde_json::from_str(job).map_err(JobError::Unreadable)?;
    let heap = Heap::open(job.library.as_deref(), job.fixture)?;
    // Threads and exit handlers use it to the very end.
    let heap: &'static Heap = Box::leak(Box::new(heap));
    say(&Line::Served { by: heap.served_by.clone() });
    match job.task {
        Task::Begin => {}
        Task::Check { row } => {
            let row = checks::named(&row).ok_or(JobError::NoRow(row))?;
            let result = match row.check {
                Check::Judged(check) => check(heap).map(|()| None),
                Check::Recorded(check) => check(heap).map(Some),
            };
            say(&Line::Done(Verdict::from(result)));
        }
        Task::Mistake { mistake, size, twin } => misuse::act::run(heap, mistake, size, twin),
    }
    Ok(())
}
