//! How children are started; one child from its start to its end, and what that end says of the
//! allocator.

use std::fs::File;
use std::io::BufReader;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use drystone_checker::counters::Counters;
use drystone_checker::violation::Kind;
use drystone_harness::process::child;
use drystone_harness::process::dlopen_fixture::{DlopenFixture, FixtureError};
use drystone_harness::process::launcher;
use drystone_harness::process::preload::{self, signal_name};
use drystone_harness::stop::Stop;
use drystone_harness::usage::Usage;
use drystone_workloads::trace::Trace;
use tempfile::NamedTempFile;

use crate::allocators::process::SYSTEM;
use crate::model::finding::Finding;
use crate::model::job::{Job, TOOL};
use crate::model::message::Message;
use crate::model::outcome::Outcome;
use crate::model::spec::{Spec, Workload};
use crate::runner::supervisor::error_tail::ErrorTail;
use crate::runner::supervisor::heard::{Heard, listen};

/// What is reported while a run is under way.
pub type Progress<'a> = dyn FnMut(&Counters, Usage, Duration) + 'a;

/// A call that takes so long of its own time hangs, unless another time is said.
pub const DEADLINE: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(50);
/// Short: a finding that is shrunk takes hundreds of children.
const POLL_AT_THE_END: Duration = Duration::from_millis(1);
/// Longer than a turn of the loop takes on the busiest machine that works.
const STANDING_STILL: Duration = Duration::from_secs(2);
/// How long a child that was asked to stop may be silent. It is killed then, and that is no
/// finding.
const PATIENCE_AFTER_STOP: Duration = Duration::from_secs(5);
/// An uncompressed copy of a trace: to decompress one takes the C allocator, which in the child is
/// the allocator. It has no name, so that nothing stays behind however this process ends.
fn plain_copy(path: &Path) -> Result<File> {
    let trace = Trace::read(path)?;
    let doing = "a file for the uncompressed trace";
    let named = NamedTempFile::new().context(doing)?;
    trace.write_plain(named.path())?;
    // Opened anew: the copy was renamed over the file that was opened first.
    let copy = File::open(named.path()).context(doing)?;
    named.close().context(doing)?;
    Ok(copy)
}

/// How children are started, and how long they may be silent.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// The binary, which calls `child::main` when its arguments are a child's.
    pub program: PathBuf,
    /// A child whose workers finish no operation for so long hangs, and so does one that goes on
    /// for so long after its time. Long: a loaded machine is no finding.
    pub patience: Duration,
    /// A call that takes so long of its thread's own time hangs, whatever other workers do.
    pub deadline: Duration,
    /// The library that children load and close, compiled for the first that does.
    pub fixture: Arc<OnceLock<Result<DlopenFixture, FixtureError>>>,
}

impl Supervisor {
    /// A supervisor whose children are this very binary.
    ///
    /// # Errors
    /// The OS does not say which binary this is.
    pub fn of_this_binary() -> Result<Self> {
        let program = launcher::this_binary()?;
        let patience = Duration::from_secs(60);
        Ok(Self { program, patience, deadline: DEADLINE, fixture: Arc::default() })
    }

    /// Makes one run, to its end or until `stop`.
    ///
    /// # Errors
    /// The child can't be started, rejects the run, or the harness in it failed: nothing that an
    /// allocator does.
    pub fn run(&self, spec: &Spec, stop: &Stop, progress: &mut Progress<'_>) -> Result<Outcome> {
        self.job(&Job::plain(spec), stop, progress)
    }

    /// Makes one run with all that is wanted of it besides.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn job(&self, job: &Job, stop: &Stop, progress: &mut Progress<'_>) -> Result<Outcome> {
        let mut job = job.clone();
        job.deadline = Some(self.deadline);
        if loads(&job.spec) {
            let fixture = self.fixture.get_or_init(DlopenFixture::compile).as_ref();
            let fixture = fixture
                .map_err(|why| anyhow!("{why}; or set lifecycle:load=0, which loads no library"))?;
            job.fixture = Some(fixture.path());
        }
        let mut watch = Watch::start(&self.program, &job)?;
        let ended = watch.until_the_end(self.patience, stop, progress)?;
        watch.judge(ended)
    }
}

