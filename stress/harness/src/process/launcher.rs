//! One process from its start to its end: its output gathered, its deadline kept, its whole process
//! group gone when it is over, and what it used.
//!
//! ```text
//! command ─► start ─► ended? too late? stopped? flooded? ─► kill the group ─► reap ─► Ended
//!                     └────────── every 2 ms ─────────┘
//! ```
//!
//! A child that has ended is not waited for until its group has been killed: as long as it is a
//! zombie, no other process can have its number. Output goes to files that have no name, and not to
//! pipes: a pipe that a grandchild keeps open would never end.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::mem::MaybeUninit;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use thiserror::Error;

use crate::process::child;
use crate::process::preload::{self, signal_name, without_core_files};
use crate::process::resources::{Resources, reap};
use crate::stop::Stop;
use crate::text::units;

const POLL: Duration = Duration::from_millis(2);
/// The most that one poll counts for: while this process did not run, neither did the child.
const LONGEST_POLL: Duration = Duration::from_millis(50);
/// Bytes that a process may print on either of its outputs.
pub const MOST_OUTPUT: u64 = 64 << 20;

/// Why nothing is known of a process: none of it is a program's or an allocator's fault.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// The OS does not say which binary this is.
    #[error("this program's own path")]
    OwnPath(#[source] io::Error),
    /// The job has no text.
    #[error("the job of a child as JSON")]
    Job(#[source] serde_json::Error),
    /// There is no place for what it prints.
    #[error("a file for the output of a process: free space in the folder for temporary files")]
    Output(#[source] io::Error),
    /// It can't be started.
    #[error("starting {}", program.display())]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It can't be waited for.
    #[error("waiting for a process")]
    Wait(#[source] io::Error),
}

/// The binary that this process runs, which is its children's too.
///
/// # Errors
/// The OS does not say which it is.
pub fn this_binary() -> Result<PathBuf, LaunchError> {
    std::env::current_exe().map_err(LaunchError::OwnPath)
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It had not ended by its deadline of so many seconds, and was killed.
    Hung(u64),
    /// It had printed more than [`MOST_OUTPUT`], and was killed.
    Flooded,
    /// It was killed because of the stop.
    Stopped,
}

impl End {
    /// Whether it ended by itself, and well.
    pub fn is_success(self) -> bool {
        self == End::Exited(0)
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.signal(), status.code()) {
            (Some(signal), _) => End::Killed(signal),
            (None, code) => End::Exited(code.unwrap_or(-1)),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(status) => write!(f, "exit status {status}"),
            End::Killed(signal) => write!(f, "killed by {}", signal_name(*signal)),
            End::Hung(seconds) => write!(f, "not done after {seconds} s"),
            End::Flooded => write!(f, "killed: it printed more than {}", units::bytes(MOST_OUTPUT)),
            End::Stopped => write!(f, "stopped"),
        }
    }
}

/// A process's end, and what it left.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How.
    pub end: End,
    /// Standard output, no more than [`MOST_OUTPUT`] of it.
    pub output: Vec<u8>,
    /// Standard error, likewise.
    pub errors: Vec<u8>,
    /// What it used.
    pub resources: Resources,
}

/// How processes are started, and how long they may take.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The binary of children, which calls [`child::dispatch`] before all else.
    pub program: PathBuf,
    /// When a process is given up.
    pub deadline: Duration,
}

impl Launcher {
    /// A launcher whose children are this very binary.
    ///
    /// # Errors
    /// The OS does not say which binary this is.
    pub fn of_this_binary(deadline: Duration) -> Result<Self, LaunchError> {
        Ok(Self { program: this_binary()?, deadline })
    }

    /// A command that starts a child of `tool` with that job and `library` preloaded, or under the
    /// C library's own allocator; under the command line `wrapper` if it is not empty.
    ///
    /// # Errors
    /// The job can't be written as JSON.
    pub fn child(
        &self,
        wrapper: &[String],
        tool: &str,
        job: &impl Serialize,
        library: Option<&Path>,
    ) -> Result<Command, LaunchError> {
        let job = serde_json::to_string(job).map_err(LaunchError::Job)?;
        let mut command = child::command(wrapper, &self.program, tool, &job);
        // What is told of a panic is its message.
        preload::under(&mut command, library).env("RUST_BACKTRACE", "0");
        Ok(command)
    }

    /// Runs a command to its end, its deadline, or `stop`. Nothing of its process group is left
    /// then.
    ///
    /// # Errors
    /// It can't be started or waited for.
    pub fn run(&self, mut command: Command, stop: &Stop) -> Result<Ended, LaunchError> {
        let file = || tempfile::tempfile().map_err(LaunchError::Output);
        let (mut output, mut errors) = (file()?, file()?);
        let handed = |file: &File| file.try_clone().map(Stdio::from).map_err(LaunchError::Output);
        command
            .stdin(Stdio::null())
            .stdout(handed(&output)?)
            .stderr(handed(&errors)?)
            // Ctrl-C at the terminal goes to a whole group; the child is ended by `stop` instead.
            .process_group(0);
        // SAFETY: the function makes two system calls, which are allowed between fork and exec, and
        // allocates nothing.
        unsafe { command.pre_exec(with_nothing_of_the_parents) };
        let began = Instant::now();
        let child = command.spawn().map_err(|source| LaunchError::Start {
            program: command.get_program().into(),
            source,
        })?;
        let process = child.id();
        let cut_short = self.watch(process, [&output, &errors], stop);
        kill_group(process);
        let (status, resources) = reap(process, || began.elapsed()).map_err(LaunchError::Wait)?;
        let end = cut_short?.unwrap_or_else(|| End::from(status));
        let (output, errors) = (all(&mut output)?, all(&mut errors)?);
        Ok(Ended { end, output, errors, resources })
    }

