//! How a violation stops a child: the first is written as a finding, and the process ends at once.
//!
//! [`arm`] installs this as the checker's hook. It calls nothing of the allocator's.

use std::backtrace::Backtrace;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use drystone_checker::counters::{Board, Count};
use drystone_checker::violation::{self, Flaw, Hook, Kind, Violation};
use drystone_harness::exit;
use drystone_harness::seed::Seed;

use crate::model::finding::Round;
use crate::model::fork_page;
use crate::model::job::Job;
use crate::model::message::{self, Message};
use crate::model::spec::Spec;
use crate::model::suppressions::{Ignored, Suppression};

struct Context {
    spec: Spec,
    backtrace: bool,
    board: &'static Board,
    began: Instant,
    /// The one under way, once the first has begun.
    round: Mutex<Option<Round>>,
}

static CONTEXT: OnceLock<Context> = OnceLock::new();

/// Held for ever by the first thread that raises.
static FIRST: Mutex<()> = Mutex::new(());

/// Says what the child is running. Once, before any worker starts.
pub fn arm(job: &Job, board: &'static Board) {
    let (spec, backtrace, began) = (job.spec.clone(), job.backtrace, Instant::now());
    let context = Context { spec, backtrace, board, began, round: Mutex::new(None) };
    assert!(CONTEXT.set(context).is_ok(), "a child makes one run");
    let hooked = violation::install(Hook { raise, suppresses });
    assert!(hooked.is_ok(), "nobody else in a child hears of violations");
}

/// Says that a new round begins.
pub fn round(seed: Seed) {
    if let Some(context) = CONTEXT.get() {
        let mut round = context.round.lock().unwrap_or_else(PoisonError::into_inner);
        let number = round.map_or(1, |before| before.number + 1);
        *round = Some(Round { number, seed });
    }
}

/// The round under way.
pub fn current_round() -> Option<Round> {
    *CONTEXT.get()?.round.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the run suppresses this flaw of the function that the calling worker is at: then it is
/// counted.
fn suppresses(flaw: Flaw) -> bool {
    let (Some(Context { spec, board, .. }), Some(worker)) = (CONTEXT.get(), violation::worker())
    else {
        return false;
    };
    let call = board.row(worker).what();
    let suppression = spec.suppressions.iter().find(|one| one.is(flaw, call));
    let note = suppression.map(Suppression::note).or_else(|| {
        let ignored = spec.ignored.iter().find(|one| one.is(flaw.into(), Some(call)));
        ignored.map(Ignored::note)
    });
    if let Some(note) = &note {
        board.note(note, 1);
    }
    note.is_some()
}

/// Writes what another thread sees of a worker, and ends the process.
pub fn raise_of(worker: usize, kind: Kind, expected: &str, seen: String) -> ! {
    end(Violation { kind, expected: expected.to_owned(), seen, worker: Some(worker) }, false)
}

/// Writes the finding and ends the process.
#[cold]
fn raise(violation: Violation) -> ! {
    end(violation, true)
}

fn end(violation: Violation, here: bool) -> ! {
    let Violation { kind, expected, seen, worker } = violation;
    if let Some(page) = fork_page::page() {
        page.found(kind, &expected, &seen);
        exit::now(exit::FOUND);
    }
    let _first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Context { spec, backtrace, board, began, round }) = CONTEXT.get() else {
        panic!("{kind}: expected {expected}, seen {seen}");
    };
    let mut finding = spec.finding(began.elapsed(), kind, &expected, seen);
    finding.round = *round.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(worker) = worker {
        let row = board.row(worker);
        finding.thread = Some(worker);
        finding.operation = Some(row.get(Count::Operations));
        finding.doing = Some(row.what().to_owned());
    }
    let message = Message::Finding {
        finding: Box::new(finding),
        counters: board.counters(),
        notes: board.notes(),
        seen: board.seen(),
    };
    message::send(&message);
    if *backtrace && here {
        send_backtrace();
    }
    exit::now(exit::FOUND)
}

/// Seconds that a backtrace may take: an allocator in disorder may hold what it waits for.
const LONGEST_BACKTRACE: u32 = 20;

/// The finding is sent by now, and counts whatever comes of this.
fn send_backtrace() {
    // SAFETY: sets this process's own timer; SIGALRM ends the process, as is about to happen.
    unsafe { libc::alarm(LONGEST_BACKTRACE) };
    let frames = Backtrace::force_capture().to_string();
    message::send(&Message::Backtrace { frames });
}
