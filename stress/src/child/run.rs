//! A run, from its job to its last judgement: which workload it is, and how often its round is
//! made.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use drystone_checker::counters::{Board, Count};
use drystone_checker::identity::MOST_OWNERS;
use drystone_checker::journal::Script;
use drystone_checker::journal::{self, Journal};
use drystone_checker::overlap::Overlap;
use drystone_checker::violation::{self, Kind};
use drystone_harness::memory;
use drystone_harness::seed::Seed;
use drystone_harness::stop::{self, Stop};
use drystone_workloads::trace::Trace;

use crate::allocators::process::{self, AllocatorEntry, OpenAllocator, Own};
use crate::child::at_rest::{judge_rest, judge_the_end};
use crate::child::hangs::Watch;
use crate::child::inject::{Scenario, Setting};
use crate::child::play::{Blocks, Judge, Stage};
use crate::child::progress::{TICK, report, report_from_a_thread};
use crate::child::workers::CheckedWorkers;
use crate::child::workload::double_free::Round;
use crate::child::workload::double_free_external::{self, Pulse};
use crate::child::workload::lifecycle::{self, Library};
use crate::child::workload::memory::{Rests, drain};
use crate::child::workload::misuse::{self, Reports};
use crate::child::workload::trace::{Parts, Pass};
use crate::child::workload::{
    churn, false_sharing, fork_join, handoff, mixed, pairs, slots, steady, thread_storm,
};
use crate::child::{crash_handler, violation_handler};
use crate::inject::injector::Injector;
use crate::model::job::{InjectionJob, Job};
use crate::model::message::Message;
use crate::model::outcome::DEFERS_REPORTS;
use crate::model::spec::{Length, Spec, Workload};

/// What the harness can fall back on while calls to the OS fail, bytes.
const SET_ASIDE: usize = 256 << 20;

static STOP: Stop = Stop::new();

/// A run, ready to begin.
pub(super) struct Run {
    spec: Spec,
    allocator: OpenAllocator,
    board: &'static Board,
    /// What is to be repeated in place of the workload.
    script: Option<Script>,
    /// What is made to fail while the scenario for that runs in place of the workload.
    injection: Option<InjectionJob>,
    /// A library that may be loaded.
    fixture: Option<PathBuf>,
    /// A call that takes so long hangs.
    deadline: Option<Duration>,
}

impl Run {
    /// Reads the job, opens its allocator, and arms the handlers.
    ///
    /// # Errors
    /// The run can't be made as asked.
    pub(super) fn open(argument: &str, allocators: &[AllocatorEntry]) -> Result<Self> {
        let job: Job = serde_json::from_str(argument).context("the run is not readable")?;
        let spec = job.spec.clone();
        if !(1..=MOST_OWNERS).contains(&spec.threads) {
            bail!("--threads must be 1 to {MOST_OWNERS}");
        }
        let allocator = process::open(&spec.allocator, spec.library.as_deref(), allocators)?;
        let board: &'static Board = Box::leak(Box::new(Board::new(spec.threads)));
        violation_handler::arm(&job, board);
        crash_handler::install(board, job.backtrace);
        if let Some(path) = &job.journal {
            journal::begin(path, spec.threads, || STOP.set())
                .with_context(|| format!("the journal {}", path.display()))?;
        }
        let script = job.script.as_deref().map(script).transpose()?;
        let Job { injection, fixture, deadline, .. } = job;
        Ok(Self { spec, allocator, board, script, injection, fixture, deadline })
    }

