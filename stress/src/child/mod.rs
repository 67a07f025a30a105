//! The child process: makes one run and tells the supervisor about it.

pub mod alarm;
pub mod crash;
pub mod inject;
mod play;
mod stack;
pub mod workers;
pub mod workload;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, panic, thread};

use drystone_checker::counters::{Board, Count};
use drystone_checker::identity::MOST_OWNERS;
use drystone_checker::journal::{self, Call, Log};
use drystone_checker::overlap::Overlap;
use drystone_checker::script::Script;
use drystone_checker::violation::{self, Kind};
use drystone_harness::process::preload::die_with_the_parent;
use drystone_harness::seed::Seed;
use drystone_harness::stop::{self, Stop};
use drystone_harness::usage::Usage;
use drystone_harness::{exit, memory};
use drystone_workloads::trace::Trace;

use crate::allocators::process::{self, Own, Subject, Target};
use crate::child::inject::Scenario;
use crate::child::play::{Blocks, Judge, Stage};
use crate::child::workers::Crew;
use crate::child::workload::double_free::Arena;
use crate::child::workload::double_free_external::{self, Pulse};
use crate::child::workload::lifecycle::{self, Library};
use crate::child::workload::misuse::{self, Reports};
use crate::child::workload::trace::{Parts, Pass};
use crate::child::workload::{
    churn, false_sharing, fork_join, handoff, mixed, slots, thread_storm,
};
use crate::inject::failed_unmaps::Size;
use crate::inject::faulty_os;
use crate::inject::injector::Refuser;
use crate::model::fork_page;
use crate::model::job::{Job, Refusal};
use crate::model::message::{self, Message};
use crate::model::outcome::FINDS_LATE;
use crate::model::spec::{Length, Spec, Workload};

/// How often the supervisor hears of the work.
const TICK: Duration = Duration::from_millis(100);

/// What the harness can fall back on while the OS refuses, bytes.
const SET_ASIDE: usize = 256 << 20;

static STOP: Stop = Stop::new();

/// Makes the run that `argument` describes, and returns the process's exit code.
pub fn main(argument: &str, subjects: &[Subject]) -> u8 {
    die_with_the_parent();
    end_at_a_panic();
    let run = Run::open(argument, subjects);
    let run = match run {
        Ok(run) => run,
        Err(why) => {
            message::send(&Message::Refused { why });
            return exit::FAILED;
        }
    };
    message::send(&Message::Ready);
    if let Err(why) = run.work() {
        message::send(&Message::Refused { why });
        return exit::FAILED;
    }
    // A script says itself when that is.
    if run.script.is_none() {
        run.judge_the_end();
    }
    message::send(&Message::Done { tally: run.board.tally(), notes: run.board.notes() });
    exit::FINE
}

/// A worker that panics would leave the others waiting at a gate for ever.
pub(crate) fn end_at_a_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        print(panic);
        // A forked child's parent says so, from its exit code: what it would print with, another thread may hold.
        if fork_page::page().is_none() {
            message::send(&Message::Panicked);
        }
        exit::now(exit::PANICKED);
    }));
}

/// A run, ready to begin.
struct Run {
    spec: Spec,
    target: Target,
    board: &'static Board,
    /// What is to be repeated in place of the workload.
    script: Option<Script>,
    /// What is refused while the scenario for that runs in place of the workload.
    refusal: Option<Refusal>,
    /// A library that may be loaded.
    loaded: Option<PathBuf>,
}

impl Run {
    fn open(argument: &str, subjects: &[Subject]) -> Result<Self, String> {
        let job: Job = serde_json::from_str(argument)
            .map_err(|error| format!("the run is not readable: {error}"))?;
        let spec = job.spec.clone();
        if !(1..=MOST_OWNERS).contains(&spec.threads) {
            return Err(format!("--threads must be 1 to {MOST_OWNERS}"));
        }
        let target = open(&spec, subjects)?;
        let board: &'static Board = Box::leak(Box::new(Board::new(spec.threads)));
        alarm::arm(&job, board);
        crash::install(board, job.backtrace);
        if let Some(path) = &job.log {
            journal::begin(path, spec.threads, || STOP.set())
                .map_err(|error| format!("the log {}: {error}", path.display()))?;
        }
        let script = job.script.as_deref().map(script).transpose()?;
        Ok(Self { spec, target, board, script, refusal: job.refusal, loaded: job.loaded })
    }

