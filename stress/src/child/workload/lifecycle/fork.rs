//! Forks whose children go on: what a child does, and what its end says.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use std::{io, thread};

use drystone_checker::checked::Checked;
use drystone_checker::counters::{Count, Doing};
use drystone_checker::violation::{self, Kind};
use drystone_harness::process::preload::{die_with_the_parent, signal_name};
use drystone_harness::seed::Seed;
use drystone_harness::{exit, memory};
use drystone_workloads::mixed::generator;
use drystone_workloads::sizes::below;

use crate::allocators::process::Own;
use crate::child::crash_handler;
use crate::child::workers::table::BlockTable;
use crate::child::workload::lifecycle::{signals, thread_end};
use crate::model::fork_page::{self, Found, Page, Report};

/// Operations of a child at most.
const OPERATIONS: u64 = 500;

/// How the parent looks for the child's end: often at first, then seldom.
const SOON: Duration = Duration::from_micros(100);
const LOOKS_SOON: u64 = 100;
const LATER: Duration = Duration::from_millis(10);
const LATER_A_SECOND: u64 = 100;

/// What a child is at, in order.
const STAGES: [&str; 5] = [
    "reading the blocks that it has from its parent",
    "allocating and freeing",
    "freeing all that it has",
    "looking the heap over",
    "in its exit handlers",
];

/// How children are forked and waited for.
pub(super) struct Children {
    own: Option<Own>,
    /// Seconds after which one that does not end hangs.
    patience: u64,
}

/// How a child ended.
enum End {
    Exited(i32),
    Killed(i32),
    /// It did not, and was killed by the parent.
    Hung,
}

impl Children {
    /// Children of a process with that allocator.
    pub(super) fn new(own: Option<Own>, patience: u64) -> Self {
        Self { own, patience }
    }

    /// Forks a child that goes on with `table`, from its own `seed`, and judges its end. The
    /// parent's other threads go on meanwhile.
    pub(super) fn fork(
        &self,
        checked: &mut Checked<'_>,
        table: &mut BlockTable,
        seed: Seed,
        loading: &RwLock<()>,
    ) {
        let page = page_of(checked.worker());
        page.clear();
        checked.row().doing(Doing::Forking);
        let child = signals::sheltered(|| {
            let process = self.fork_now(checked, loading);
            if process == 0 {
                self.go_on(checked, table, seed, page);
            }
            process
        });
        if child < 0 {
            // The machine, not the allocator, has no process to give.
            panic!("fork: {}", io::Error::last_os_error());
        }
        checked.row().doing(Doing::WaitingForAChild);
        let end = self.wait(child, page);
        let (operations, verified, stage) = page.so_far();
        let at = STAGES[(stage as usize).min(STAGES.len() - 1)];
        let which = format!("a forked child (its seed {seed}, operation {operations}, {at})");
        judge(&end, page.report(), &which, self.patience);
        let row = checked.row();
        row.add(Count::Forks, 1);
        row.add(Count::ForkedOperations, operations);
        row.add(Count::BytesVerified, verified);
    }

    /// The fork: the harness's own locks are held, and a linked allocator does its part as
    /// `pthread_atfork` would have it do; others have handlers of their own. The order is that in
    /// which the locks may be held together.
    fn fork_now(&self, checked: &Checked<'_>, loading: &RwLock<()>) -> i32 {
        let handlers = self.own.and_then(|own| own.fork);
        let _alone = loading.write().unwrap_or_else(PoisonError::into_inner);
        checked.overlap().held(|| {
            checked.board().held(|| {
                if let Some(handlers) = handlers {
                    (handlers.prepare)();
                }
                // SAFETY: the child goes on with what it has a whole copy of: the harness's tables,
                // whose locks are held, and the allocator, which is what is tried.
                let process = memory::held(|| unsafe { libc::fork() });
                if let Some(handlers) = handlers {
                    (if process == 0 { handlers.child } else { handlers.parent })();
                }
                process
            })
        })
    }