    /// Makes the run.
    ///
    /// # Errors
    /// It can't be made as asked.
    pub(super) fn work(&self) -> Result<()> {
        self.probe();
        let deadline = self.spec.length.time().map(|time| Instant::now() + time);
        if self.spec.workload == Workload::DoubleFree
            && self.allocator.own.is_none()
            && self.script.is_none()
        {
            self.double_free_external(deadline);
            return Ok(());
        }
        if let Some(injection) = &self.injection {
            return self.inject(injection, deadline);
        }
        let parts = self.trace()?;
        STOP.at(deadline);
        stop::at_end_of_input(&STOP);
        let watch = self.deadline.map(|deadline| Watch::new(self.spec.threads, deadline));
        report_from_a_thread(self.board, &STOP, deadline, watch);
        if let Some(script) = &self.script {
            self.play(script);
            return Ok(());
        }
        let settings = &self.spec.settings;
        let library = self.library()?;
        let reports = self.reports()?;
        match (self.spec.workload, self.allocator.own, &parts) {
            (Workload::DoubleFree, Some(own), _) => self.double_free(own),
            (Workload::DoubleFree, None, _) => unreachable!("made above"),
            (Workload::Trace, _, Some(parts)) => self.replay(parts),
            (Workload::Trace, _, None) => bail!("workload trace needs a trace"),
            (Workload::Drain, ..) => {
                self.rests(|workers| drain(workers, self.spec.seed, settings))?
            }
            (Workload::Exits, ..) => self.rests(|workers| {
                thread_storm::exits(workers, self.spec.seed, settings);
                0
            })?,
            (workload, ..) => self.rounds(|seed, workers| match workload {
                Workload::Pairs => pairs::round(workers, seed),
                Workload::Steady => steady::round(workers, seed, settings),
                Workload::Churn => churn::round(workers, seed, settings),
                Workload::Handoff => handoff::round(workers, seed, settings),
                Workload::FalseSharing => false_sharing::round(workers, seed, settings),
                Workload::ForkJoin => fork_join::round(workers, seed, settings),
                Workload::ThreadStorm => thread_storm::round(workers, seed, settings),
                Workload::Lifecycle => lifecycle::round(workers, seed, settings, library.as_ref()),
                Workload::Misuse => misuse::round(workers, seed, settings, reports.as_ref()),
                Workload::Mixed => mixed::round(workers, seed, settings),
                stream => slots::round(workers, stream, seed, settings),
            }),
        }
        Ok(())
    }

    /// After the work: judges the end, and says what was done.
    pub(super) fn end(&self) -> Message {
        // A script says itself when that is.
        if self.script.is_none() {
            judge_the_end(&self.allocator, self.board);
        }
        let (counters, notes) = (self.board.counters(), self.board.notes());
        Message::Done { counters, notes, seen: self.board.seen() }
    }

    /// One block before any worker starts: to start a thread takes the C allocator too, which may
    /// be the one under test, and where that has nothing to give there are no workers to see it.
    fn probe(&self) {
        let calls = &self.allocator.calls;
        // SAFETY: malloc takes any size; the block is freed once, and by the free that goes with
        // it.
        let nothing = unsafe {
            let block = (calls.malloc)(64);
            (calls.free)(block);
            block.is_null()
        };
        if nothing {
            let seen = "null for the first 64 bytes, before any worker was started";
            violation::raise(Kind::UnprovokedNull, "a block", seen);
        }
    }

    /// The trace that is to be replayed, laid out for the workers.
    fn trace(&self) -> Result<Option<Parts>> {
        let Some(path) = &self.spec.trace else { return Ok(None) };
        let trace = Trace::read(path)?;
        let parts = Parts::new(&trace, self.spec.threads);
        self.board.note("copies of the trace at once", parts.copies() as u64);
        Ok(Some(parts))
    }

    /// What workload `lifecycle` loads and closes, if it does.
    fn library(&self) -> Result<Option<Library>> {
        if self.spec.workload != Workload::Lifecycle {
            return Ok(None);
        }
        lifecycle::can(&self.spec, &self.allocator)?;
        self.fixture.as_deref().map(|path| Library::open(path, &self.allocator)).transpose()
    }

    /// Where the workload of misuses finds what a preloaded allocator reports.
    fn reports(&self) -> Result<Option<Reports>> {
        match (self.spec.workload, self.allocator.own) {
            (Workload::Misuse, None) if self.allocator.claims_detection => {
                Reports::begin().map(Some)
            }
            (Workload::Misuse, None) => bail!(process::not_for_misuse(&self.spec.allocator)),
            _ => Ok(None),
        }
    }

