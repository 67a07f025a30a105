//! One process, from its start to its end: what it said, how it ended, what it and those that it waited for used.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use drystone_harness::exit;
use drystone_harness::process::preload::signal_name;
use drystone_harness::stop::Stop;
use serde::{Deserialize, Serialize};

const POLL: Duration = Duration::from_millis(2);

/// What came of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It had not ended by its deadline, and was killed with its process group.
    Hung,
    /// It was killed because the campaign was stopped.
    Stopped,
}

impl End {
    /// In words.
    pub fn describe(&self) -> String {
        match self {
            End::Ended(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit status {code}"),
                (None, Some(signal)) => format!("killed by {}", signal_name(signal)),
                (None, None) => "ended".to_owned(),
            },
            End::Hung => "not done by its deadline".to_owned(),
            End::Stopped => "stopped".to_owned(),
        }
    }
}

/// A process's end, and what it left.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How.
    pub end: End,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// What it used.
    pub usage: Usage,
}

/// What a process and the processes that it waited for have used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of processor time, the kernel's included.
    pub cpu: f64,
    /// Seconds of wall-clock time.
    pub wall: f64,
    /// The largest resident set of any one of them, in KiB; not less than that of the process in between, which
    /// the first of them was before it became its program.
    pub peak: u64,
}

impl Usage {
    /// Of commands that run one after the other.
    pub fn and(self, other: Usage) -> Usage {
        Usage {
            cpu: self.cpu + other.cpu,
            wall: self.wall + other.wall,
            peak: self.peak.max(other.peak),
        }
    }
}

/// The first argument of the process between this tool and a command.
pub const CHILD: &str = "programs-child";

/// How commands are started: through a process of this tool's binary that does nothing else. A process's peak
/// counts what it was before it became its program, and this tool may have grown by then.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The binary, which calls [`main`] when its first argument is [`CHILD`].
    pub helper: PathBuf,
    /// When a command is given up.
    pub deadline: Duration,
}

/// What the process in between reports.
#[derive(Serialize, Deserialize)]
struct Report {
    status: i32,
    cpu: f64,
    wall: f64,
    peak: u64,
}

impl Launcher {
    /// Runs `arguments` in `folder` with `environment` and no other.
    ///
    /// # Errors
    /// It can't be started or waited for.
    pub fn run(
        &self,
        arguments: &[String],
        folder: &Path,
        environment: &[(String, OsString)],
        stop: &Stop,
    ) -> Result<Ended> {
        // Files, not pipes: a pipe that a grandchild keeps open would never end.
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let report = tempfile::NamedTempFile::new()?;
        // The allocator is the command's, not the process's in between.
        let assignments = environment.iter().map(|(name, value)| {
            let mut assignment = OsString::from(name);
            assignment.push("=");
            assignment.push(value);
            assignment
        });
        let child = Command::new(&self.helper)
            .arg(CHILD)
            .arg(report.path())
            .args(assignments)
            .arg("--")
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", self.helper.display()))?;
        let end = self.wait(child, stop)?;
        let (stdout, stderr) = (all(&mut stdout)?, all(&mut stderr)?);
        if end != End::Ended(ExitStatus::default()) {
            let usage = Usage::default();
            return match end {
                End::Ended(_) => bail!("{}", String::from_utf8_lossy(&stderr).trim()),
                end => Ok(Ended { end, stdout, stderr, usage }),
            };
        }
        let text = fs::read_to_string(report.path())?;
        let Report { status, cpu, wall, peak } =
            serde_json::from_str(&text).context("what a command used")?;
        let end = End::Ended(ExitStatus::from_raw(status));
        Ok(Ended { end, stdout, stderr, usage: Usage { cpu, wall, peak } })
    }

    fn wait(&self, mut child: Child, stop: &Stop) -> Result<End> {
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(End::Ended(status));
            }
            let stopped = stop.is_set();
            if stopped || began.elapsed() > self.deadline {
                let group = -(child.id() as libc::pid_t);
                // SAFETY: a signal to the group that the child leads; it has not been waited for, so its number
                // is still its own.
                unsafe { libc::kill(group, libc::SIGKILL) };
                child.wait()?;
                return Ok(if stopped { End::Stopped } else { End::Hung });
            }
            thread::sleep(POLL);
        }
    }
}

/// The process in between, if these are its arguments.
pub fn main(arguments: &[OsString]) -> Option<u8> {
    let [_, first, report, rest @ ..] = arguments else { return None };
    if first != CHILD {
        return None;
    }
    Some(match between(report, rest) {
        Ok(()) => exit::FINE,
        Err(error) => {
            eprintln!("{error:#}");
            exit::FAILED
        }
    })
}

fn between(report: &OsStr, rest: &[OsString]) -> Result<()> {
    let end = rest.iter().position(|word| word == "--").context("no command")?;
    let (assignments, command) = (&rest[..end], &rest[end + 1..]);
    let (program, arguments) = command.split_first().context("no command")?;
    let pair = |assignment: &OsString| {
        let bytes = assignment.as_bytes();
        let place = bytes.iter().position(|byte| *byte == b'=').unwrap_or(bytes.len());
        let value = bytes.get(place + 1..).unwrap_or_default();
        (OsStr::from_bytes(&bytes[..place]).to_owned(), OsStr::from_bytes(value).to_owned())
    };
    let environment: Vec<_> = assignments.iter().map(pair).collect();
    let began = Instant::now();
    // The program is looked for in the command's own PATH.
    let child = Command::new(program).args(arguments).env_clear().envs(environment).spawn();
    let child = child.with_context(|| program.display().to_string())?;
    let (status, usage) = reaped(child.id() as libc::pid_t)?;
    let wall = began.elapsed().as_secs_f64();
    let text = Report { status: status.into_raw(), cpu: usage.cpu, wall, peak: usage.peak };
    fs::write(report, serde_json::to_string(&text)?).context("reporting what a command used")
}

/// The child's end, waited for.
fn reaped(pid: libc::pid_t) -> io::Result<(ExitStatus, Usage)> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both places can be written.
        if unsafe { libc::wait4(pid, &mut status, 0, usage.as_mut_ptr()) } == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: all zero is a valid rusage, and wait4 has filled it in.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    let usage = Usage { cpu, wall: 0.0, peak: usage.ru_maxrss as u64 };
    Ok((ExitStatus::from_raw(status), usage))
}

fn all(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
