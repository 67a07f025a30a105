//! How a check stops a child: the first finding is written, and the process ends at once.
//!
//! After a wrong answer nothing in the process can be relied on, least of all the heap under test. So
//! a finding is not returned through the layers: [`raise`] never comes back, and may be called from
//! anywhere, also inside the subject's critical section. It calls nothing of the subject's.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use crate::exit;
use crate::finding::{Finding, Kind, Round};
use crate::forked;
use crate::job::Job;
use crate::known::Flaw;
use crate::protocol::{self, Message};
use crate::seed::Seed;
use crate::spec::Spec;
use crate::tally::{Board, Count};

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

thread_local! {
    // No destructor and a constant start, so that the subject's own code may raise in any thread.
    static WORKER: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Says what the child is running. Once, before any worker starts.
pub fn arm(job: &Job, board: &'static Board) {
    let (spec, backtrace, began) = (job.spec.clone(), job.backtrace, Instant::now());
    let context = Context { spec, backtrace, board, began, round: Mutex::new(None) };
    assert!(CONTEXT.set(context).is_ok(), "a child makes one run");
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

/// Says which worker the calling thread is.
pub fn this_is_worker(worker: usize) {
    WORKER.set(worker);
}

/// The calling thread's worker number, if it is one.
pub fn worker() -> Option<usize> {
    Some(WORKER.get()).filter(|&worker| worker != usize::MAX)
}

/// As [`raise`], unless the run is told that this is known of the function that the calling worker is at: then it is
/// counted, and the worker goes on.
#[cold]
pub fn raise_unless_known(flaw: Flaw, expected: &str, seen: impl Into<String>) {
    if let (Some(Context { spec, board, .. }), Some(worker)) = (CONTEXT.get(), worker()) {
        let call = board.row(worker).what();
        if let Some(known) = spec.known.iter().find(|known| known.is(flaw, call)) {
            return board.note(&known.note(), 1);
        }
    }
    raise(flaw.into(), expected, seen);
}

/// Writes the finding and ends the process.
#[cold]
pub fn raise(kind: Kind, expected: &str, seen: impl Into<String>) -> ! {
    if let Some(page) = forked::page() {
        page.found(kind, expected, &seen.into());
        exit::now(exit::FOUND);
    }
    let _first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Context { spec, backtrace, board, began, round }) = CONTEXT.get() else {
        panic!("{kind}: expected {expected}, seen {}", seen.into());
    };
    let mut finding = Finding::of_run(spec, began.elapsed(), kind, expected, seen.into());
    finding.round = *round.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(worker) = worker() {
        let row = board.row(worker);
        finding.thread = Some(worker);
        finding.operation = Some(row.get(Count::Operations));
        finding.doing = Some(row.what().to_owned());
    }
    let message =
        Message::Finding { finding: Box::new(finding), tally: board.tally(), notes: board.notes() };
    protocol::send(&message);
    if *backtrace {
        tell_where();
    }
    exit::now(exit::FOUND)
}

/// Seconds that a backtrace may take: a subject in disorder may hold what it waits for.
const LONGEST_BACKTRACE: u32 = 20;

/// The finding is told by now, and counts whatever comes of this.
fn tell_where() {
    // SAFETY: sets this process's own timer; SIGALRM ends the process, as is about to happen.
    unsafe { libc::alarm(LONGEST_BACKTRACE) };
    let frames = Backtrace::force_capture().to_string();
    protocol::send(&Message::Backtrace { frames });
}
