//! Spans against a simple model, with real memory: best fit, split, merge, what is clean; and
//! corruption that [`Spans::check`] must name.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::engine::span::decay::DECAY;
use crate::os::{Mmap, Os};

/// `Mmap` that tells which arenas there are, and can fail.
#[derive(Default)]
struct Told {
    /// Start and units of mappings of whole units that are at least an arena's size.
    arenas: RefCell<BTreeMap<usize, usize>>,
    fails: std::cell::Cell<bool>,
    /// If not zero, arenas are cut from this address on, each behind the last.
    room: std::cell::Cell<usize>,
}

// SAFETY: memory is `Mmap`'s.
unsafe impl Os for Told {
    fn map(&self, bytes: usize) -> *mut u8 {
        Mmap.map(bytes)
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        self.arenas.borrow_mut().remove(&start.addr());
        // SAFETY: memory of `Mmap`'s, to which nothing refers any more.
        unsafe { Mmap.unmap(start, bytes) }
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        // SAFETY: memory of `Mmap`'s; if it may move, the caller alone refers to it.
        unsafe { Mmap.remap(start, old, new, may_move) }
    }

    fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
        if self.fails.get() {
            return ptr::null_mut();
        }
        let room = self.room.get();
        let start = if align == UNIT && room != 0 {
            self.room.set(room + bytes);
            ptr::with_exposed_provenance_mut(room)
        } else {
            Mmap.reserve(bytes, align)
        };
        if align == UNIT {
            self.arenas.borrow_mut().insert(start.addr(), bytes / UNIT);
        }
        start
    }

    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: pages of `Mmap`'s, cut as `decommit` wants them; nobody uses what is there.
        unsafe { Mmap.decommit(start, bytes) }
    }

    fn entropy(&self) -> u64 {
        0
    }
}

/// What the spans should do.
#[derive(Default)]
struct Model {
    /// Start and units of the used spans.
    used: BTreeMap<usize, usize>,
}

impl Model {
    /// Start and units of every run that is free, and as long as it can be.
    fn free_runs(&self, os: &Told) -> Vec<(usize, usize)> {
        let mut runs = Vec::new();
        for (&start, &units) in os.arenas.borrow().iter() {
            let (mut at, end) = (start, start + units * UNIT);
            for (&used, &length) in self.used.range(start..end) {
                if used > at {
                    runs.push((at, (used - at) / UNIT));
                }
                at = used + length * UNIT;
            }
            if end > at {
                runs.push((at, (end - at) / UNIT));
            }
        }
        runs
    }
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(usize),
    /// The n-th used span, modulo how many there are; whether it was written to.
    Free(usize, bool),
    Purge(usize),
    ReleaseEmpty,
    /// Nothing can be reserved from here on, or it can again.
    Fail(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let units = prop_oneof![5 => 1..5usize, 3 => 5..EXACT, 1 => EXACT - 1..3 * EXACT];
    let step = prop_oneof![
        6 => units.prop_map(Step::Allocate),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(which, dirty)| Step::Free(which, dirty)),
        1 => (0..40usize).prop_map(Step::Purge),
        1 => Just(Step::ReleaseEmpty),
        1 => any::<bool>().prop_map(Step::Fail),
    ];
    prop::collection::vec(step, 1..80)
}

/// The word in the middle of each unit.
fn words(start: usize, units: usize) -> impl Iterator<Item = *mut u64> {
    (0..units).map(move |unit| ptr::with_exposed_provenance_mut(start + unit * UNIT + UNIT / 2))
}

fn follow(steps: &[Step]) {
    let os = Told::default();
    let mut spans = Box::new(Spans::new());
    let mut model = Model::default();
    for step in steps {
        match *step {
            Step::Allocate(units) => allocate(&os, &mut spans, &mut model, units),
            Step::Free(_, _) if model.used.is_empty() => {}
            Step::Free(which, dirty) => {
                let nth = which % model.used.len();
                let (&start, &units) = model.used.iter().nth(nth).unwrap();
                model.used.remove(&start);
                // SAFETY: a used span's memory.
                words(start, units).for_each(|word| unsafe { word.write(u64::from(dirty)) });
                spans.free(&os, start, units, dirty);
                assert!(spans.dirty <= spans.bound(), "idle memory is bounded");
            }
            Step::Purge(left) => {
                spans.purge(&os, left);
                assert!(spans.dirty <= left, "a purge leaves what it is told to");
            }
            Step::ReleaseEmpty => {
                spans.release_empty(&os);
                let whole =
                    |(start, units): &(usize, usize)| os.arenas.borrow().get(start) == Some(units);
                let left = model.free_runs(&os).iter().filter(|run| whole(run)).count();
                assert_eq!(left, 0, "an arena without a used span goes");
            }
            Step::Fail(fails) => os.fails.set(fails),
        }
        compare(&os, &spans, &model);
    }
    spans.release(&os);
    assert!(os.arenas.borrow().is_empty(), "every arena goes back");
}

fn allocate(os: &Told, spans: &mut Spans, model: &mut Model, units: usize) {
    let fits = |runs: &[(usize, usize)]| {
        runs.iter().map(|run| run.1).filter(|&length| length >= units).min()
    };
    let before = model.free_runs(os);
    let span = spans.allocate(os, units);
    let Some(span) = span else {
        assert!(os.fails.get() && fits(&before).is_none(), "failed with room left");
        return;
    };
    let runs = match fits(&before) {
        Some(_) => before,
        None => model.free_runs(os),
    };
    let run = runs.iter().find(|run| run.0 == span.start);
    let run = run.expect("a span is cut from the front of a free run");
    assert_eq!(Some(run.1), fits(&runs), "the shortest that fits is split");
    for word in words(span.start, units) {
        // SAFETY: the span is ours.
        unsafe {
            assert!(!span.clean || word.read() == 0, "a clean span is zero");
            word.write(0);
        }
    }
    model.used.insert(span.start, units);
}

