//! The example's allocator, with each of its faults and without: each violation is found, and none
//! else.

#[path = "../examples/own_allocator/toy.rs"]
mod toy;

use std::alloc::{GlobalAlloc, Layout};
use std::panic::{self, AssertUnwindSafe, resume_unwind};
use std::process::Command;
use std::sync::Once;
use std::thread;

use drystone_checker::checked::ImpossibleRequest;
use drystone_checker::counters::Count;
use drystone_checker::violation::{self, Hook};
use drystone_checker::{Allocator, Checked, Checker, Global, Kind, Violation};
use drystone_workloads::errno;
use toy::{Fault, Toy};

/// Violations unwind as they are, so that a test sees their kind.
fn hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook =
            Hook { raise: |violation| resume_unwind(Box::new(violation)), suppresses: |_| false };
        violation::install(hook).expect("nobody else in this program installs one");
    });
}

/// The violation that `work` runs into, or that it ended well.
fn outcome(work: impl FnOnce()) -> Result<(), Violation> {
    hook();
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        *payload.downcast::<Violation>().unwrap_or_else(|other| resume_unwind(other))
    })
}

/// Each fault has a static of its own, since tests run side by side.
macro_rules! toy {
    ($fault:ident) => {{
        struct Local;
        impl Global for Local {
            type Allocator = Toy;
            fn get() -> &'static Toy {
                static TOY: Toy = Toy::new(Fault::$fault);
                &TOY
            }
        }
        // SAFETY: `get` names one static; blocks lie in its arena, which nothing else uses.
        Checker::new(unsafe { Allocator::of_global::<Local>() }, 8)
    }};
}

/// Blocks of many sizes, all live at once, some resized, then read and freed.
fn exercise(worker: &mut Checked<'_>) {
    for round in 0..40 {
        let mut blocks: Vec<_> =
            (0..30).map(|n| worker.malloc((round * 7 + n * 13) % 500)).collect();
        blocks.push(worker.calloc(3, 20 + round));
        blocks.push(worker.aligned_alloc(256, 40));
        let block = blocks.swap_remove(round % 30);
        blocks.extend(worker.realloc(block, 1 + round * 5));
        blocks.iter().for_each(|block| worker.verify(block));
        blocks.into_iter().for_each(|block| worker.free(block));
    }
}

fn found_in(checker: &Checker) -> Violation {
    outcome(|| exercise(&mut checker.worker())).expect_err("the fault is found")
}

#[test]
fn a_sound_allocator_passes_with_threads_and_all_its_blocks_are_freed() {
    let checker = toy!(None);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| outcome(|| exercise(&mut checker.worker())).unwrap());
        }
    });
    let counters = checker.finish().unwrap();
    assert_eq!(counters[Count::BytesAllocated], counters[Count::BytesFreed]);
    assert!(counters[Count::Operations] >= 4 * 40 * 60, "{counters:?}");
}

#[test]
fn a_planted_overlap_is_found_and_its_other_owner_named() {
    let violation = found_in(&toy!(Overlap));
    assert_eq!(violation.kind, Kind::Overlap);
    assert_eq!(violation.worker, Some(0));
    assert!(violation.seen.contains("thread 0's block"), "{violation}");
    assert!(violation.to_string().contains("expected a block apart from every live one"));
}

/// Runs the example as its reader does.
fn example(arguments: &[&str]) -> (Option<i32>, String) {
    let run = ["run", "--quiet", "--offline", "--example", "own_allocator", "--"];
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(run).args(arguments).env("RUST_BACKTRACE", "0").output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr),
    )
}

#[test]
fn the_example_finds_what_is_planted_in_it_and_nothing_else() {
    let (code, said) = example(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing was wrong"), "{said}");
    let (code, said) = example(&["overlap"]);
    assert_eq!(code, Some(101), "{said}");
    assert!(said.contains("the allocator failed the check \"overlap\""), "{said}");
    let (code, said) = example(&["overlaps"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("give `overlap`"), "{said}");
}

#[test]
fn a_block_with_two_owners_is_found_also_between_threads() {
    assert_eq!(found_in(&toy!(TwoOwners)).kind, Kind::Overlap);

    let checker = toy!(TwoOwners);
    let kinds: Vec<_> = thread::scope(|scope| {
        let work = || outcome(|| exercise(&mut checker.worker()));
        let threads = [(); 4].map(|()| scope.spawn(work));
        threads.into_iter().filter_map(|thread| thread.join().unwrap().err()).collect()
    });
    // Who is second finds it; a byte may be read in between that the other has written.
    assert!(kinds.iter().any(|violation| violation.kind == Kind::Overlap), "{kinds:?}");
}

#[test]
fn each_other_fault_is_found_and_called_by_its_name() {
    assert_eq!(found_in(&toy!(Corruption)).kind, Kind::Identity);
    assert_eq!(found_in(&toy!(NotZeroed)).kind, Kind::NotZeroed);
    assert_eq!(found_in(&toy!(PrefixLost)).kind, Kind::PrefixLost);
    assert_eq!(found_in(&toy!(Null)).kind, Kind::UnprovokedNull);
    let misaligned = toy!(Misaligned);
    let aligned = outcome(|| {
        misaligned.worker().aligned_alloc(64, 10);
    });
    assert_eq!(aligned.unwrap_err().kind, Kind::Misaligned);
}

#[test]
fn what_is_live_at_the_end_is_told() {
    let checker = toy!(None);
    let block = checker.worker().malloc(100);
    let address = block.address().addr();
    let live = checker.finish().unwrap_err();
    assert_eq!((live.bytes, live.lowest), (100, address));
}

#[test]
fn a_rust_allocators_impossible_requests_are_rejected() {
    let checker = toy!(None);
    let size = isize::MAX as usize + 1;
    outcome(|| {
        let worker = &mut checker.worker();
        worker.must_reject(ImpossibleRequest::Malloc { size });
        worker.must_reject(ImpossibleRequest::Calloc { count: usize::MAX / 2, size: 3 });
        worker.must_reject(ImpossibleRequest::AlignedAlloc { alignment: 64, size });
        let block = worker.malloc(10);
        worker.must_reject(ImpossibleRequest::Realloc { block: &block, size });
        let block = worker.try_realloc(block, 8 << 20).expect_err("the arena is smaller");
        worker.free(block);
    })
    .unwrap();
    checker.finish().unwrap();
}

/// The toy, with a `dealloc` that leaves an error in `errno`, as one that waits for a lock may.
struct Careless(Toy);

// SAFETY: the toy's own blocks; `errno` is no part of them.
unsafe impl GlobalAlloc for Careless {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout, whose size is not zero, is passed on.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the toy's own block of that layout, given up here.
        unsafe { self.0.dealloc(block, layout) }
        errno::set(11);
    }
}

#[test]
fn a_rust_allocator_may_change_errno() {
    struct Local;
    impl Global for Local {
        type Allocator = Careless;
        fn get() -> &'static Careless {
            static CARELESS: Careless = Careless(Toy::new(Fault::None));
            &CARELESS
        }
    }
    // SAFETY: `get` names one static; blocks lie in its arena, which nothing else uses.
    let checker = Checker::new(unsafe { Allocator::of_global::<Local>() }, 1);
    outcome(|| exercise(&mut checker.worker())).unwrap();
}