    fn work(&self) -> Result<(), String> {
        self.probe();
        let deadline = self.spec.length.time().map(|time| Instant::now() + time);
        if self.spec.workload == Workload::DoubleFree
            && self.target.own.is_none()
            && self.script.is_none()
        {
            self.foreign_duel(deadline);
            return Ok(());
        }
        if let Some(refusal) = &self.refusal {
            return self.refuse(refusal, deadline);
        }
        let parts = self.trace()?;
        STOP.at(deadline);
        stop::at_end_of_input(&STOP);
        tell_from_a_thread(self.board, deadline);
        if let Some(script) = &self.script {
            self.play(script);
            return Ok(());
        }
        let settings = &self.spec.settings;
        let library = self.library()?;
        let reports = self.reports()?;
        match (self.spec.workload, self.target.own, &parts) {
            (Workload::DoubleFree, Some(own), _) => self.duel(own),
            (Workload::DoubleFree, None, _) => unreachable!("fought above"),
            (Workload::Trace, _, Some(parts)) => self.replay(parts),
            (Workload::Trace, _, None) => return Err("workload trace needs a trace".to_owned()),
            (workload, ..) => self.rounds(|seed, crew| match workload {
                Workload::Churn => churn::round(crew, seed, settings),
                Workload::Handoff => handoff::round(crew, seed, settings),
                Workload::FalseSharing => false_sharing::round(crew, seed, settings),
                Workload::ForkJoin => fork_join::round(crew, seed, settings),
                Workload::ThreadStorm => thread_storm::round(crew, seed, settings),
                Workload::Lifecycle => lifecycle::round(crew, seed, settings, library.as_ref()),
                Workload::Misuse => misuse::round(crew, seed, settings, reports.as_ref()),
                Workload::Mixed => mixed::round(crew, seed, settings),
                stream => slots::round(crew, stream, seed, settings),
            }),
        }
        Ok(())
    }

    /// One block before any worker starts: to start a thread takes the C allocator too, which may be
    /// the subject, and where that has nothing to give there are no workers to see it.
    fn probe(&self) {
        let calls = &self.target.calls;
        // SAFETY: malloc takes any size; the block is freed once, and by the free that goes with it.
        let refused = unsafe {
            let block = (calls.malloc)(64);
            (calls.free)(block);
            block.is_null()
        };
        if refused {
            let seen = "null for the first 64 bytes, before any worker was started";
            violation::raise(Kind::UnprovokedNull, "a block", seen);
        }
    }

    /// The trace that is to be replayed, laid out for the workers.
    fn trace(&self) -> Result<Option<Parts>, String> {
        let Some(path) = &self.spec.trace else { return Ok(None) };
        let trace = Trace::read(path).map_err(|error| error.to_string())?;
        let parts = Parts::new(&trace, self.spec.threads);
        self.board.note("copies of the trace at once", parts.copies() as u64);
        Ok(Some(parts))
    }

    /// What workload `lifecycle` loads and closes, if it does.
    fn library(&self) -> Result<Option<Library>, String> {
        if self.spec.workload != Workload::Lifecycle {
            return Ok(None);
        }
        lifecycle::can(&self.spec, &self.target)?;
        self.loaded.as_deref().map(|path| Library::open(path, &self.target)).transpose()
    }

    /// Where workload `misuse` finds what a preloaded subject reports.
    fn reports(&self) -> Result<Option<Reports>, String> {
        match (self.spec.workload, self.target.own) {
            (Workload::Misuse, None) if self.target.claims_detection => Reports::begin().map(Some),
            (Workload::Misuse, None) => Err(misuse::refused(&self.spec.subject)),
            _ => Ok(None),
        }
    }

