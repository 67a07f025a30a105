//! The supervisor of one run: starts the child, listens, and makes a finding of its death or silence.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use drystone_checker::counters::{Notes, Tally};
use drystone_checker::violation::Kind;
use drystone_harness::process::child;
use drystone_harness::process::dlopen_fixture::DlopenFixture;
use drystone_harness::process::preload::{self, signal_name};
use drystone_harness::stop::Stop;
use drystone_harness::usage::Usage;
use drystone_workloads::trace::Trace;
use tempfile::NamedTempFile;

use crate::child::crash::BACKTRACE_FOLLOWS;
use crate::model::finding::{Finding, Round};
use crate::model::job::Job;
use crate::model::message::{self, Message};
use crate::model::outcome::Outcome;
use crate::model::spec::{Spec, Workload};

/// The name of this tool, of which the children are.
pub const TOOL: &str = "stress";

/// How children are started, and how long they may be silent.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// The binary, which calls [`crate::child::main`] when its arguments are a child's ([`child::MARKER`]).
    pub program: PathBuf,
    /// A child whose workers finish no operation for so long hangs, and so does one that goes on for
    /// so long after its time. Long: a loaded machine is no finding.
    pub patience: Duration,
    /// The library that children load and close, compiled for the first that does.
    pub loaded: Arc<OnceLock<Result<DlopenFixture, String>>>,
}

/// What is told while a run is under way.
pub type Progress<'a> = dyn FnMut(&Tally, Usage, Duration) + 'a;

const POLL: Duration = Duration::from_millis(50);
/// Short: a finding that is shrunk takes hundreds of children.
const POLL_AT_THE_END: Duration = Duration::from_millis(1);
/// Longer than a turn of the loop takes on the busiest machine that works.
const STANDING_STILL: Duration = Duration::from_secs(2);
/// How long a child that was asked to stop may be silent. It is killed then, and that is no finding.
const PATIENCE_AFTER_STOP: Duration = Duration::from_secs(5);
/// Of what the subject prints, the end.
const LAST_WORDS: usize = 2048;
/// The same with a backtrace behind it.
const LAST_WORDS_AND_BACKTRACE: usize = 16 << 10;

impl Supervisor {
    /// A supervisor whose children are this very binary.
    ///
    /// # Errors
    /// The OS does not say which binary this is.
    pub fn of_this_binary() -> Result<Self> {
        let program = preload::this_binary()?;
        Ok(Self { program, patience: Duration::from_secs(60), loaded: Arc::default() })
    }

    /// Makes one run, to its end or until `stop`.
    ///
    /// # Errors
    /// The child can't be started, refuses the run, or the harness in it failed: nothing that a
    /// subject does.
    pub fn run(&self, spec: &Spec, stop: &Stop, progress: &mut Progress<'_>) -> Result<Outcome> {
        self.job(&Job::plain(spec), stop, progress)
    }

    /// Makes one run with all that is wanted of it besides.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn job(&self, job: &Job, stop: &Stop, progress: &mut Progress<'_>) -> Result<Outcome> {
        let mut job = job.clone();
        if job.spec.loads() {
            let loaded = self.loaded.get_or_init(DlopenFixture::compile).as_ref();
            let loaded = loaded.map_err(|why| {
                anyhow!("{why}; or set lifecycles:load=0, which loads no library")
            })?;
            job.loaded = Some(loaded.path());
        }
        let mut watch = Watch::start(self, &job)?;
        let ended = watch.until_the_end(self.patience, stop, progress)?;
        watch.judge(ended)
    }
}

/// An uncompressed copy of a trace: to decompress one takes the C allocator, which in the child is the
/// subject. It has no name, so that nothing stays behind however this process ends.
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

/// How the child came to its end.
enum Ended {
    By(ExitStatus),
    Hung(String),
    /// Killed: it was asked to stop, and did not.
    Stopped,
}

