//! Double frees of a foreign allocator, which says of no free whether it took effect.
//!
//! Each double free happens in a process of its own, forked from the child while it has one thread. How
//! that process ends is what the allocator made of it:
//!
//! | end | counted as |
//! |---|---|
//! | SIGABRT, SIGILL or SIGTRAP | died by its own report |
//! | another signal | crashed |
//! | SIGALRM | hung |
//! | exit, one block handed to two owners | silent, two owners |
//! | exit | silent |
//!
//! One that gets no block to free is no duel, and a finding of any allocator.
//!
//! Allocators that promise no detection are watched, not judged.

use std::ffi::c_void;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, panic, thread};

use drystone_checker::counters::{Board, Count, Doing, Row};
use drystone_checker::violation::{self, Kind};
use drystone_harness::exit;
use drystone_harness::process::preload::all_of;
use drystone_workloads::mixed::generator;
use drystone_workloads::sizes::below;
use rand_pcg::Pcg64;

use crate::allocators::process::Target;
use crate::child::crash;
use crate::child::workers::barrier::Gate;

/// How the pointer comes to be freed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    /// At once.
    Immediate,
    /// With a free of another block of the size between.
    Interleaved,
    /// With many blocks freed between, more than caches of recent frees remember.
    Late,
    /// By another thread, after the first.
    OtherThread,
    /// Both after the thread that allocated it has exited.
    OwnerExited,
    /// By several threads at once, the owner among them.
    Race,
}

impl Pattern {
    const ALL: [Pattern; 6] = [
        Pattern::Immediate,
        Pattern::Interleaved,
        Pattern::Late,
        Pattern::OtherThread,
        Pattern::OwnerExited,
        Pattern::Race,
    ];

    fn name(self) -> &'static str {
        match self {
            Pattern::Immediate => "immediate",
            Pattern::Interleaved => "interleaved",
            Pattern::Late => "after many others",
            Pattern::OtherThread => "by another thread",
            Pattern::OwnerExited => "owner exited",
            Pattern::Race => "race",
        }
    }
}

/// Bytes of the blocks: small classes, a page, above most thresholds for mappings.
const SIZES: [usize; 6] = [24, 64, 400, 4096, 40_000, 1 << 20];

/// Seconds after which a process that does nothing is ended. To hang is a finding where detection was
/// promised, so that a machine under load must not look like it.
const PATIENCE_BEFORE_JUDGING: u32 = 30;
/// As before, where it is only counted.
const PATIENCE: u32 = 3;

/// Exit status of a process in which one block had two owners.
const TWO_OWNERS: i32 = 44;
/// Exit status of a process that got no block.
const NO_BLOCK: i32 = 45;

/// The rules of one double free.
#[derive(Clone, Copy, Debug)]
struct Rules {
    pattern: Pattern,
    size: usize,
    threads: usize,
}

impl Rules {
    fn draw(rng: &mut Pcg64, threads: usize) -> Self {
        let pattern = Pattern::ALL[below(rng, Pattern::ALL.len() as u64) as usize];
        let size = SIZES[below(rng, SIZES.len() as u64) as usize];
        Self { pattern, size, threads: threads.max(2) }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    OwnReport,
    Crashed,
    Hung,
    TwoOwners,
    Silent,
    NoBlock,
}

impl End {
    fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            return match libc::WTERMSIG(status) {
                libc::SIGABRT | libc::SIGILL | libc::SIGTRAP => End::OwnReport,
                libc::SIGALRM => End::Hung,
                _ => End::Crashed,
            };
        }
        match libc::WEXITSTATUS(status) {
            0 => End::Silent,
            TWO_OWNERS => End::TwoOwners,
            NO_BLOCK => End::NoBlock,
            // An allocator may report and exit.
            _ => End::OwnReport,
        }
    }

    /// Where it is counted; no duel is nowhere.
    fn count(self) -> Option<Count> {
        Some(match self {
            End::OwnReport => Count::OwnReport,
            End::Crashed => Count::Crashed,
            End::Hung => Count::Hung,
            End::TwoOwners => Count::TwoOwners,
            End::Silent => Count::Silent,
            End::NoBlock => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            End::OwnReport => "died by its own report",
            End::Crashed => "crashed",
            End::Hung => "hung",
            End::TwoOwners => "silent, then two owners",
            End::Silent => "silent",
            End::NoBlock => "no block",
        }
    }
}

/// Fights duels until `ended`, which is asked after each, says so.
///
/// The calling process has one thread. Anything else would not survive the forks.
pub fn work(
    target: &Target,
    board: &Board,
    seed: u64,
    threads: usize,
    mut ended: impl FnMut() -> bool,
) {
    let mut rng = generator(seed, 0);
    let row = board.row(0);
    violation::this_is_worker(0);
    while !ended() {
        let rules = Rules::draw(&mut rng, threads);
        row.doing(Doing::DoubleFree);
        let (end, words) = fight(target, rules);
        let Some(place) = end.count() else { refused(rules) };
        count(row, board, rules, end, &words);
        row.add(place, 1);
        if target.claims_detection {
            judge(rules, end, &words);
        }
    }
    row.doing(Doing::Idle);
}

