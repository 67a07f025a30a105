//! One child: started with its subject preloaded, waited for until a deadline, its answer read.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drystone_harness::exit;
use drystone_harness::process::preload::{self, Reader, signal_name, tail};
use drystone_harness::stop::Stop;
use serde::Serialize;

use crate::bench::job::{Answer, CHILD, Job, Sample, answer};

/// What came of a child.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It did its work.
    Done(Sample),
    /// It says that it was asked wrongly.
    Refused(String),
    /// The subject did not get through.
    Failed(Failure),
    /// It was killed because the campaign was stopped.
    Stopped,
}

/// A child to be started.
#[derive(Clone, Copy, Debug)]
pub struct What<'a, J> {
    /// Its first argument.
    pub child: &'a str,
    /// Its second, as JSON.
    pub job: &'a J,
    /// What is preloaded.
    pub library: Option<&'a Path>,
}

/// How a child ended.
#[derive(Clone, Debug)]
pub enum End {
    /// By itself.
    Came {
        /// With this status.
        status: ExitStatus,
        /// What it printed on standard output.
        output: Vec<u8>,
        /// What it printed on standard error.
        errors: Vec<u8>,
    },
    /// It did not, until its deadline.
    Failed(Failure),
    /// It was killed because the campaign was stopped.
    Stopped,
}

/// How a subject failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// In a table's cell.
    pub short: String,
    /// What was seen.
    pub detail: String,
}

/// How children are started.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The binary, which calls [`super::child::main`] when its first argument is [`CHILD`].
    pub program: PathBuf,
    /// When a child is given up.
    pub deadline: Duration,
}

const POLL: Duration = Duration::from_millis(2);
/// Of what a child prints on standard error, the end, in bytes.
const LAST_WORDS: usize = 1024;

impl Launcher {
    /// A launcher whose children are this very binary.
    ///
    /// # Errors
    /// The OS does not say which binary this is.
    pub fn of_this_binary(deadline: Duration) -> Result<Self> {
        Ok(Self { program: preload::this_binary()?, deadline })
    }

    /// Runs one child to its end, its deadline, or `stop`.
    ///
    /// # Errors
    /// It can't be started or waited for.
    pub fn run(&self, job: &Job, stop: &Stop) -> Result<Outcome> {
        self.run_under(&[], job, stop)
    }

    /// As [`Launcher::run`], under another program: `wrapper` is its command line.
    ///
    /// # Errors
    /// As [`Launcher::run`].
    pub fn run_under(&self, wrapper: &[String], job: &Job, stop: &Stop) -> Result<Outcome> {
        let what = What { child: CHILD, job, library: job.library.as_deref() };
        Ok(match self.end_of(wrapper, &what, stop)? {
            End::Stopped => Outcome::Stopped,
            End::Failed(failure) => Outcome::Failed(failure),
            End::Came { status, output, errors } => match answer(&output) {
                Some(Answer::Done(sample)) if status.success() => {
                    match wrongly_served(job, &sample.served_by) {
                        Some(why) => Outcome::Refused(why),
                        None => Outcome::Done(sample),
                    }
                }
                Some(Answer::Refused { why }) => Outcome::Refused(why),
                _ => Outcome::Failed(death(status, &errors)),
            },
        })
    }

    /// Runs one child to its end, its deadline, or `stop`, whatever it answers.
    ///
    /// # Errors
    /// It can't be started or waited for.
    pub fn end_of<J: Serialize>(
        &self,
        wrapper: &[String],
        what: &What<'_, J>,
        stop: &Stop,
    ) -> Result<End> {
        let mut child = self.start(wrapper, what)?;
        let output = Reader::of(child.stdout.take().context("the child's output")?);
        let errors = Reader::of(child.stderr.take().context("the child's errors")?);
        let Some(status) = self.wait(&mut child, stop)? else {
            child.kill().context("killing a child")?;
            child.wait().context("waiting for a child that was killed")?;
            if stop.is_set() {
                return Ok(End::Stopped);
            }
            let detail = format!("not done after {} s", self.deadline.as_secs());
            return Ok(End::Failed(Failure { short: "hang".to_owned(), detail }));
        };
        Ok(End::Came { status, output: output.all(), errors: errors.all() })
    }

    fn start<J: Serialize>(&self, wrapper: &[String], what: &What<'_, J>) -> Result<Child> {
        let mut command = match wrapper {
            [] => Command::new(&self.program),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.program);
                command
            }
        };
        preload::prepare(&mut command, what.library)
            .arg(what.child)
            .arg(serde_json::to_string(what.job).context("the measurement as JSON")?)
            .stdin(Stdio::null())
            // What is told of a panic is its message.
            .env("RUST_BACKTRACE", "0");
        let program = Path::new(command.get_program()).display().to_string();
        command.spawn().with_context(|| format!("starting {program}"))
    }

    /// The child's end; none if it must be killed.
    fn wait(&self, child: &mut Child, stop: &Stop) -> Result<Option<ExitStatus>> {
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().context("waiting for a child")? {
                return Ok(Some(status));
            }
            if began.elapsed() > self.deadline || stop.is_set() {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }
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

/// What a child's death says of its subject.
pub fn death(status: ExitStatus, errors: &[u8]) -> Failure {
    let (short, how) = match (status.signal(), status.code()) {
        (Some(signal), _) => (signal_name(signal), format!("killed by {}", signal_name(signal))),
        (None, Some(code)) if code == i32::from(exit::PANICKED) => {
            ("wrong".to_owned(), "it gave a wrong answer".to_owned())
        }
        (None, code) => {
            let code = code.unwrap_or(-1);
            (format!("exit {code}"), format!("it ended with exit status {code}"))
        }
    };
    let short = short.split(' ').next().unwrap_or_default().to_owned();
    let said = preload::said(&tail(errors, LAST_WORDS));
    Failure { short, detail: format!("{how}; {said}") }
}
