//! What a check says when an allocator is wrong, and to whom.
//!
//! After a wrong answer nothing in the process can be relied on, least of all the allocator under
//! check. So a violation is not returned through the layers: [`raise`] never comes back, and may be
//! called from anywhere, also inside the allocator's critical section. Whoever owns the process
//! says by [`install`] what becomes of it: the stress tool's child writes a finding and ends the
//! process. Where nobody has installed a [`Hook`], it is a panic.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Which check failed. The names are those of the JSON report.
///
/// One type, since the hook is told of all: also of those that the stress tool adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    // Found by the checker itself, with any allocator.
    /// A live block's bytes are not those that its owner wrote.
    Identity,
    /// A block that was allocated overlaps a live one, or is the same: it has two owners.
    Overlap,
    /// A block is aligned less than was asked for, or than its size demands.
    Misaligned,
    /// `malloc_usable_size` says less than was asked for.
    UsableSize,
    /// `calloc` returned bytes that are not zero.
    NotZeroed,
    /// `realloc` did not keep the bytes that both sizes share.
    PrefixLost,
    /// A request was answered by null though nothing provoked it.
    UnprovokedNull,
    /// A request over `PTRDIFF_MAX` was granted.
    ImpossibleGranted,
    /// A rejected request left another `errno` than `ENOMEM`, or a `free` changed it.
    Errno,
    // Found by the stress tool's workloads, which raise them in a worker as the checker does.
    /// A function that failed has written its result all the same.
    ResultOnFailure,
    /// Calls take far longer than their work: not by the machine's doing, and again and again.
    Stall,
    /// A correct program was accused of a misuse.
    FalseAlarm,
    /// More than one free of an allocation took effect.
    DoubleFreeMissed,
    /// A planted misuse was not reported.
    MisuseMissed,
    /// A misuse was reported as another than it is, or more than once.
    WrongReport,
    /// No free of a live block took effect.
    #[serde(alias = "free-refused")]
    FreeRejected,
    /// Frees that took effect and allocations of the block do not add up.
    Sums,
    /// Two threads were inside one critical section, or one entered twice.
    Exclusion,
    /// At rest the heap's own walk found a broken invariant.
    BrokenHeap,
    /// All is freed, and the heap still counts live blocks.
    Leak,
    /// All is freed and trimmed, and the heap still holds memory.
    NotGivenBack,
    // Found by the stress tool's runner too, from outside the process.
    /// The resident set grows though the live set does not.
    Growth,
    /// The allocator's own figures do not fit the blocks that are live.
    Figures,
    /// A class of double frees never came up: the test did not race.
    DidNotRace,
    /// The child process died.
    Crash,
    /// The child process came to a stop.
    Hang,
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Kind] = &[
        Kind::Identity,
        Kind::Overlap,
        Kind::Misaligned,
        Kind::UsableSize,
        Kind::NotZeroed,
        Kind::PrefixLost,
        Kind::UnprovokedNull,
        Kind::ImpossibleGranted,
        Kind::Errno,
        Kind::ResultOnFailure,
        Kind::Stall,
        Kind::FalseAlarm,
        Kind::DoubleFreeMissed,
        Kind::MisuseMissed,
        Kind::WrongReport,
        Kind::FreeRejected,
        Kind::Sums,
        Kind::Exclusion,
        Kind::BrokenHeap,
        Kind::Leak,
        Kind::NotGivenBack,
        Kind::Growth,
        Kind::Figures,
        Kind::DidNotRace,
        Kind::Crash,
        Kind::Hang,
    ];

    /// Its printed name with hyphens for blanks, as arguments have it.
    pub fn hyphenated(self) -> String {
        self.to_string().replace(' ', "-")
    }

    /// Whether it shows over a whole run only, at no call and in no worker.
    pub fn of_a_whole_run(self) -> bool {
        matches!(self, Kind::Growth | Kind::DidNotRace)
    }
}