    /// Rounds of `work` on all workers, each from rest to rest, until it is time to stop.
    fn rounds(&self, mut work: impl FnMut(Seed, &mut CheckedWorkers<'_>)) {
        let overlap = Overlap::default();
        let mut workers =
            CheckedWorkers::new(&self.allocator, self.board, &STOP, &overlap, &self.spec);
        if self.spec.workload == Workload::Steady {
            workers = workers.checking(steady::CHECKS);
        }
        let mut seed = self.spec.seed;
        loop {
            violation_handler::round(seed);
            work(seed, &mut workers);
            assert!(overlap.is_empty(), "a round ends with nothing live");
            judge_rest(&self.allocator, self.board);
            self.board.row(0).add(Count::Rounds, 1);
            seed = seed.next();
            if STOP.is_set() || self.spec.length == Length::Once {
                return;
            }
        }
    }

    /// Cycles of `work`, each from rest to rest, of which each is looked at; `work` says how many
    /// bytes were live at its height.
    fn rests(&self, mut work: impl FnMut(&mut CheckedWorkers<'_>) -> u64) -> Result<()> {
        let mut rests = Rests::begin(&self.allocator.more)?;
        let mut failed = Ok(());
        self.rounds(|_, workers| {
            let live = work(workers);
            let looked = rests.look(workers, live);
            if looked.is_err() && failed.is_ok() {
                failed = looked;
                workers.stop().set();
            }
        });
        Ok(failed?)
    }

    /// The scenario under failing calls. No thread reports to the supervisor: this one does between
    /// rounds.
    fn inject(&self, injection: &InjectionJob, deadline: Option<Instant>) -> Result<()> {
        stop::at_end_of_input(&STOP);
        let scenario = Scenario {
            setting: Setting {
                allocator: &self.allocator,
                board: self.board,
                seed: self.spec.seed,
            },
            threads: self.spec.threads,
            deadline,
            stop: &STOP,
        };
        memory::set_aside(SET_ASIDE);
        // Here, so that the filter is for every thread that is started from now on.
        let mut injector = Injector::new(injection.plan, injection.socket.as_deref())?;
        let run = || scenario.run(injection.plan, &mut injector, || report(self.board));
        // In a thread that exits: what it keeps to itself goes back, and can be judged.
        let run = thread::scope(|scope| scope.spawn(run).join());
        Ok(run.expect("a panic ends the process")?)
    }

    /// Repeats a journal, once.
    fn play(&self, script: &Script) {
        let overlap = Overlap::default();
        let mut workers =
            CheckedWorkers::new(&self.allocator, self.board, &STOP, &overlap, &self.spec);
        let blocks = Blocks::default();
        for steps in script.generations() {
            let stage = Stage::new(steps, &blocks);
            workers.each(|checked| stage.work(checked, &STOP));
            stage.judge(self);
        }
    }

    fn double_free(&self, own: Own) {
        self.rounds(|seed, workers| {
            let round = Round::new(&self.allocator, own, seed.0, self.spec.threads);
            workers.each(|checked| round.work(checked, self.board, &STOP));
        });
        if own.defers_reports {
            self.board.note(DEFERS_REPORTS, 3);
        }
    }

    fn replay(&self, parts: &Parts) {
        self.rounds(|_, workers| {
            let pass = Pass::new(parts, self.spec.threads);
            workers.each(|checked| pass.work(checked, &STOP));
        });
    }

    fn double_free_external(&self, deadline: Option<Instant>) {
        let mut pulse = Pulse::new(deadline, TICK, || report(self.board));
        let (seed, threads) = (self.spec.seed.0, self.spec.threads);
        double_free_external::work(&self.allocator, self.board, seed, threads, || pulse.ended());
    }
}

impl Judge for Run {
    fn rest(&self) {
        judge_rest(&self.allocator, self.board);
    }

    fn end(&self) {
        judge_the_end(&self.allocator, self.board);
    }
}

fn script(path: &Path) -> Result<Script> {
    let bytes = fs::read(path).with_context(|| format!("the journal {}", path.display()))?;
    let journal = Journal::from_bytes(&bytes)?;
    Ok(Script::of(&journal.entries()))
}