fn count(row: &Row, board: &Board, rules: Rules, end: End, words: &str) {
    let frees = if rules.pattern == Pattern::Race { rules.threads as u64 } else { 2 };
    row.add(Count::Operations, 1 + frees);
    row.add(Count::DoubleFreeRounds, 1);
    // One process ends once, however many of its threads freed.
    row.add(Count::DoubleFrees, 1);
    board.note(&format!("{}, {} B: {}", rules.pattern.name(), rules.size, end.name()), 1);
    if end == End::OwnReport
        && let Some(line) = words.lines().find(|line| !line.trim().is_empty())
    {
        board.note(&format!("reported as: {}", without_numbers(line)), 1);
    }
}

/// No pressure is on memory, so that nothing excuses it.
fn refused(rules: Rules) -> ! {
    let expected = format!("a block of {} bytes", rules.size);
    violation::raise(Kind::UnprovokedNull, &expected, "null")
}

/// A subject that promises to report every double free.
fn judge(rules: Rules, end: End, words: &str) {
    let kind = match end {
        End::OwnReport if !words.trim().is_empty() => return,
        End::OwnReport | End::Silent | End::TwoOwners => Kind::DoubleFreeMissed,
        End::Crashed => Kind::Crash,
        End::Hung => Kind::Hang,
        End::NoBlock => Kind::UnprovokedNull,
    };
    let expected = format!(
        "a double free ({}, {} bytes, {} threads) to end by the allocator's own report",
        rules.pattern.name(),
        rules.size,
        rules.threads
    );
    violation::raise(kind, &expected, format!("{}; it printed: {:?}", end.name(), words.trim()));
}

/// The double free in a process of its own, how that ended, and what it printed.
fn fight(target: &Target, rules: Rules) -> (End, String) {
    let (reader, writer) = io::pipe().expect("the system gives a pipe");
    // SAFETY: this process has one thread (see `work`), so its copy is whole and may go on as any
    // program may.
    let process = unsafe { libc::fork() };
    assert!(process >= 0, "fork: {}", io::Error::last_os_error());
    if process == 0 {
        // SAFETY: both descriptors are open; standard error's old one is nobody's business here.
        unsafe { libc::dup2(writer.as_raw_fd(), libc::STDERR_FILENO) };
        drop((reader, writer));
        in_the_process(target, rules);
    }
    drop(writer);
    let words = String::from_utf8_lossy(&all_of(reader)).into_owned();
    let mut status = 0;
    // SAFETY: the process is this one's child, waited for once; `status` is writable.
    let waited = unsafe { libc::waitpid(process, &raw mut status, 0) };
    assert_eq!(waited, process, "waitpid: {}", io::Error::last_os_error());
    (End::of(status), words)
}

/// A pointer that several threads will free.
#[derive(Clone, Copy)]
struct Doomed(*mut c_void);

// SAFETY: the pointer is passed to the allocator only, from any thread; nobody reads what it points to.
unsafe impl Send for Doomed {}

impl Doomed {
    /// # Safety
    /// The process exists to see what comes of it: a second free is undefined.
    unsafe fn free(self, target: &Target) {
        // SAFETY: the caller's.
        unsafe { (target.calls.free)(self.0) };
    }
}

fn in_the_process(target: &Target, rules: Rules) -> ! {
    crash::uninstall();
    // A panic here is of the broken heap's making: it goes to the words, not to the supervisor.
    panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        exit::now(exit::PANICKED);
    }));
    // SAFETY: both set attributes of this process only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::alarm(if target.claims_detection { PATIENCE_BEFORE_JUDGING } else { PATIENCE });
    }
    double_free(target, rules);
    if two_owners(target, rules.size) {
        exit::now(TWO_OWNERS as u8);
    }
    // Through the exit handlers: what was not reported yet may be now.
    // SAFETY: no other thread exists by now, so none runs while the handlers do.
    unsafe { libc::exit(0) }
}