impl From<Flaw> for Kind {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Misaligned => Kind::Misaligned,
            Flaw::NotZeroed => Kind::NotZeroed,
            Flaw::UsableSize => Kind::UsableSize,
            Flaw::Errno => Kind::Errno,
            Flaw::ResultOnFailure => Kind::ResultOnFailure,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Identity => "identity",
            Kind::Overlap => "overlap",
            Kind::Misaligned => "misaligned",
            Kind::UsableSize => "usable size",
            Kind::NotZeroed => "not zeroed",
            Kind::PrefixLost => "prefix lost",
            Kind::UnprovokedNull => "unprovoked null",
            Kind::ImpossibleGranted => "impossible request granted",
            Kind::Errno => "errno",
            Kind::ResultOnFailure => "result on failure",
            Kind::Stall => "stall",
            Kind::FalseAlarm => "false alarm",
            Kind::DoubleFreeMissed => "double free missed",
            Kind::MisuseMissed => "misuse missed",
            Kind::WrongReport => "wrong report",
            Kind::FreeRejected => "free rejected",
            Kind::Sums => "sums",
            Kind::Exclusion => "mutual exclusion",
            Kind::BrokenHeap => "broken heap",
            Kind::Leak => "leak",
            Kind::NotGivenBack => "memory not given back",
            Kind::Growth => "growing memory",
            Kind::Figures => "figures",
            Kind::DidNotRace => "did not race",
            Kind::Crash => "crash",
            Kind::Hang => "hang",
        })
    }
}

/// What can be suppressed: checks whose violations bear the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// A block is aligned less than was asked for, or than its size demands.
    Misaligned,
    /// `calloc` returned bytes that are not zero.
    NotZeroed,
    /// `malloc_usable_size` says less than was asked for.
    UsableSize,
    /// A rejected request left another `errno` than `ENOMEM`, or a `free` changed it.
    Errno,
    /// A function that failed has written its result all the same.
    ResultOnFailure,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Misaligned => "misaligned",
            Flaw::NotZeroed => "not zeroed",
            Flaw::UsableSize => "usable size",
            Flaw::Errno => "errno",
            Flaw::ResultOnFailure => "result on failure",
        })
    }
}

/// A wrong answer of an allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The check that failed.
    pub kind: Kind,
    /// The answer that was expected.
    pub expected: String,
    /// The answer that was seen.
    pub seen: String,
    /// The worker in whose thread it was seen, if it was one's.
    pub worker: Option<usize>,
}

/// A full sentence.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, expected, seen, worker } = self;
        write!(f, "the allocator failed the check \"{kind}\"")?;
        if let Some(worker) = worker {
            write!(f, " in worker {worker}")?;
        }
        write!(f, ": expected {expected}, and saw {seen}")
    }
}

/// What becomes of a violation.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// Ends the process, or unwinds.
    pub raise: fn(Violation) -> !,
    /// Whether this flaw of the call that the calling worker is at is suppressed: then it is
    /// counted by the hook, and the worker goes on.
    pub suppresses: fn(Flaw) -> bool,
}

/// A hook is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hook is installed already, and stays: a process has one")]
pub struct AlreadyInstalled;

static HOOK: OnceLock<Hook> = OnceLock::new();

thread_local! {
    // No destructor and a constant start, so that the allocator's own code may raise in any thread.
    static WORKER: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Says what becomes of violations in this process. Once, before any worker starts.
///
/// # Errors
/// A hook is installed already; it stays.
pub fn install(hook: Hook) -> Result<(), AlreadyInstalled> {
    HOOK.set(hook).map_err(|_| AlreadyInstalled)
}

/// Says which worker the calling thread is.
pub fn this_is_worker(worker: usize) {
    WORKER.set(worker);
}

/// The calling thread's worker number, if it is one.
pub fn worker() -> Option<usize> {
    Some(WORKER.get()).filter(|&worker| worker != usize::MAX)
}

/// As [`raise`], unless the hook says that this flaw is suppressed.
#[cold]
pub fn raise_unless_suppressed(flaw: Flaw, expected: &str, seen: impl fmt::Display) {
    if HOOK.get().is_some_and(|hook| (hook.suppresses)(flaw)) {
        return;
    }
    raise(flaw.into(), expected, seen);
}

/// Hands a violation to the hook, which does not come back.
///
/// # Panics
/// No hook is installed: with the violation as a sentence.
#[cold]
pub fn raise(kind: Kind, expected: &str, seen: impl fmt::Display) -> ! {
    let (expected, seen) = (expected.to_owned(), seen.to_string());
    let violation = Violation { kind, expected, seen, worker: worker() };
    match HOOK.get() {
        Some(hook) => (hook.raise)(violation),
        None => panic!("{violation}"),
    }
}

#[test]
fn kinds_with_the_names_of_before_are_read() {
    let read = |name| serde_json::from_str::<Kind>(name).unwrap();
    assert_eq!(read("\"free-refused\""), Kind::FreeRejected);
    assert_eq!(read("\"free-rejected\""), Kind::FreeRejected);
}
