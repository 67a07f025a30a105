//! One child: started with its subject preloaded, waited for until its time is up, its output read.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use drystone_harness::process::preload::{self, Reader, said, signal_name, tail};
use drystone_harness::stop::Stop;

use crate::job::{CHILD, Job, Line};
use crate::outcome::{Outcome, Verdict};
use crate::subjects::Subject;

/// How children are started.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The binary, which calls [`super::child::main`] when its first argument is [`CHILD`].
    pub program: PathBuf,
    /// When a child is given up.
    pub deadline: Duration,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With an exit status.
    Exited(i32),
    /// By a signal.
    Signal(i32),
    /// By this tool, after so many seconds.
    Hung(u64),
    /// By this tool, because the campaign was stopped.
    Stopped,
}

/// A child's end and output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Its lines.
    pub lines: Vec<Line>,
    /// What stood on its standard output besides, the beginning of it: the subject's words.
    pub besides: String,
    /// How it ended.
    pub status: Status,
    /// The end of what it printed on standard error.
    pub words: String,
}

const POLL: Duration = Duration::from_millis(2);
/// The most that one poll counts for: while this process did not run, neither did the child.
const LONGEST_POLL: Duration = Duration::from_millis(50);
/// Of what a child prints on standard error, the end, in bytes.
const LAST_WORDS: usize = 2048;

impl Launcher {
    /// A launcher whose children are this very binary.
    ///
    /// # Errors
    /// The OS does not say which binary this is.
    pub fn of_this_binary(deadline: Duration) -> Result<Self> {
        Ok(Self { program: preload::this_binary()?, deadline })
    }

    /// Runs one child to its end, its deadline, or `stop`. A child that says that it is served by anybody but the
    /// subject is an error: nothing is said of an allocator that was not there. One that dies or hangs before it can
    /// say who serves it is held against the subject, and its outcome says so.
    ///
    /// # Errors
    /// It can't be started or waited for, or the subject did not serve it.
    pub fn run(&self, subject: &Subject, job: &Job, stop: &Stop) -> Result<Ending> {
        let mut child = self.start(subject, job)?;
        let output = Reader::of(child.stdout.take().context("the child's output")?);
        let errors = Reader::of(child.stderr.take().context("the child's errors")?);
        let status = self.wait(&mut child, stop)?;
        // Children of the child may hold its pipes.
        kill_group(&child);
        let output = output.all();
        let (lines, besides) = (Line::all(&output), Line::besides(&output));
        let words = tail(&errors.all(), LAST_WORDS);
        for line in &lines {
            match line {
                // The loader may have said why.
                Line::Refused { why } if !words.is_empty() => {
                    bail!("allocator {}: {why}; {}", subject.name, said(&words))
                }
                Line::Refused { why } => bail!("allocator {}: {why}", subject.name),
                Line::Served { by } if job.library.as_ref().is_some_and(|it| it != by) => {
                    bail!("allocator {}: served by {}", subject.name, by.display())
                }
                _ => {}
            }
        }
        Ok(Ending { lines, besides, status, words })
    }

    fn start(&self, subject: &Subject, job: &Job) -> Result<Child> {
        let mut command = Command::new(&self.program);
        preload::prepare(&mut command, job.library.as_deref())
            .arg(CHILD)
            .arg(serde_json::to_string(job).context("the job as JSON")?)
            .stdin(Stdio::null())
            .env("RUST_BACKTRACE", "0")
            .envs(subject.env.iter().map(|(name, value)| (name, value)));
        // SAFETY: it makes one system call, which is allowed between fork and exec.
        unsafe { command.pre_exec(without_descriptors) };
        command.spawn().with_context(|| format!("starting {}", self.program.display()))
    }

    /// Waits; a child that is not done in time is killed. Time in which this process was stopped does not
    /// count.
    fn wait(&self, child: &mut Child, stop: &Stop) -> Result<Status> {
        let mut waited = Duration::ZERO;
        loop {
            let began = Instant::now();
            if let Some(status) = child.try_wait().context("waiting for a child")? {
                return Ok(match (status.signal(), status.code()) {
                    (Some(signal), _) => Status::Signal(signal),
                    (None, code) => Status::Exited(code.unwrap_or(-1)),
                });
            }
            if waited > self.deadline || stop.is_set() {
                child.kill().context("killing a child")?;
                child.wait().context("waiting for a child that was killed")?;
                return Ok(match stop.is_set() {
                    true => Status::Stopped,
                    false => Status::Hung(self.deadline.as_secs()),
                });
            }
            thread::sleep(POLL);
            waited += began.elapsed().min(LONGEST_POLL);
        }
    }
}