fn double_free(target: &'_ Target, rules: Rules) {
    let target = *target;
    let issue = move || {
        // SAFETY: malloc takes any size.
        let block = unsafe { (target.calls.malloc)(rules.size) };
        if block.is_null() {
            // To free null twice is right.
            exit::now(NO_BLOCK as u8);
        }
        Doomed(block)
    };
    // SAFETY, for each free below: the double frees are what this process is for.
    match rules.pattern {
        Pattern::Immediate => {
            let block = issue();
            // SAFETY: as above.
            unsafe {
                block.free(&target);
                block.free(&target);
            }
        }
        Pattern::Interleaved => {
            let (block, other) = (issue(), issue());
            // SAFETY: as above.
            unsafe {
                block.free(&target);
                other.free(&target);
                block.free(&target);
            }
        }
        Pattern::Late => {
            let others: Vec<Doomed> = (0..200).map(|_| issue()).collect();
            let block = issue();
            // SAFETY: as above.
            unsafe {
                block.free(&target);
                others.into_iter().for_each(|other| other.free(&target));
                block.free(&target);
            }
        }
        Pattern::OtherThread => {
            let block = issue();
            // The thread is there before the first free: to start one may allocate, and a block that is
            // issued again in between makes the second free a stale one, which nobody can tell from a legal one.
            let gate = Arc::new(Gate::new(2));
            let passed = Arc::clone(&gate);
            let other = thread::spawn(move || {
                passed.pass();
                free_in_thread(block, &target);
            });
            // SAFETY: as above.
            unsafe { block.free(&target) };
            gate.pass();
            join(other);
        }
        Pattern::OwnerExited => {
            let block = thread::spawn(issue).join().expect("malloc does not panic");
            // SAFETY: as above.
            unsafe {
                block.free(&target);
                block.free(&target);
            }
        }
        Pattern::Race => race(target, issue(), rules.threads),
    }
}

fn race(target: Target, block: Doomed, threads: usize) {
    let gate = Arc::new(Gate::new(threads));
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                gate.pass();
                free_in_thread(block, &target);
            })
        })
        .collect();
    gate.pass();
    free_in_thread(block, &target);
    others.into_iter().for_each(join);
}

/// Takes the whole [`Doomed`], which may be sent, and not its pointer, which may not.
fn free_in_thread(block: Doomed, target: &Target) {
    // SAFETY: the double frees are what this process is for.
    unsafe { block.free(target) };
}

fn join(thread: thread::JoinHandle<()>) {
    thread.join().expect("free does not panic");
}

/// Whether the allocator now hands one block to two owners.
fn two_owners(target: &Target, size: usize) -> bool {
    // More than caches of recent frees hold.
    // SAFETY: malloc takes any size.
    let mut blocks: Vec<usize> =
        (0..256).map(|_| unsafe { (target.calls.malloc)(size) }.addr()).collect();
    blocks.retain(|&block| block != 0);
    blocks.sort_unstable();
    blocks.windows(2).any(|pair| pair[0] == pair[1])
}

/// The line with each address and process number replaced, so that equal reports are counted as one.
fn without_numbers(line: &str) -> String {
    let is_number = |word: &str| {
        let digits = word.trim_start_matches("0x");
        digits.len() >= 4 && digits.chars().all(|c| c.is_ascii_hexdigit())
    };
    let words = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|word| {
            let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            match is_number(end) {
                true => word.replacen(end, "…", 1),
                false => word.to_owned(),
            }
        })
        .collect()
}

/// Asks whether it is time to end, and tells the supervisor, without a thread: from the loop itself.
pub struct Pulse<F: FnMut()> {
    deadline: Option<Instant>,
    next: Instant,
    tick: Duration,
    tell: F,
}

impl<F: FnMut()> Pulse<F> {
    /// Ends at `deadline`, or when standard input ends; calls `tell` every `tick`.
    pub fn new(deadline: Option<Instant>, tick: Duration, tell: F) -> Self {
        Self { deadline, next: Instant::now() + tick, tick, tell }
    }

    /// Whether it is time to end.
    pub fn ended(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.next {
            (self.tell)();
            self.next = now + self.tick;
        }
        self.deadline.is_some_and(|deadline| now >= deadline) || input_has_ended()
    }
}

fn input_has_ended() -> bool {
    let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd; a timeout of 0 does not wait. The supervisor writes nothing, so
    // anything that happens is the end.
    unsafe { libc::poll(&raw mut input, 1, 0) > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_differ_by_their_words_only() {
        assert_eq!(
            without_numbers("drystone: double free: 0x7f00deadbeef, block of 64 bytes"),
            "drystone: double free: …, block of 64 bytes"
        );
        assert_eq!(
            without_numbers("free(): double free detected in tcache 2"),
            "free(): double free detected in tcache 2"
        );
    }

    #[test]
    fn ends_are_told_apart() {
        // As wait(2) encodes them on Linux: a signal in the low bits, a status above.
        assert_eq!(End::of(libc::SIGABRT), End::OwnReport);
        assert_eq!(End::of(libc::SIGSEGV), End::Crashed);
        assert_eq!(End::of(libc::SIGALRM), End::Hung);
        assert_eq!(End::of(0), End::Silent);
        assert_eq!(End::of(TWO_OWNERS << 8), End::TwoOwners);
        assert_eq!(End::of(1 << 8), End::OwnReport);
        assert_eq!(End::of(NO_BLOCK << 8), End::NoBlock);
    }
}
