//! Double frees under contention, for a heap that says of each free whether it took effect.
//!
//! A duel is one block and several frees of it. All workers know each duel's rules, since all draw
//! them from one stream:
//!
//! ```text
//! owner     issues the block ─┐
//! all                         ├─ gate ─ free, or free and issue anew ─ gate ──────── gate ─ sweep ─ gate ─┐
//! worker 0                                                                  ├ frees anew ┘                ├ judges ─ gate
//! ```
//!
//! What must hold (DESIGN, section 2). Of one block, without a re-issue between: frees that took effect,
//! less those reported late, are one; so N frees give N − 1 reports. With re-issues: frees that took
//! effect, less those reported late, equal issues. A free after a re-issue is stale, and legal. A realloc
//! that moves the block is a free of it; one that leaves it in its place is a free and an issue.
//!
//! Where a double free is reported late: what has come up before anybody swept is counted *at a hand-out*
//! in duels whose workers ask for blocks, *at an exit* in those whose owner exits in the middle, and
//! *at a sweep* else, as is all that the sweeps bring.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use crossbeam::utils::CachePadded;
use drystone::{Misuse, MisuseKind};
use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Board, Count, Doing};
use drystone_checker::schedule;
use drystone_checker::violation::{self, Kind};
use drystone_harness::stop::Stop;
use drystone_workloads::mixed::generator;
use drystone_workloads::sizes::{LogUniform, below};
use rand::Rng;
use rand_pcg::Pcg64;

use crate::allocators::process::{Own, Target};
use crate::child::workers::barrier::Gate;

/// Duels of one round.
const DUELS: u64 = 20_000;

/// Threads are disturbed at one place in so many inside a heap that has a probe: races are lost between a check
/// and its store.
const DISTURB_ONE_IN: u32 = 8;

/// Blocks above it, in bytes, are mappings of their own.
const HUGE: usize = 1 << 20;

/// How often each worker frees and issues anew in a [`Style::Again`].
const ROUNDS: usize = 4;

/// Blocks around the duel's: its neighbours are live, free, or merge with it.
const NEIGHBOURS: usize = 48;

/// The stream that all workers draw the rules from; workers' own streams are numbered from 0.
const RULES: u64 = u64::MAX;

/// Who the block's owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    /// One of those who free it.
    In,
    /// Not among those who free it.
    Out,
    /// A thread that has exited.
    Exited,
    /// A thread that frees it with the others, in the place of the worker that started it, and exits.
    Exiting,
}

/// What the duellists do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Style {
    /// Each frees once, all at once.
    Race,
    /// Each frees twice, all at once.
    RaceTwice,
    /// Each frees, and asks at once for a block of the same size.
    Reissue,
    /// Each frees and asks several times in a row, and frees what it got: the block comes back to who
    /// freed it before (A-B-A).
    Again,
    /// Each resizes the block, all at once.
    Resize,
    /// One frees, then the others: every second free must be reported by the call.
    Ordered,
    /// As before, and between the two the heap gives back what memory it can.
    OrderedAfterTrim,
}

impl Style {
    /// Whether its workers get blocks, so that the duel's may be issued again.
    fn issues(self) -> bool {
        matches!(self, Style::Reissue | Style::Again | Style::Resize)
    }
}

/// The rules of one duel.
#[derive(Clone, Copy, Debug)]
struct Rules {
    size: usize,
    issuer: usize,
    owner: Owner,
    style: Style,
    /// What a [`Style::Resize`] asks for.
    resized: usize,
    /// Which neighbour is freed or made anew before.
    neighbour: usize,
    neighbour_size: usize,
}