fn compare(os: &Told, spans: &Spans, model: &Model) {
    spans.check().unwrap();
    let mut used = BTreeMap::new();
    spans.each_used(|start, units, _| assert!(used.insert(start, units).is_none()));
    assert_eq!(used, model.used);
    let all: usize = os.arenas.borrow().values().sum();
    let free: usize = model.free_runs(os).iter().map(|run| run.1).sum();
    assert_eq!((spans.units, spans.free), (all, free));
    for (&start, &units) in os.arenas.borrow().iter() {
        let ends = [start, start + units * UNIT - 1];
        assert!(ends.iter().all(|&address| spans.unit_at(address).is_some()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn spans_follow_the_model(steps in steps()) {
        follow(&steps);
    }
}

#[test]
fn arenas_that_touch_share_no_span() {
    let os = Told::default();
    os.room.set(Mmap.reserve(256 * UNIT, UNIT).expose_provenance());
    let mut spans = Box::new(Spans::new());
    let starts = [(); 2].map(|()| spans.allocate(&os, 64).unwrap().start);
    assert_eq!(starts[0] + 64 * UNIT, starts[1]);
    starts.iter().for_each(|&start| spans.free(&os, start, 64, false));
    spans.check().unwrap();
    let across = spans.allocate(&os, 128).unwrap();
    assert!(!starts.contains(&across.start), "it lies in one arena");
    spans.release(&os);
}

#[test]
fn decay_halves_what_is_idle_each_quarter_of_a_second() {
    struct Clock(std::cell::Cell<u64>, Told);
    // SAFETY: memory is `Told`'s.
    unsafe impl Os for Clock {
        fn map(&self, bytes: usize) -> *mut u8 {
            self.1.map(bytes)
        }
        unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
            // SAFETY: memory of `Told`'s, to which nothing refers any more.
            unsafe { self.1.unmap(start, bytes) }
        }
        unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may: bool) -> *mut u8 {
            // SAFETY: memory of `Told`'s; if it may move, the caller alone refers to it.
            unsafe { self.1.remap(start, old, new, may) }
        }
        fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
            self.1.reserve(bytes, align)
        }
        unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
            // SAFETY: pages of `Told`'s, cut as `decommit` wants them; nobody uses what is there.
            unsafe { self.1.decommit(start, bytes) }
        }
        fn milliseconds(&self) -> u64 {
            self.0.get()
        }
        fn entropy(&self) -> u64 {
            0
        }
    }
    let os = Clock(std::cell::Cell::new(1_000_000), Told::default());
    let mut spans = Box::new(Spans::new());
    spans.decay(&os);
    let starts: Vec<_> = (0..48).map(|_| spans.allocate(&os, 1).unwrap().start).collect();
    // Every other one, so that each is a span of its own.
    starts.iter().step_by(2).for_each(|&start| spans.free(&os, start, 1, true));
    assert_eq!(spans.dirty, 24);
    spans.decay(&os);
    assert_eq!(spans.dirty, 24, "no time has passed");
    os.0.set(os.0.get() + DECAY);
    spans.decay(&os);
    assert_eq!(spans.dirty, 12);
    os.0.set(os.0.get() + 2 * DECAY);
    spans.decay(&os);
    assert_eq!(spans.dirty, 0, "less than four are not worth keeping");
    spans.check().unwrap();
    spans.release(&os);
}

/// Spans with used and free ones among them, and the record of the first free one.
fn some() -> (Box<Spans>, *mut Unit) {
    let os = Told::default();
    let mut spans = Box::new(Spans::new());
    let starts: Vec<_> = (0..5).map(|_| spans.allocate(&os, 2).unwrap().start).collect();
    spans.free(&os, starts[1], 2, true);
    spans.free(&os, starts[3], 2, false);
    spans.check().unwrap();
    let free = spans.unit_at(starts[1]).unwrap();
    (spans, free)
}

#[test]
fn corruption_is_named() {
    type Damage = fn(&mut Spans, *mut Unit);
    let damages: [(&str, Damage); 7] = [
        // SAFETY: in these, a record of an arena.
        ("a span has a length", |_, free| unsafe { (*free.sub(2)).length = 0 }),
        // SAFETY: a record of an arena.
        ("no two free spans are neighbours", |_, free| unsafe { (*free.sub(2)).free = true }),
        // SAFETY: a record of an arena.
        ("a list holds free spans of its length", |_, free| unsafe { (*free).free = false }),
        ("a list holds free spans of its length", |spans, free| {
            spans.lists[4] = free;
        }),
        ("the bitmap says which lists are empty", |spans, _| spans.some ^= 1 << 1),
        ("the units add up", |spans, _| spans.dirty += 1),
        ("the units add up", |spans, _| spans.lists[1] = ptr::null_mut()),
    ];
    for (index, (invariant, damage)) in damages.into_iter().enumerate() {
        let (mut spans, free) = some();
        damage(&mut spans, free);
        if invariant == "the units add up" && spans.lists[1].is_null() {
            spans.some &= !(1 << 1);
        }
        let found = spans.check().expect_err("the damage is seen").0;
        assert_eq!(found, invariant, "damage {index}");
        // What is damaged is not given back.
        std::mem::forget(spans);
    }
}