/// What this process was given by whoever started it is not the child's: its descriptors are counted. Where
/// the kernel is too old for it they are counted too.
fn without_descriptors() -> std::io::Result<()> {
    // SAFETY: marks descriptors to be closed by exec; closes none before.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Ok(())
}

/// Ends what the child may have left behind: it was the head of a process group of its own.
fn kill_group(child: &Child) {
    // SAFETY: kill takes any numbers. The group's number is not another's as long as a member lives; where
    // none does the call fails, for the number was the child's a moment ago and is not given out at once.
    unsafe { libc::kill(-child.id().cast_signed(), libc::SIGKILL) };
}

impl Ending {
    /// Whether it came so far as to say who serves it.
    pub fn served(&self) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Served { .. }))
    }

    /// In a sentence.
    pub fn how(&self) -> String {
        match self.status {
            Status::Exited(status) => format!("exit status {status}"),
            Status::Signal(signal) => format!("killed by {}", signal_name(signal)),
            Status::Hung(seconds) => format!("not done after {seconds} s"),
            Status::Stopped => "stopped".to_owned(),
        }
    }

    /// What came of a check.
    pub fn outcome(&self) -> Outcome {
        let mut verdicts = self.lines.iter().filter_map(|line| match line {
            Line::Done(verdict) => Some(verdict),
            _ => None,
        });
        // A check of what happens after main may take back what was said before.
        let last = verdicts.next_back();
        let failed = matches!(last, Some(Verdict::Fail { .. }));
        match (self.status, last) {
            (Status::Stopped, _) => Outcome::Stopped,
            (Status::Hung(after), _) => Outcome::Hang { after },
            (Status::Exited(0), Some(verdict)) => Outcome::Said(verdict.clone()),
            (Status::Exited(_), Some(verdict)) if failed => Outcome::Said(verdict.clone()),
            (_, last) => {
                let after = match last {
                    Some(_) => " after its check",
                    None if !self.served() => " before it could say who serves it",
                    None => "",
                };
                Outcome::Crash { how: format!("{}{after}", self.how()), words: self.words.clone() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn outcome(lines: &[Line], status: Status) -> Outcome {
        let (lines, besides, words) = (lines.to_vec(), String::new(), String::new());
        Ending { lines, besides, status, words }.outcome()
    }

    #[test]
    fn only_a_child_that_ends_well_has_passed() {
        let pass = Line::Done(Verdict::Pass);
        let fail = Verdict::Fail { expected: "a".to_owned(), got: "b".to_owned() };
        let failed = Line::Done(fail.clone());
        assert_eq!(outcome(from_ref(&pass), Status::Exited(0)), Outcome::Said(Verdict::Pass));
        let crash = outcome(from_ref(&pass), Status::Signal(libc::SIGSEGV));
        assert_eq!(crash.detail().unwrap(), "killed by SIGSEGV after its check");
        assert!(outcome(&[], Status::Exited(0)).is_wrong());
        let early = outcome(&[], Status::Signal(libc::SIGSEGV));
        assert_eq!(early.detail().unwrap(), "killed by SIGSEGV before it could say who serves it");
        let served = Line::Served { by: PathBuf::from("a.so") };
        let crash = outcome(&[served], Status::Signal(libc::SIGSEGV));
        assert_eq!(crash.detail().unwrap(), "killed by SIGSEGV");
        assert!(outcome(from_ref(&pass), Status::Exited(3)).is_wrong());
        assert_eq!(outcome(&[pass, failed], Status::Exited(1)), Outcome::Said(fail));
        assert_eq!(outcome(&[], Status::Hung(7)), Outcome::Hang { after: 7 });
    }

    #[test]
    fn what_a_subject_prints_hides_no_line() {
        let output = b"half a word{\"line\":\"mistake\"}\n\xff\n{\"line\":\"returned\"}\n{}";
        assert_eq!(Line::all(output), [Line::Returned]);
        assert_eq!(Line::besides(output), "half a word{\"line\":\"mistake\"}\n\u{fffd}\n{}");
        let text = format!("half{}", Line::Mistake.text());
        assert_eq!(Line::all(text.as_bytes()), [Line::Mistake]);
    }
}