    /// The child: reads its blocks, works, frees all that it has, looks the heap over, exits.
    fn go_on(
        &self,
        checked: &mut Checked<'_>,
        table: &mut BlockTable,
        seed: Seed,
        page: &'static Page,
    ) -> ! {
        fork_page::enter(page);
        // How it dies is for its parent to say, and it dies with its parent.
        crash_handler::uninstall();
        die_with_the_parent();
        thread_end::do_nothing_at_the_end();
        checked.leave_the_journal();
        let deferred = self.own.map_or(0, |own| (own.deferred_reports)());
        let row = checked.row();
        let before = (row.get(Count::Operations), row.get(Count::BytesVerified));
        let progress = || {
            page.progress(
                row.get(Count::Operations) - before.0,
                row.get(Count::BytesVerified) - before.1,
            );
        };
        table.verify_all(checked);
        page.doing(1);
        let mut rng = generator(seed.0, 0);
        for _ in 0..below(&mut rng, OPERATIONS) {
            table.turn(&mut rng, checked);
            progress();
        }
        page.doing(2);
        table.free_all(checked);
        progress();
        page.doing(3);
        if let Some(own) = self.own {
            look_over(own, deferred);
        }
        page.doing(4);
        page.well();
        if below(&mut rng, 2) == 0 {
            exit::now(exit::FINE);
        }
        // SAFETY: the only thread of this process runs the handlers, the allocator's among them.
        unsafe { libc::exit(0) }
    }

    /// Waits for the child, by looking again and again until it has done nothing for long: a
    /// machine that stands still is not the child's fault, and does not look.
    fn wait(&self, child: i32, page: &Page) -> End {
        let most = LOOKS_SOON + self.patience * LATER_A_SECOND;
        let (mut looks, mut before) = (0, page.so_far());
        while looks < most {
            if let Some(end) = ended(child, libc::WNOHANG) {
                return end;
            }
            thread::sleep(if looks < LOOKS_SOON { SOON } else { LATER });
            let now = page.so_far();
            looks = if now == before { looks + 1 } else { 0 };
            before = now;
        }
        // SAFETY: the child is not waited for yet, so that its number is its own.
        unsafe { libc::kill(child, libc::SIGKILL) };
        match ended(child, 0) {
            Some(End::Exited(status)) => End::Exited(status),
            Some(End::Killed(signal)) if signal != libc::SIGKILL => End::Killed(signal),
            _ => End::Hung,
        }
    }
}

/// A linked heap in a forked child: sound, and of no other mind about what its parent has done.
fn look_over(own: Own, deferred: u64) {
    (own.sweep)();
    let now = (own.deferred_reports)();
    if now != deferred {
        let seen = format!("{} deferred reports of misuses", now - deferred);
        violation::raise(Kind::FalseAlarm, "no misuse in a correct program", seen);
    }
    if let Err(broken) = (own.check)() {
        violation::raise(Kind::BrokenHeap, "every invariant to hold in a forked child", broken);
    }
    if let Some(Err(entered)) = own.at_rest.map(|at_rest| at_rest()) {
        violation::raise(Kind::Exclusion, "an exit for every entry", entered);
    }
}

/// The page of a worker, whose lives fork one at a time.
fn page_of(worker: usize) -> &'static Page {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    static PAGES: Mutex<BTreeMap<usize, &'static Page>> = Mutex::new(BTreeMap::new());
    let mut pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    pages.entry(worker).or_insert_with(|| Page::new().expect("the system gives a page"))
}

/// How the child has ended, if it has.
fn ended(child: i32, options: i32) -> Option<End> {
    let mut status = 0;
    loop {
        // SAFETY: the process is this one's child, and is waited for until it has ended once;
        // `status` is writable.
        match unsafe { libc::waitpid(child, &raw mut status, options) } {
            0 => return None,
            -1 => {
                // One of the signals that are sent.
                let error = io::Error::last_os_error();
                assert_eq!(error.kind(), io::ErrorKind::Interrupted, "waitpid: {error}");
            }
            _ if libc::WIFSIGNALED(status) => return Some(End::Killed(libc::WTERMSIG(status))),
            _ => return Some(End::Exited(libc::WEXITSTATUS(status))),
        }
    }
}

/// Raises what a child's end says.
fn judge(end: &End, report: Report, which: &str, patience: u64) {
    let expected = "a forked child to live to its end";
    match (end, report) {
        (End::Exited(0), Report::Well) => {}
        (_, Report::Found(Found { kind, expected, seen })) => {
            violation::raise(kind, &expected, format!("{seen}; in {which}"))
        }
        (End::Exited(status), _) if *status == i32::from(exit::PANICKED) => {
            panic!("the harness failed in {which}")
        }
        (End::Hung, _) => {
            violation::raise(Kind::Hang, expected, format!("no end after {patience} s of {which}"))
        }
        (End::Killed(signal), _) => {
            violation::raise(Kind::Crash, expected, format!("{} in {which}", signal_name(*signal)))
        }
        (End::Exited(status), _) => {
            violation::raise(Kind::Crash, expected, format!("exit status {status} of {which}"))
        }
    }
}