/// A child under way.
struct Watch<'a> {
    spec: &'a Spec,
    /// What the child reads, gone with the watch.
    _trace: Option<File>,
    child: Child,
    /// Closing it stops the child.
    input: Option<ChildStdin>,
    messages: Receiver<Message>,
    last_words: LastWords,
    began: Instant,
    /// When it was looked at last, and for how long nobody could look: all processes stood still, as at night in a
    /// machine's sleep, which is no hang.
    looked: Instant,
    stood_still: Duration,
    /// When it was asked to stop.
    stopped: Option<Instant>,
    heard: Heard,
}

/// What the child has said so far.
#[derive(Default)]
struct Heard {
    tally: Tally,
    usage: Usage,
    notes: Notes,
    doing: Vec<String>,
    round: Option<Round>,
    ready: bool,
    done: bool,
    dying: Option<(Option<usize>, u64)>,
    finding: Option<Finding>,
    refused: Option<String>,
    panicked: bool,
    backtrace: Option<String>,
    last_sign_of_life: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn start(supervisor: &Supervisor, job: &'a Job) -> Result<Self> {
        let spec = &job.spec;
        let trace = spec.trace.as_deref().map(plain_copy).transpose()?;
        let mut handed = job.clone();
        if let Some(copy) = &trace {
            handed.spec.trace = Some(preload::path_of(copy));
        }
        let run = serde_json::to_string(&handed).context("the run as JSON")?;
        let mut command = child::command(&[], &supervisor.program, TOOL, &run);
        preload::prepare(&mut command, spec.library.as_deref())
            .stdin(Stdio::piped())
            // What is judged of our own library is its default, to end the process.
            .env_remove("DRYSTONE_ON_MISUSE");
        if spec.workload == Workload::Hostile {
            command.env("DRYSTONE_ON_MISUSE", "report");
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {}", supervisor.program.display()))?;
        let (sender, messages) = mpsc::channel();
        let output = child.stdout.take().context("the child's output")?;
        thread::spawn(move || listen(BufReader::new(output), &sender));
        let errors = child.stderr.take().context("the child's errors")?;
        let last_words = LastWords::of(errors);
        let input = child.stdin.take();
        let (began, heard) = (Instant::now(), Heard::default());
        Ok(Self {
            spec,
            _trace: trace,
            child,
            input,
            messages,
            last_words,
            began,
            looked: began,
            stood_still: Duration::ZERO,
            stopped: None,
            heard,
        })
    }

    fn until_the_end(
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
            progress(&self.heard.tally, self.heard.usage, self.began.elapsed());
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

    /// Notes that it is looked at, and takes what passed since as standing still if that is much longer than a turn.
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
        let late = ran.saturating_sub(self.spec.length.time()?);
        (late > patience).then(|| format!("it went on {} s after its time", late.as_secs()))
    }

    fn judge(mut self, ended: Ended) -> Result<Outcome> {
        let elapsed = self.began.elapsed();
        // What is still in the pipe. A process that the subject started may hold it open.
        while let Ok(message) = self.messages.recv_timeout(Duration::from_millis(500)) {
            self.heard.take(message);
        }
        let Heard { tally, notes, finding, refused, backtrace, .. } = &mut self.heard;
        if let Some(why) = refused.take() {
            bail!(why);
        }
        let (tally, notes, found) = (tally.clone(), std::mem::take(notes), finding.take());
        let backtrace = backtrace.take();
        let spec = self.spec.clone();
        let cut_short = self.stopped.is_some();
        let finding = match found {
            // The child knows the copy only.
            Some(finding) => Some(Finding { trace: spec.trace.clone(), backtrace, ..finding }),
            None => self.death(ended, elapsed)?,
        };
        Ok(Outcome { spec, elapsed, tally, notes, finding, not_kept: None, cut_short })
    }

    /// What the child's end says about the subject.
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
        let (last_words, backtrace) = self.last_words.wait();
        if self.heard.panicked {
            bail!("the harness itself failed in the run of {}:\n{last_words}", self.spec.subject);
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
        let said = preload::said(&last_words);
        let seen = format!("{how}{when}; {said}; {}", workers(&self.heard.doing));
        let expected = "the process to live to its end";
        let finding = self.heard.finding(self.spec, elapsed, Kind::Crash, expected, seen);
        Ok(Some(Finding { backtrace, ..finding }))
    }
}

impl Heard {
    /// A finding that only the supervisor could see, with what the child said last.
    fn finding(
        &self,
        spec: &Spec,
        elapsed: Duration,
        kind: Kind,
        expected: &str,
        seen: String,
    ) -> Finding {
        let mut finding = Finding::of_run(spec, elapsed, kind, expected, seen);
        finding.round = self.round;
        if let Some((thread, operation)) = self.dying {
            (finding.thread, finding.operation) = (thread, Some(operation));
        }
        finding
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Ready => self.ready = true,
            Message::Progress { tally, doing, round, usage } => {
                self.usage = usage;
                // Work done is the sign of life, not the telling of it.
                if tally != self.tally {
                    self.last_sign_of_life = Some(Instant::now());
                }
                if !self.done {
                    (self.tally, self.doing, self.round) = (tally, doing, round);
                }
            }
            Message::Finding { finding, tally, notes } => {
                self.finding.get_or_insert(*finding);
                (self.tally, self.notes) = (tally, notes);
            }
            Message::Dying { thread, operation } => self.dying = Some((thread, operation)),
            Message::Backtrace { frames } => self.backtrace = Some(frames),
            Message::Panicked => self.panicked = true,
            Message::Refused { why } => self.refused = Some(why),
            Message::Done { tally, notes } => {
                (self.tally, self.notes, self.done) = (tally, notes, true);
            }
        }
    }
}