/// Whether the child of a run loads a library and closes it. Of a linked allocator no library
/// knows.
fn loads(spec: &Spec) -> bool {
    spec.workload == Workload::Lifecycle
        && (spec.library.is_some() || spec.allocator == SYSTEM.name)
        && spec.settings.get(Workload::Lifecycle, "load") > 0
}

/// How the child came to its end.
pub(super) enum Ended {
    By(ExitStatus),
    Hung(String),
    /// Killed: it was asked to stop, and did not.
    Stopped,
}

/// A child under way.
pub(super) struct Watch<'a> {
    spec: &'a Spec,
    /// What the child reads, gone with the watch.
    _trace: Option<File>,
    child: Child,
    /// Closing it stops the child.
    input: Option<ChildStdin>,
    messages: Receiver<Message>,
    error_tail: ErrorTail,
    began: Instant,
    /// When it was looked at last, and for how long nobody could look: all processes stood still,
    /// as at night in a machine's sleep, which is no hang.
    looked: Instant,
    stood_still: Duration,
    /// When it was asked to stop.
    stopped: Option<Instant>,
    heard: Heard,
}

impl<'a> Watch<'a> {
    /// Starts the child that `job` is for.
    ///
    /// # Errors
    /// It can't be started, or its trace not be read.
    pub(super) fn start(program: &Path, job: &'a Job) -> Result<Self> {
        let spec = &job.spec;
        let trace = spec.trace.as_deref().map(plain_copy).transpose()?;
        let mut handed = job.clone();
        if let Some(copy) = &trace {
            handed.spec.trace = Some(preload::path_of(copy));
        }
        let run = serde_json::to_string(&handed).context("the run as JSON")?;
        let mut command = child::command(&[], program, TOOL, &run);
        preload::prepare(&mut command, spec.library.as_deref())
            .stdin(Stdio::piped())
            // What is judged of our own library is its default, to end the process.
            .env_remove("DRYSTONE_ON_MISUSE");
        if spec.workload == Workload::Misuse {
            command.env("DRYSTONE_ON_MISUSE", "report");
        }
        command.envs(spec.environment.iter().map(|one| (&one.name, &one.value)));
        let mut child =
            command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let (sender, messages) = mpsc::channel();
        let output = child.stdout.take().context("the child's output")?;
        thread::spawn(move || listen(BufReader::new(output), &sender));
        let errors = child.stderr.take().context("the child's errors")?;
        let error_tail = ErrorTail::of(errors);
        let input = child.stdin.take();
        let (began, heard) = (Instant::now(), Heard::default());
        Ok(Self {
            spec,
            _trace: trace,
            child,
            input,
            messages,
            error_tail,
            began,
            looked: began,
            stood_still: Duration::ZERO,
            stopped: None,
            heard,
        })
    }

    /// Listens until the child has ended, hangs, or ignores that it is to stop.
    pub(super) fn until_the_end(
        &mut self,
        patience: Duration,
        stop: &Stop,
        progress: &mut Progress<'_>,
    ) -> Result<Ended> {
        self.heard.last_sign_of_life = Some(Instant::now());
        loop {
            match self.messages.recv_timeout(POLL) {
                Ok(message) => self.heard.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                // The child has closed its output, and is about to end.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(POLL_AT_THE_END),
            }
            progress(&self.heard.counters, self.heard.usage, self.began.elapsed());
            self.look();
            if stop.is_set() && self.input.take().is_some() && !self.heard.done {
                self.stopped = Some(Instant::now());
            }
            if let Some(status) = self.child.try_wait().context("waiting for the child")? {
                return Ok(Ended::By(status));
            }
            let given_up = match self.ignores_the_stop() {
                true => Some(Ended::Stopped),
                false => self.hangs(patience).map(Ended::Hung),
            };
            if let Some(ended) = given_up {
                self.child.kill().context("killing a child that hangs")?;
                self.child.wait().context("waiting for a child that was killed")?;
                return Ok(ended);
            }
        }
    }

