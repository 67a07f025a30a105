//! One child with its allocator preloaded: its answer read, or how the allocator failed.

use std::path::Path;

use anyhow::Result;
use drystone_harness::exit;
use drystone_harness::process::launcher::{End, Ended, Launcher};
use drystone_harness::process::preload::{said, signal_name, tail};
use drystone_harness::stop::Stop;
use serde::Serialize;

use crate::bench::job::{Answer, Job, Sample, TOOL, answer};

/// What came of a child.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It did its work.
    Done(Sample),
    /// It says that it was asked wrongly.
    Rejected(String),
    /// The allocator did not get through.
    Failed(Failure),
    /// It was killed because the campaign was stopped.
    Stopped,
}

/// How an allocator failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// In a table's cell.
    pub short: String,
    /// What was seen.
    pub detail: String,
}

/// Of what a child prints on standard error, the end, in bytes.
const TAIL: usize = 1024;

/// Runs one child to its end, its deadline, or `stop`; under the command line `wrapper` if it is
/// not empty.
///
/// # Errors
/// It can't be started or waited for.
pub fn run(launcher: &Launcher, wrapper: &[String], job: &Job, stop: &Stop) -> Result<Outcome> {
    let command = launcher.child(wrapper, TOOL, job, job.library.as_deref())?;
    let ended = launcher.run(command, stop)?;
    if ended.end == End::Stopped {
        return Ok(Outcome::Stopped);
    }
    Ok(match answer(&ended.output) {
        Some(Answer::Done(sample)) if ended.end.is_success() => {
            match wrongly_served(job, &sample.served_by) {
                Some(why) => Outcome::Rejected(why),
                None => Outcome::Done(sample),
            }
        }
        Some(Answer::Rejected { why }) => Outcome::Rejected(why),
        _ => Outcome::Failed(Failure::of(&ended)),
    })
}

/// Why the function that was called as malloc is not the one that was meant, if it is not.
fn wrongly_served(job: &Job, served_by: &Path) -> Option<String> {
    let right = match &job.library {
        Some(library) => served_by == library,
        None => served_by.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("libc.") || name.starts_with("libc-")
        }),
    };
    let meant = job.library.as_deref().unwrap_or(Path::new("the C library"));
    (!right).then(|| {
        format!("malloc was meant to be of {}, and is of {}", meant.display(), served_by.display())
    })
}

impl Failure {
    /// What a child's end says of its allocator, if it has given no answer.
    pub fn of(ended: &Ended) -> Self {
        let (short, how) = match ended.end {
            // Nothing that it printed says why.
            End::Hung(_) => {
                return Self { short: "hang".to_owned(), detail: ended.end.to_string() };
            }
            End::Exited(code) if code == i32::from(exit::PANICKED) => {
                ("wrong".to_owned(), "it gave a wrong answer".to_owned())
            }
            End::Exited(code) => {
                (format!("exit {code}"), format!("it ended with exit status {code}"))
            }
            End::Killed(signal) => (signal_name(signal), ended.end.to_string()),
            End::Flooded => ("prints on".to_owned(), ended.end.to_string()),
            End::Stopped => ("–".to_owned(), ended.end.to_string()),
        };
        // Without who may have sent the signal.
        let short = short.split(" (").next().unwrap_or_default().to_owned();
        let said = said(&tail(&ended.errors, TAIL));
        Self { short, detail: format!("{how}; {said}") }
    }
}
