//! How the supervisor hears of a run: several times a second, by a message.

use std::thread;
use std::time::{Duration, Instant};

use drystone_checker::counters::Board;
use drystone_checker::violation::Kind;
use drystone_harness::exit;
use drystone_harness::stop::Stop;
use drystone_harness::usage::Usage;

use crate::child::hangs::Watch;
use crate::child::violation_handler;
use crate::model::message::{self, Message};

/// How often the supervisor hears of the work.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Says how far the run is.
pub(super) fn report(board: &Board) {
    message::send(&Message::Progress {
        counters: board.counters(),
        doing: board.doings(),
        round: violation_handler::current_round(),
        usage: Usage::of_this_process().unwrap_or_else(|why| unknown(why.to_string())),
    });
}

/// The machine does not say what it must, and no memory can be judged: not the allocator's fault.
fn unknown(why: String) -> ! {
    message::send(&Message::Rejected { why });
    exit::now(exit::FAILED)
}

/// Reports the work to the supervisor, stops it at the deadline, and looks out for calls that never
/// return, if there is a watch for those.
pub(super) fn report_from_a_thread(
    board: &'static Board,
    stop: &'static Stop,
    deadline: Option<Instant>,
    mut watch: Option<Watch>,
) {
    thread::spawn(move || {
        loop {
            let left = deadline
                .filter(|_| !stop.is_set())
                .map(|deadline| deadline.saturating_duration_since(Instant::now()));
            thread::sleep(left.map_or(TICK, |left| left.min(TICK)));
            stop.at(deadline);
            if let Some((worker, seen)) = watch.as_mut().and_then(|watch| watch.look(board)) {
                violation_handler::raise_of(worker, Kind::Hang, "every call to return", seen);
            }
            report(board);
        }
    });
}
