//! Children: forked while others allocate, and started by `vfork`.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::thread;

use crate::checks::exercise::{end_with, exercise, exercised, still};
use crate::child::block::Block;
use crate::child::forks::fork;
use crate::child::heap::Heap;
use crate::child::library::Library;
use crate::child::signals::{every, shrug};
use crate::outcome::{Checked, Wrong, expect};
use crate::row::{Check, Row};

const FORK: &str =
    "fork(2): a child of a threaded program may call malloc; glibc manual, Replacing malloc";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "processes/fork",
        about: "a child allocates, frees what its parent allocated, and exits; the parent's blocks \
                are sound",
        source: "POSIX.1-2024 fork",
        check: Check::Judged(plain),
    },
    Row {
        name: "processes/fork-of-fork",
        about: "the same down to the fourth generation",
        source: "POSIX.1-2024 fork",
        check: Check::Judged(generations),
    },
    Row {
        name: "processes/fork-from-thread",
        about: "100 forks from a thread while four others allocate: each child allocates, frees, \
                exits",
        source: FORK,
        check: Check::Judged(|heap| while_others_allocate(heap, 100)),
    },
    Row {
        name: "processes/fork-in-a-storm",
        about: "the same under a storm of signals",
        source: FORK,
        check: Check::Judged(|heap| {
            shrug(libc::SIGALRM);
            every(700);
            let checked = while_others_allocate(heap, 100);
            every(0);
            checked
        }),
    },
    Row {
        name: "processes/threads-in-a-child",
        about: "a child starts threads that allocate and exit",
        source: "POSIX.1-2024 fork",
        check: Check::Judged(threads_in_a_child),
    },
    Row {
        name: "processes/atfork-handlers",
        about: "the program's handlers of pthread_atfork may allocate, before the fork and after \
                it on both sides",
        source: "pthread_atfork(3)",
        check: Check::Judged(atfork_handlers),
    },
    Row {
        name: "processes/vfork-exec",
        about: "vfork and execve while others allocate, 50 times: the parent goes on as it was",
        source: "vfork(2)",
        check: Check::Judged(vfork_exec),
    },
];

/// Blocks that the parent leaves to its children, each of which has its own copy.
struct Legacy([Option<Block>; 3]);

impl Legacy {
    fn of(heap: &'static Heap) -> Result<Legacy, Wrong> {
        let mut blocks = [const { None }; 3];
        for (block, size) in blocks.iter_mut().zip([50, 6000, 900_000]) {
            let mut new = heap.malloc(size)?;
            new.fill(8);
            *block = Some(new);
        }
        Ok(Legacy(blocks))
    }

    /// The child's share of it: checked and freed.
    fn spend(mut self) -> Result<(), &'static str> {
        for block in &mut self.0 {
            let block = block.take().ok_or("no block")?;
            still(&block, 8)?;
            block.free();
        }
        Ok(())
    }

    fn free(self) -> Checked {
        for block in self.0.into_iter().flatten() {
            block.holds(8)?;
            block.free();
        }
        Ok(())
    }

    /// The same blocks, as a forked child has them.
    fn copy(&self, heap: &'static Heap) -> Legacy {
        let copied = |block: &Option<Block>| {
            // SAFETY: used in a forked child only, where the parent's handle is never used.
            block.as_ref().map(|block| unsafe { heap.wrap(block.pointer(), block.size()) })
        };
        Legacy([copied(&self.0[0]), copied(&self.0[1]), copied(&self.0[2])])
    }
}

/// A child that frees what its parent leaves to it and does `then`; its parent's own blocks are
/// sound after.
fn fork_with_legacy(
    heap: &'static Heap,
    child: &str,
    then: impl FnOnce() -> Result<(), &'static str>,
) -> Checked {
    let legacy = Legacy::of(heap)?;
    fork(child, || {
        legacy.copy(heap).spend()?;
        then()
    })?;
    legacy.free()
}

fn fork_and_exercise(heap: &'static Heap, child: &str, round: u64) -> Checked {
    fork_with_legacy(heap, child, || exercise(heap, round))
}

fn plain(heap: &'static Heap) -> Checked {
    exercised(heap, 1)?;
    for round in 0..50 {
        fork_and_exercise(heap, "a forked child", round)?;
    }
    Ok(())
}