    /// Notes that it is looked at, and takes what passed since as standing still if that is much
    /// longer than a turn.
    fn look(&mut self) {
        let passed = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
        if passed > STANDING_STILL {
            self.stood_still += passed;
            for moment in [&mut self.heard.last_sign_of_life, &mut self.stopped] {
                *moment = moment.map(|moment| moment + passed);
            }
        }
    }

    /// Whether the child was asked to stop and does nothing, so that it never will.
    fn ignores_the_stop(&self) -> bool {
        let since = self.stopped.max(self.heard.last_sign_of_life);
        self.stopped.is_some() && since.is_some_and(|since| since.elapsed() > PATIENCE_AFTER_STOP)
    }

    /// How the child hangs, if it does.
    fn hangs(&self, patience: Duration) -> Option<String> {
        let silent = self.heard.last_sign_of_life.map_or(Duration::ZERO, |sign| sign.elapsed());
        if silent > patience {
            return Some(format!("no operation ended for {} s", silent.as_secs()));
        }
        let ran = self.began.elapsed().saturating_sub(self.stood_still);
        let over = ran.saturating_sub(self.spec.length.time()?);
        (over > patience).then(|| format!("it went on {} s after its time", over.as_secs()))
    }

    /// What became of the run.
    ///
    /// # Errors
    /// The child rejected the run, or the harness in it failed.
    pub(super) fn judge(mut self, ended: Ended) -> Result<Outcome> {
        let elapsed = self.began.elapsed();
        // What is still in the pipe. A process that the allocator started may hold it open.
        while let Ok(message) = self.messages.recv_timeout(Duration::from_millis(500)) {
            self.heard.take(message);
        }
        let Heard { counters, notes, seen, finding, rejected, backtrace, .. } = &mut self.heard;
        if let Some(why) = rejected.take() {
            bail!(why);
        }
        let (counters, notes, found) = (counters.clone(), std::mem::take(notes), finding.take());
        let (backtrace, seen) = (backtrace.take(), std::mem::take(seen));
        let spec = self.spec.clone();
        let cut_short = self.stopped.is_some();
        let finding = match found {
            // The child knows the copy only.
            Some(finding) => Some(Finding { trace: spec.trace.clone(), backtrace, ..finding }),
            None => self.death(ended, elapsed)?,
        };
        Ok(Outcome {
            spec,
            elapsed,
            counters,
            notes,
            seen,
            finding,
            more: Vec::new(),
            not_kept: None,
            cut_short,
        })
    }

    /// What the child's end says about the allocator.
    fn death(self, ended: Ended, elapsed: Duration) -> Result<Option<Finding>> {
        let status = match ended {
            Ended::Hung(how) => {
                let seen = format!("{how}; {}", workers(&self.heard.doing));
                return Ok(Some(self.heard.finding(
                    self.spec,
                    elapsed,
                    Kind::Hang,
                    "every call to return",
                    seen,
                )));
            }
            Ended::Stopped => return Ok(None),
            Ended::By(status) => status,
        };
        if status.success() && self.heard.done {
            return Ok(None);
        }
        let (error_tail, backtrace) = self.error_tail.wait();
        if self.heard.panicked {
            bail!("the harness itself failed in the run of {}:\n{error_tail}", self.spec.allocator);
        }
        let how = match (status.signal(), status.code()) {
            (Some(signal), _) => format!("killed by {}", signal_name(signal)),
            (None, code) => format!("exit status {}", code.unwrap_or(-1)),
        };
        let when = match (self.heard.ready, self.heard.done) {
            (false, _) => " while it started",
            (true, false) => "",
            (true, true) => " while it exited",
        };
        let said = preload::said(&error_tail);
        let seen = format!("{how}{when}; {said}; {}", workers(&self.heard.doing));
        let expected = "the process to live to its end";
        let finding = self.heard.finding(self.spec, elapsed, Kind::Crash, expected, seen);
        Ok(Some(Finding { backtrace, ..finding }))
    }
}

fn workers(doing: &[String]) -> String {
    match doing {
        [] => "no worker had begun".to_owned(),
        _ => format!("the workers were last at: {}", doing.join(", ")),
    }
}