fn workers(doing: &[String]) -> String {
    match doing {
        [] => "no worker had begun".to_owned(),
        _ => format!("the workers were last at: {}", doing.join(", ")),
    }
}

/// A line that is no message is the subject's own talk, in whatever bytes. An error is the pipe's end.
fn listen(output: impl BufRead, sender: &Sender<Message>) {
    for line in output.split(b'\n').map_while(Result::ok) {
        if let Some(message) = message::parse(&String::from_utf8_lossy(&line))
            && sender.send(message).is_err()
        {
            return;
        }
    }
}

/// The end of what a child prints on standard error.
struct LastWords {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Disconnected when the child, and whoever inherited its standard error, are gone.
    ended: Receiver<()>,
}

impl LastWords {
    fn of(mut errors: impl Read + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (open, ended) = mpsc::channel();
        let all = Arc::clone(&kept);
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut part) {
                let mut kept = all.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&part[..read]);
                let surplus = kept.len().saturating_sub(LAST_WORDS_AND_BACKTRACE);
                kept.drain(..surplus);
            }
            drop(open);
        });
        Self { kept, ended }
    }

    /// All of it, or what there is by now if somebody else holds the other end: the words, and the
    /// backtrace behind them.
    fn wait(&self) -> (String, Option<String>) {
        let _ = self.ended.recv_timeout(Duration::from_secs(2));
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = String::from_utf8_lossy(&kept);
        let (words, backtrace) = match kept.split_once(BACKTRACE_FOLLOWS) {
            Some((words, backtrace)) => (words, Some(backtrace.to_owned())),
            None => (&*kept, None),
        };
        let surplus = words.floor_char_boundary(words.len().saturating_sub(LAST_WORDS));
        (words[surplus..].to_owned(), backtrace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_subject_prints_hides_no_message() {
        let (sender, messages) = mpsc::channel();
        let output = b"\xff\xfe\x80\n{\xff}\nhalf a line\n{\"message\":\"ready\"}\n\xff";
        listen(&output[..], &sender);
        drop(sender);
        assert_eq!(messages.iter().collect::<Vec<_>>(), [Message::Ready]);
    }
}