fn generations(heap: &'static Heap) -> Checked {
    fn descend(heap: &'static Heap, left: u32) -> Checked {
        exercised(heap, u64::from(left))?;
        if left == 0 {
            return Ok(());
        }
        fork_with_legacy(heap, "a child's child", || {
            descend(heap, left - 1).map_err(|_| "a child's child failed")
        })
    }
    for _ in 0..10 {
        descend(heap, 4)?;
    }
    Ok(())
}

/// Calls `f` while four threads allocate, and free each other's blocks.
fn among_others(heap: &'static Heap, f: impl FnOnce() -> Checked) -> Checked {
    let over = AtomicBool::new(false);
    let slots: Vec<AtomicPtr<u8>> = (0..16).map(|_| AtomicPtr::default()).collect();
    let checked = thread::scope(|scope| {
        let workers: Vec<_> = (0..4usize)
            .map(|seed| {
                let (over, slots) = (&over, &slots);
                scope.spawn(move || {
                    let mut step = seed;
                    while !over.load(Ordering::Relaxed) {
                        step += 1;
                        let size = 20 + step * 37 % 2000 + if step % 50 == 0 { 300_000 } else { 0 };
                        let block = heap.malloc(size)?;
                        // Acquire and release: the block goes with its pointer.
                        let old = slots[step % 16].swap(block.pointer(), Ordering::AcqRel);
                        // SAFETY: the exchange left it to this thread, or it is null.
                        unsafe { heap.free(old) };
                    }
                    Ok::<_, Wrong>(())
                })
            })
            .collect();
        let checked = f();
        over.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().expect("no check panics")?;
        }
        checked
    });
    for slot in &slots {
        // SAFETY: no thread is left that could take it.
        unsafe { heap.free(slot.swap(std::ptr::null_mut(), Ordering::AcqRel)) };
    }
    checked
}

fn while_others_allocate(heap: &'static Heap, forks: u64) -> Checked {
    among_others(heap, || {
        let forking = thread::scope(|scope| {
            let forking = scope.spawn(|| {
                for round in 0..forks {
                    fork_and_exercise(heap, "a child forked while others allocate", round)?;
                }
                Ok::<_, Wrong>(())
            });
            forking.join().expect("no check panics")
        });
        forking?;
        exercised(heap, 1)
    })
}

/// The parent has one thread at the fork, so that the child may use the harness's memory.
fn threads_in_a_child(heap: &'static Heap) -> Checked {
    thread::spawn(move || exercised(heap, 1)).join().expect("no check panics")?;
    for _ in 0..20 {
        fork("a child with threads", || {
            let threads: [_; 4] = std::array::from_fn(|seed| {
                thread::spawn(move || (0..20).try_for_each(|_| exercise(heap, seed as u64)))
            });
            for thread in threads {
                thread.join().map_err(|_| "a panic")??;
            }
            exercise(heap, 5)
        })?;
    }
    Ok(())
}

static HEAP: AtomicPtr<Heap> = AtomicPtr::new(std::ptr::null_mut());
static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn at_fork() {
    // SAFETY: registered after the heap was published, which lives for good.
    let heap: &'static Heap = unsafe { &*HEAP.load(Ordering::Relaxed) };
    HANDLED.fetch_add(1, Ordering::Relaxed);
    if let Err(sentence) = exercise(heap, 4) {
        end_with("a heap that works in a handler of pthread_atfork", sentence);
    }
}

fn atfork_handlers(heap: &'static Heap) -> Checked {
    HEAP.store(std::ptr::from_ref(heap).cast_mut(), Ordering::Relaxed);
    exercised(heap, 1)?;
    // SAFETY: the handlers are functions of the executable.
    let answer = unsafe { libc::pthread_atfork(Some(at_fork), Some(at_fork), Some(at_fork)) };
    expect(answer == 0, || "handlers registered".to_owned(), || format!("error {answer}"))?;
    among_others(heap, || {
        for round in 0..50 {
            fork("a child with handlers", || exercise(heap, round))?;
        }
        Ok(())
    })?;
    let handled = HANDLED.load(Ordering::Relaxed);
    expect(handled == 100, || "100 handlers in the parent".to_owned(), || handled.to_string())
}

fn vfork_exec(heap: &'static Heap) -> Checked {
    let library = Library::load(heap)?;
    among_others(heap, || {
        for round in 0..50 {
            let legacy = Legacy::of(heap)?;
            let status = library.vfork(c"/bin/true");
            expect(status == 0, || "exit status 0 of /bin/true".to_owned(), || status.to_string())?;
            legacy.free()?;
            exercised(heap, round)?;
        }
        Ok(())
    })
}