impl Rules {
    fn draw(rng: &mut Pcg64, workers: usize) -> Self {
        let sizes = LogUniform::MEBIBYTE;
        let size = match below(rng, 32) {
            0 => HUGE + 1 + below(rng, 8 << 20) as usize,
            1..8 => sizes.draw(rng),
            _ => LogUniform::KIBIBYTE.draw(rng),
        };
        let owner = match below(rng, 64) {
            0 => Owner::Exited,
            1..5 => Owner::Exiting,
            // Two at least must be left to free it.
            5..24 if workers >= 3 => Owner::Out,
            _ => Owner::In,
        };
        let style = match below(rng, 32) {
            _ if owner == Owner::Exiting => Style::Race,
            0..11 => Style::Race,
            11..16 => Style::RaceTwice,
            16..21 => Style::Reissue,
            21..24 => Style::Again,
            24..27 => Style::Resize,
            27..30 => Style::Ordered,
            _ => Style::OrderedAfterTrim,
        };
        Self {
            size,
            issuer: below(rng, workers as u64) as usize,
            owner,
            style,
            // Not 0, which is a free.
            resized: 1 + size / 4 * below(rng, 9) as usize,
            neighbour: below(rng, NEIGHBOURS as u64) as usize,
            neighbour_size: LogUniform { octaves: 14 }.draw(rng),
        }
    }

    fn duels(self, worker: usize) -> bool {
        worker != self.issuer || matches!(self.owner, Owner::In | Owner::Exited)
    }

    /// In ordered duels, the one who frees first.
    fn first(self, workers: usize) -> usize {
        if self.owner == Owner::Out { (self.issuer + 1) % workers } else { self.issuer }
    }

    /// Where what is found late, before anybody has swept, was found.
    fn place_before_sweeps(self) -> Count {
        match (self.owner, self.style.issues()) {
            (Owner::Exiting, _) => Count::AtExit,
            (_, true) => Count::AtReuse,
            (_, false) => Count::AtSweep,
        }
    }
}

/// What one worker did in a duel; read by the judge behind a gate, which orders it.
#[derive(Debug, Default)]
struct Deeds {
    frees: AtomicU64,
    effective: AtomicU64,
    /// How often it was issued the duel's block anew, and has freed it again.
    again: AtomicU64,
    /// The block that it was issued last, and holds.
    reissued: AtomicPtr<c_void>,
}

/// What the workers of one round share.
pub struct Arena<'a> {
    target: &'a Target,
    own: Own,
    seed: u64,
    gate: Gate,
    block: AtomicPtr<c_void>,
    deeds: Vec<CachePadded<Deeds>>,
    /// Frees under way at this moment.
    under_way: CachePadded<AtomicUsize>,
    /// Whether two were under way at once in this duel.
    raced: AtomicBool,
    over: AtomicBool,
}