    /// Watches a child until it has ended by itself, or must be killed: then why. Time in which
    /// this process was stopped does not count.
    fn watch(
        &self,
        process: u32,
        outputs: [&File; 2],
        stop: &Stop,
    ) -> Result<Option<End>, LaunchError> {
        let mut waited = Duration::ZERO;
        loop {
            let began = Instant::now();
            if has_ended(process).map_err(LaunchError::Wait)? {
                return Ok(None);
            }
            if stop.is_set() {
                return Ok(Some(End::Stopped));
            }
            if waited > self.deadline {
                return Ok(Some(End::Hung(self.deadline.as_secs())));
            }
            for file in outputs {
                if file.metadata().map_err(LaunchError::Output)?.len() > MOST_OUTPUT {
                    return Ok(Some(End::Flooded));
                }
            }
            thread::sleep(POLL);
            waited += began.elapsed().min(LONGEST_POLL);
        }
    }
}

/// What is done in a child before its program is loaded. A crash that was asked for leaves no core
/// file; what this process was given by whoever started it is not the child's, for some children
/// count their descriptors. Where the kernel is too old to close them they are counted too.
fn with_nothing_of_the_parents() -> io::Result<()> {
    // SAFETY: marks descriptors to be closed by exec; closes none before.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    without_core_files()
}

/// Whether a child has ended; it stays to be waited for.
fn has_ended(process: u32) -> io::Result<bool> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is writable.
    let done = unsafe { libc::waitid(libc::P_PID, process, info.as_mut_ptr(), flags) };
    if done != 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) };
    }
    // SAFETY: all zero is a valid siginfo_t; waitid leaves it so where no child has ended
    // (waitid(2)), and else fills in what `si_pid` reads.
    Ok(unsafe { info.assume_init().si_pid() } != 0)
}

/// Ends a child that has not been waited for, and whoever is left of the group that it leads.
fn kill_group(process: u32) {
    // SAFETY: kill takes any numbers. The child is at least a zombie, so the number is its group's
    // and no other's.
    unsafe { libc::kill(-process.cast_signed(), libc::SIGKILL) };
}

/// All that a process has printed, as far as it is wanted.
fn all(file: &mut File) -> Result<Vec<u8>, LaunchError> {
    let mut bytes = Vec::new();
    file.rewind().map_err(LaunchError::Output)?;
    file.take(MOST_OUTPUT).read_to_end(&mut bytes).map_err(LaunchError::Output)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn run(script: &str, deadline: Duration, stop: &Stop) -> Ended {
        let launcher = Launcher { program: PathBuf::from("none"), deadline };
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        launcher.run(command, stop).unwrap()
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_end_is_told_with_its_output_and_its_resources() {
        let ended = run("echo out; echo error >&2; exit 3", MINUTE, &Stop::new());
        assert_eq!(ended.end.to_string(), "exit status 3");
        assert_eq!((&ended.output[..], &ended.errors[..]), (&b"out\n"[..], &b"error\n"[..]));
        assert!(ended.resources.peak > 0 && ended.resources.wall > 0.0, "{ended:?}");
        assert!(run("exit 0", MINUTE, &Stop::new()).end.is_success());
        let killed = run("kill -SEGV $$", MINUTE, &Stop::new()).end;
        assert_eq!(killed.to_string(), "killed by SIGSEGV");
    }

    #[test]
    fn a_process_is_killed_with_its_group_at_its_deadline_and_at_the_stop() {
        let stop = Stop::new();
        let ended = run("sleep 60 & echo $!; wait", Duration::from_millis(500), &stop);
        assert_eq!(ended.end, End::Hung(0));
        gone(&ended);
        stop.set();
        assert_eq!(run("sleep 60", MINUTE, &stop).end, End::Stopped);
    }

    #[test]
    fn what_a_process_leaves_behind_is_killed_and_keeps_nobody_waiting() {
        let ended = run("sleep 60 & echo $!", MINUTE, &Stop::new());
        assert!(ended.end.is_success(), "{ended:?}");
        gone(&ended);
    }

    /// The process whose number was printed has been killed, if it has not been waited for yet
    /// either.
    fn gone(ended: &Ended) {
        let number = String::from_utf8_lossy(&ended.output).trim().to_owned();
        let state = || match fs::read_to_string(format!("/proc/{number}/stat")) {
            Ok(stat) => stat.rsplit(") ").next().and_then(|rest| rest.chars().next()),
            Err(_) => None,
        };
        let began = Instant::now();
        while state().is_some_and(|state| !"ZX".contains(state)) {
            assert!(began.elapsed() < MINUTE / 2, "{number} lives on");
            thread::sleep(POLL);
        }
    }

    #[test]
    fn a_process_that_prints_without_end_is_killed() {
        let ended = run("yes", MINUTE, &Stop::new());
        assert_eq!(ended.end.to_string(), "killed: it printed more than 64.0 MiB");
        assert_eq!(ended.output.len() as u64, MOST_OUTPUT);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let launcher = Launcher { program: PathBuf::from("none"), deadline: MINUTE };
        let command = launcher.child(&[], "tool", &(), None).unwrap();
        let error = launcher.run(command, &Stop::new()).unwrap_err();
        assert_eq!(error.to_string(), "starting none");
    }
}