    /// Rounds of `work` on all workers, each from rest to rest, until it is time to stop.
    fn rounds(&self, mut work: impl FnMut(Seed, &mut Crew<'_>)) {
        let overlap = Overlap::default();
        let mut crew = Crew::new(&self.target, self.board, &STOP, &overlap, &self.spec);
        let mut seed = self.spec.seed;
        loop {
            alarm::round(seed);
            work(seed, &mut crew);
            assert!(overlap.is_empty(), "a round ends with nothing live");
            self.judge_rest();
            self.board.row(0).add(Count::Rounds, 1);
            seed = seed.next();
            if STOP.is_set() || self.spec.length == Length::Once {
                return;
            }
        }
    }

    /// The scenario under refusals. No thread tells the supervisor: this one does between rounds.
    fn refuse(&self, refusal: &Refusal, deadline: Option<Instant>) -> Result<(), String> {
        stop::at_end_of_input(&STOP);
        let scenario = Scenario {
            target: &self.target,
            board: self.board,
            threads: self.spec.threads,
            seed: self.spec.seed,
            deadline,
            stop: &STOP,
        };
        memory::set_aside(SET_ASIDE);
        // Here, so that the filter is for every thread that is started from now on.
        let mut refuser = Refuser::new(refusal.plan, refusal.socket.as_deref())?;
        let run = || scenario.run(refusal.plan, &mut refuser, || tell(self.board));
        // In a thread that exits: what it keeps to itself goes back, and can be judged.
        let run = thread::scope(|scope| scope.spawn(run).join());
        run.expect("a panic ends the process")
    }

    /// Repeats a log, once.
    fn play(&self, script: &Script) {
        let overlap = Overlap::default();
        let mut crew = Crew::new(&self.target, self.board, &STOP, &overlap, &self.spec);
        let blocks = Blocks::default();
        for steps in script.generations() {
            let stage = Stage::new(steps, &blocks);
            crew.each(|checked| stage.work(checked, &STOP));
            stage.judge(self);
        }
    }

    fn duel(&self, own: Own) {
        self.rounds(|seed, crew| {
            let arena = Arena::new(&self.target, own, seed.0, self.spec.threads);
            crew.each(|checked| arena.work(checked, self.board, &STOP));
        });
        if own.finds_late {
            self.board.note(FINDS_LATE, 3);
        }
    }

    fn replay(&self, parts: &Parts) {
        self.rounds(|_, crew| {
            let pass = Pass::new(parts, self.spec.threads);
            crew.each(|checked| pass.work(checked, &STOP));
        });
    }

    fn foreign_duel(&self, deadline: Option<Instant>) {
        let mut pulse = Pulse::new(deadline, TICK, || tell(self.board));
        let (seed, threads) = (self.spec.seed.0, self.spec.threads);
        double_free_external::work(&self.target, self.board, seed, threads, || pulse.ended());
    }

    /// Everything is freed, and the workers have exited: nothing may be live, and the heap must be sound.
    fn judge_rest(&self) {
        if let Some(log) = journal::part(0) {
            log.call(Call::Rest);
        }
        let Some(own) = self.target.own else { return };
        (own.sweep)();
        // Those of duels and hostile programs are counted; elsewhere there are none.
        let tally = self.board.tally();
        let late = (own.late)() - tally[Count::Late] - tally[Count::MisusesLate];
        if late != 0 {
            let seen = format!("{late} misuses found late");
            violation::raise(Kind::FalseAlarm, "no misuse in a correct program", seen);
        }
        if let Err(broken) = (own.check)() {
            violation::raise(Kind::BrokenHeap, "every invariant to hold at rest", broken);
        }
        self.board.row(0).add(Count::HeapChecks, 1);
        let held = (own.held)();
        if held.live_blocks != 0 {
            let seen = format!("{} live blocks", held.live_blocks);
            violation::raise(Kind::Leak, "no live block after everything was freed", seen);
        }
        if let Some(Err(entered)) = own.at_rest.map(|at_rest| at_rest()) {
            violation::raise(Kind::Exclusion, "an exit for every entry", entered);
        }
    }

    fn judge_the_end(&self) {
        let Some(own) = self.target.own else { return };
        self.judge_rest();
        if let Some(log) = journal::part(0) {
            log.call(Call::End);
        }
        let given_back = (own.trim)();
        let held = (own.held)();
        self.board.note("bytes given back by the last trim", given_back as u64);
        self.board.note("bytes mapped at the end", held.mapped_bytes as u64);
        // A heap that remembers what it was refused to unmap, to try again, says more.
        let Size { mapped, kept } = faulty_os::size();
        let mapped = mapped.saturating_sub(kept);
        if own.refusable && own.accounts && mapped > held.mapped_bytes as u64 {
            let expected = format!("{} bytes of the OS, as the heap says", held.mapped_bytes);
            violation::raise(Kind::Leak, &expected, format!("{mapped} mapped"));
        }
        if held.mappings != 0 {
            let seen = format!("{} mappings, {} bytes", held.mappings, held.mapped_bytes);
            violation::raise(
                Kind::NotGivenBack,
                "all memory to go back to the OS in the end",
                seen,
            );
        }
    }
}

impl Judge for Run {
    fn rest(&self) {
        self.judge_rest();
    }

    fn end(&self) {
        self.judge_the_end();
    }
}

fn script(path: &Path) -> Result<Script, String> {
    let bytes = fs::read(path).map_err(|error| format!("the log {}: {error}", path.display()))?;
    Ok(Script::of(&Log::from_bytes(&bytes)?.entries()))
}

/// The subject of a run, ready to be called.
///
/// # Errors
/// A sentence: it does not serve this process.
pub(crate) fn open(spec: &Spec, subjects: &[Subject]) -> Result<Target, String> {
    if let Some(library) = &spec.library {
        return process::open_process(Some(library));
    }
    let subject = subjects.iter().find(|subject| subject.is_called(&spec.subject));
    (subject.ok_or_else(|| format!("there is no allocator {}", spec.subject))?.open)()
}

fn tell(board: &Board) {
    message::send(&Message::Progress {
        tally: board.tally(),
        doing: board.doings(),
        round: alarm::current_round(),
        usage: Usage::of_this_process().unwrap_or_else(|why| untold(why)),
    });
}

/// The machine does not say what it must, and no memory can be judged: not the subject's fault.
fn untold(why: String) -> ! {
    message::send(&Message::Refused { why });
    exit::now(exit::FAILED)
}

/// Tells the supervisor about the work, and stops it at the deadline.
fn tell_from_a_thread(board: &'static Board, deadline: Option<Instant>) {
    thread::spawn(move || {
        loop {
            let left = deadline
                .filter(|_| !STOP.is_set())
                .map(|deadline| deadline.saturating_duration_since(Instant::now()));
            thread::sleep(left.map_or(TICK, |left| left.min(TICK)));
            STOP.at(deadline);
            tell(board);
        }
    });
}