impl<'a> Arena<'a> {
    /// An arena for `workers` workers on a target that tells of itself.
    pub fn new(target: &'a Target, own: Own, seed: u64, workers: usize) -> Self {
        Self {
            target,
            own,
            seed,
            gate: Gate::new(workers),
            block: AtomicPtr::new(null_mut()),
            deeds: (0..workers).map(|_| CachePadded::default()).collect(),
            under_way: CachePadded::default(),
            raced: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// One worker's part in a round, from rest to rest.
    pub fn work(&self, checked: &mut Checked<'_>, board: &Board, stop: &Stop) {
        schedule::often(DISTURB_ONE_IN);
        let mut rules = generator(self.seed, RULES);
        let mut own_stream = generator(self.seed, checked.worker() as u64);
        let mut kinds = Kinds::default();
        let mut judge = Judge { arena: self, neighbours: Vec::new(), late: (self.own.late)() };
        for duel in 1..=DUELS {
            let rules = Rules::draw(&mut rules, self.deeds.len());
            if checked.worker() == 0 {
                judge.move_neighbour(checked, rules);
            }
            let mut exiting = None;
            if checked.worker() == rules.issuer {
                let (block, thread) = self.issue(checked, rules);
                // Relaxed: the gate publishes it.
                self.block.store(block, Ordering::Relaxed);
                exiting = thread;
            }
            self.meet(checked);
            kinds.of = Some(rules);
            self.fight(checked, rules, exiting, &mut own_stream, &mut kinds);
            self.meet(checked);
            let mut sums = None;
            if checked.worker() == 0 {
                sums = Some(judge.add_up(checked, rules));
            }
            self.meet(checked);
            checked.row().doing(Doing::Judging);
            (self.own.sweep)();
            self.meet(checked);
            if let Some(sums) = sums {
                judge.judge(checked, rules, duel, sums);
                // Relaxed: the gate publishes it.
                self.over.store(stop.is_set(), Ordering::Relaxed);
            }
            self.meet(checked);
            if self.over.load(Ordering::Relaxed) {
                break;
            }
        }
        judge.neighbours.into_iter().for_each(|block| checked.free(block));
        kinds.note(board);
        checked.row().doing(Doing::Idle);
    }

    fn meet(&self, checked: &Checked<'_>) {
        checked.row().doing(Doing::Waiting);
        self.gate.pass();
    }

    /// Issues the block that will be fought over, in the worker or in a thread that exits; the one that will
    /// exit in the middle is returned.
    fn issue(&self, checked: &mut Checked<'_>, rules: Rules) -> (*mut c_void, Option<Exiting>) {
        let (block, thread) = match rules.owner {
            Owner::In | Owner::Out => {
                let block = checked.malloc(rules.size);
                return (checked.give_up(block).cast(), None);
            }
            Owner::Exited => {
                let malloc = self.target.calls.malloc;
                // SAFETY: malloc takes any size.
                let issue = move || unsafe { malloc(rules.size) }.expose_provenance();
                (with_exposed_provenance_mut(thread::spawn(issue).join().unwrap_or(0)), None)
            }
            Owner::Exiting => {
                let (block, thread) = Exiting::start(self.target, self.own, rules.size);
                (block, Some(thread))
            }
        };
        checked.row().add(Count::Operations, 1);
        if block.is_null() {
            violation::raise(
                Kind::UnprovokedNull,
                &format!("a block of {} bytes", rules.size),
                "null",
            );
        }
        (block, thread)
    }

    /// This worker's part in a duel.
    fn fight(
        &self,
        checked: &Checked<'_>,
        rules: Rules,
        exiting: Option<Exiting>,
        own_stream: &mut Pcg64,
        kinds: &mut Kinds,
    ) {
        let worker = checked.worker();
        let deeds = &self.deeds[worker];
        // Relaxed, here and below: the gates order all of a duel's accesses.
        for count in [&deeds.frees, &deeds.effective, &deeds.again] {
            count.store(0, Ordering::Relaxed);
        }
        deeds.reissued.store(null_mut(), Ordering::Relaxed);
        let block = self.block.load(Ordering::Relaxed);
        if let Some(exiting) = exiting {
            checked.row().doing(Doing::DoubleFree);
            checked.row().add(Count::Operations, 1);
            deeds.frees.store(1, Ordering::Relaxed);
            deeds.effective.store(u64::from(exiting.free_and_exit()), Ordering::Relaxed);
            return;
        }
        if let Style::Ordered | Style::OrderedAfterTrim = rules.style {
            if worker == rules.first(self.deeds.len()) {
                self.free(checked, block, kinds);
                if rules.style == Style::OrderedAfterTrim {
                    (self.own.trim)();
                }
                self.meet(checked);
                return;
            }
            self.meet(checked);
        }
        if !rules.duels(worker) {
            return;
        }
        // The gate lets them go within some tens of nanoseconds, in an order that hardly changes.
        for _ in 0..own_stream.next_u64() % 16 {
            std::hint::spin_loop();
        }
        if rules.style == Style::Resize {
            return self.resize(checked, block, rules.resized, kinds);
        }
        self.free(checked, block, kinds);
        match rules.style {
            Style::RaceTwice => self.free(checked, block, kinds),
            Style::Reissue => deeds.reissued.store(self.ask(checked, rules), Ordering::Relaxed),
            Style::Again => {
                for _ in 1..ROUNDS {
                    self.free_own(checked, block, rules, kinds);
                }
                deeds.reissued.store(self.ask(checked, rules), Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Asks for a block as large as the duel's.
    fn ask(&self, checked: &Checked<'_>, rules: Rules) -> *mut c_void {
        checked.row().doing(Doing::Malloc);
        checked.row().add(Count::Operations, 1);
        // SAFETY: malloc takes any size.
        unsafe { (self.target.calls.malloc)(rules.size) }
    }

    /// Asks for a block, and frees it: the duel's, which others may free at the same time, or another, which
    /// is this worker's alone.
    fn free_own(&self, checked: &Checked<'_>, block: *mut c_void, rules: Rules, kinds: &mut Kinds) {
        let issued = self.ask(checked, rules);
        if issued == block {
            self.deeds[checked.worker()].again.fetch_add(1, Ordering::Relaxed);
            return self.free(checked, block, kinds);
        }
        judge_own(self.own, checked.worker(), issued, rules);
        checked.row().add(Count::Operations, 1);
    }

    /// One free of the block that is fought over.
    fn free(&self, checked: &Checked<'_>, block: *mut c_void, kinds: &mut Kinds) {
        // SAFETY: the block was given up by its owner, and nobody uses it; whether it is live still
        // is for the heap to say.
        self.end(checked, kinds, || unsafe { (self.own.try_free)(block) });
    }

    /// One realloc of the block that is fought over.
    fn resize(&self, checked: &Checked<'_>, block: *mut c_void, size: usize, kinds: &mut Kinds) {
        // SAFETY: as in `free`; the bytes that are copied are nobody's.
        let resized = self.end(checked, kinds, || unsafe { (self.own.try_realloc)(block, size) });
        if let Some(resized) = resized {
            if resized.is_null() {
                let expected = format!("realloc({block:p}, {size}) to be granted");
                violation::raise(Kind::UnprovokedNull, &expected, "null");
            }
            // Relaxed: the gates order it.
            self.deeds[checked.worker()].reissued.store(resized, Ordering::Relaxed);
        }
    }

    /// One call that ends the life of the block that is fought over, or says why it does not.
    fn end<R>(
        &self,
        checked: &Checked<'_>,
        kinds: &mut Kinds,
        call: impl FnOnce() -> Result<R, Misuse>,
    ) -> Option<R> {
        checked.row().doing(Doing::DoubleFree);
        checked.row().add(Count::Operations, 1);
        let deeds = &self.deeds[checked.worker()];
        // Relaxed: a hint of what overlapped, which orders nothing.
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        let result = call();
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        if others > 0 {
            self.raced.store(true, Ordering::Relaxed);
        }
        deeds.frees.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(what) => {
                deeds.effective.fetch_add(1, Ordering::Relaxed);
                Some(what)
            }
            Err(misuse) => {
                kinds.add(misuse);
                None
            }
        }
    }
}

/// What a duel was: its style, its owner, and whether its block was a mapping of its own.
type Ring = (Style, Owner, bool);

/// What second frees were reported as.
#[derive(Default)]
struct Kinds {
    /// The present duel's rules.
    of: Option<Rules>,
    counts: BTreeMap<(&'static str, Option<Ring>), u64>,
}

impl Kinds {
    /// Of what is called by another name than it is, also in what kind of duel that was.
    fn add(&mut self, misuse: Misuse) {
        let by_name = misuse.kind == MisuseKind::DoubleFree;
        let of = self.of.filter(|_| !by_name);
        let of = of.map(|rules| (rules.style, rules.owner, rules.size > HUGE));
        *self.counts.entry((misuse.kind.name(), of)).or_default() += 1;
    }

    fn note(&self, board: &Board) {
        for ((kind, of), times) in &self.counts {
            let of = of.map_or(String::new(), |(style, owner, huge)| {
                let huge = if huge { "a mapping of its own" } else { "of a slab" };
                format!(", {huge}; style {style:?}, owner {owner:?}")
            });
            board.note(&format!("reported as: {kind}{of}"), *times);
        }
    }
}

/// A thread that owns the duel's block, frees it with the others, and exits.
struct Exiting {
    go: Arc<AtomicBool>,
    thread: JoinHandle<bool>,
}

impl Exiting {
    /// Starts it; returns the block that it was issued.
    fn start(target: &Target, own: Own, size: usize) -> (*mut c_void, Self) {
        let malloc = target.calls.malloc;
        let go = Arc::new(AtomicBool::new(false));
        let (told, address) = mpsc::channel();
        let awaited = Arc::clone(&go);
        let rates = schedule::rates();
        let thread = thread::spawn(move || {
            // It frees once: where it can be overtaken it is overtaken.
            schedule::begin(rates, 0, 0);
            schedule::often(1);
            // SAFETY: malloc takes any size.
            let block = unsafe { malloc(size) };
            // The other end waits for it.
            let _ = told.send(block.expose_provenance());
            // Acquire: pairs with the release in `free_and_exit`.
            while !awaited.load(Ordering::Acquire) {
                thread::yield_now();
            }
            // SAFETY: as in `Arena::free`.
            unsafe { (own.try_free)(block) }.is_ok()
        });
        (with_exposed_provenance_mut(address.recv().unwrap_or(0)), Self { go, thread })
    }

    /// Lets it go, and waits until its exit is over. Whether its free took effect.
    fn free_and_exit(self) -> bool {
        // Release: pairs with the acquire above.
        self.go.store(true, Ordering::Release);
        self.thread.join().unwrap_or(false)
    }
}

/// Frees a block that nobody but `worker`, its one holder, can free.
fn judge_own(own: Own, worker: usize, block: *mut c_void, rules: Rules) {
    if block.is_null() {
        let expected = format!("a block of {} bytes for worker {worker}", rules.size);
        violation::raise(Kind::UnprovokedNull, &expected, "null");
    }
    // SAFETY: the block was issued to a worker that makes no use of it.
    if let Err(misuse) = unsafe { (own.try_free)(block) } {
        let expected = format!("worker {worker}'s block {block:p} to be its own and live");
        violation::raise(Kind::Sums, &expected, misuse.to_string());
    }
}

/// What a duel's workers did in all.
#[derive(Clone, Copy, Debug)]
struct Sums {
    frees: u64,
    effective: u64,
    /// Issues of the block, and frees of them that the judge added.
    issues: u64,
    added: u64,
    /// Found late before anybody swept.
    early: u64,
}

/// Worker 0 between duels: all others wait at the gate.
struct Judge<'a, 'b> {
    arena: &'b Arena<'a>,
    neighbours: Vec<Block>,
    /// What was found late before this duel.
    late: u64,
}

impl Judge<'_, '_> {
    fn move_neighbour(&mut self, checked: &mut Checked<'_>, rules: Rules) {
        if self.neighbours.len() == NEIGHBOURS {
            let block = self.neighbours.swap_remove(rules.neighbour);
            checked.free(block);
        }
        let block = checked.malloc(rules.neighbour_size);
        self.neighbours.push(block);
    }

    /// Before the sweeps: counts, and frees what was issued anew.
    fn add_up(&self, checked: &Checked<'_>, rules: Rules) -> Sums {
        checked.row().doing(Doing::Judging);
        let arena = self.arena;
        // Relaxed throughout: the gate has ordered it all.
        let sum = |count: fn(&Deeds) -> &AtomicU64| -> u64 {
            arena.deeds.iter().map(|deeds| count(deeds).load(Ordering::Relaxed)).sum()
        };
        let early = (arena.own.late)() - self.late;
        let again = sum(|deeds| &deeds.again);
        let mut sums = Sums {
            frees: sum(|deeds| &deeds.frees),
            effective: sum(|deeds| &deeds.effective),
            issues: 1 + again,
            added: 0,
            early,
        };
        if rules.style.issues() {
            self.free_anew(rules, &mut sums);
        }
        sums
    }

    /// Frees what the workers were issued anew: the duel's block as often as it was issued, others once.
    fn free_anew(&self, rules: Rules, sums: &mut Sums) {
        let arena = self.arena;
        let block = arena.block.load(Ordering::Relaxed);
        let workers = arena.deeds.iter().zip(0..).filter(|(_, worker)| rules.duels(*worker));
        for (deeds, worker) in workers {
            let anew = deeds.reissued.load(Ordering::Relaxed);
            if anew == block {
                sums.issues += 1;
                // SAFETY: the block was issued to a worker that makes no use of it; whether it is
                // live still is for the heap to say.
                sums.added += u64::from(unsafe { (arena.own.try_free)(anew) }.is_ok());
            } else if !anew.is_null() || rules.style != Style::Resize {
                // Nobody but its one holder has freed this one. A resize that was refused gave none.
                judge_own(arena.own, worker, anew, rules);
            }
        }
    }

    fn judge(&mut self, checked: &Checked<'_>, rules: Rules, duel: u64, sums: Sums) {
        let total = (self.arena.own.late)();
        let late = total - self.late;
        self.late = total;
        judge_sums(rules, sums, late);
        self.count(checked, rules, sums, late);
        self.judge_heap(checked, duel);
    }

    fn count(&self, checked: &Checked<'_>, rules: Rules, sums: Sums, late: u64) {
        let row = checked.row();
        let Sums { frees, effective, early, .. } = sums;
        row.add(Count::DoubleFreeRounds, 1);
        row.add(Count::DoubleFrees, frees - 1);
        row.add(Count::AtCall, frees - effective);
        row.add(Count::Deferred, late);
        row.add(rules.place_before_sweeps(), early);
        row.add(Count::AtSweep, late - early);
        // What took effect beyond the first was of a block issued again; else `judge` had raised.
        row.add(Count::RacedWithReuse, effective.saturating_sub(1 + late));
        // Relaxed: the gate has ordered it.
        if self.arena.raced.swap(false, Ordering::Relaxed) {
            row.add(Count::DoubleFreeRoundsRaced, 1);
        }
        let won = |deeds: &Deeds| deeds.effective.load(Ordering::Relaxed) > 0;
        if let Style::Race | Style::RaceTwice = rules.style
            && rules.owner == Owner::In
        {
            let winner = if won(&self.arena.deeds[rules.issuer]) {
                Count::OwnerWon
            } else {
                Count::OtherWon
            };
            row.add(winner, 1);
        }
    }

    fn judge_heap(&self, checked: &Checked<'_>, duel: u64) {
        let held = (self.arena.own.held)();
        if held.live_blocks != self.neighbours.len() {
            violation::raise(
                Kind::Sums,
                &format!("{} live blocks after the duel", self.neighbours.len()),
                format!("{}", held.live_blocks),
            );
        }
        if duel.is_multiple_of(64) {
            if let Err(broken) = (self.arena.own.check)() {
                violation::raise(Kind::BrokenHeap, "every invariant to hold after a duel", broken);
            }
            checked.row().add(Count::HeapChecks, 1);
        }
    }
}

/// Frees that took effect, less those reported late, equal issues; in ordered duels every free but one is
/// reported by its call.
fn judge_sums(rules: Rules, sums: Sums, late: u64) {
    let ordered = matches!(rules.style, Style::Ordered | Style::OrderedAfterTrim);
    let allowed_late = if ordered { 0 } else { late };
    let effective = sums.effective + sums.added;
    let stood = effective.saturating_sub(allowed_late);
    if stood == sums.issues {
        return;
    }
    let kind = match stood > sums.issues || (ordered && late > 0) {
        true => Kind::DoubleFreeMissed,
        false => Kind::FreeRejected,
    };
    violation::raise(
        kind,
        &format!(
            "as many frees to take effect, less those reported late, as the block was issued: {}",
            sums.issues
        ),
        format!(
            "of {} frees {} were refused at the call, {late} reported late; of the judge's own {} took \
             effect ({rules:?})",
            sums.frees,
            sums.frees - sums.effective,
            sums.added
        ),
    );
}
