//! Who is measured: allocators as tables of function pointers that the compiler cannot see through,
//! so that none is inlined, no pair of calls is elided, and all pay the same for being called.

pub mod drystone;
pub mod list;

use drystone_peers::peer::{Inside, Peer, Thread};
use drystone_peers::system;
use drystone_workloads::calls::Calls;

use drystone_workloads::heap::Heap;

/// An allocator under measurement.
pub struct Allocator {
    /// The name in benchmark ids.
    pub name: &'static str,
    /// The version that is linked, for the reader of the figures.
    version: String,
    calls: Calls,
    owns: Option<fn(usize) -> bool>,
    settle: fn(),
    /// What each thread calls before and after it uses the allocator.
    pub thread: Thread,
    /// Frees what is not live; whether that was rejected. None where no report of a double free is
    /// promised, and that is not safe to try.
    pub rejects: Option<fn(*mut u8) -> bool>,
}

impl Allocator {
    /// The allocator's functions.
    pub fn heap(&self) -> Heap {
        Heap::opaque(self.calls)
    }

    /// Gives idle memory back, so that a benchmark finds the allocator as it would in a process of
    /// its own. To be called while no block of a benchmark is live; where the allocator can tell, a
    /// block that is still live is a panic.
    pub fn settle(&self) {
        (self.settle)();
    }

    fn ours(
        name: &'static str,
        calls: Calls,
        owns: fn(usize) -> bool,
        settle: fn(),
        rejects: fn(*mut u8) -> bool,
    ) -> Self {
        Self {
            name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            calls,
            owns: Some(owns),
            settle,
            thread: Thread::PLAIN,
            rejects: Some(rejects),
        }
    }
}

impl From<Peer> for Allocator {
    fn from(peer: Peer) -> Self {
        let Peer { name, version, calls, owns, settle, thread } = peer;
        Self { name, version, calls, owns, settle, thread, rejects: None }
    }
}

/// All allocators, in the order in which they are measured.
pub fn all() -> Vec<Allocator> {
    let ours = [
        Allocator::ours(list::NAME, list::CALLS, list::owns, list::settle, list::rejects),
        Allocator::ours(
            drystone::NAME,
            drystone::CALLS,
            drystone::owns,
            drystone::settle,
            drystone::rejects,
        ),
    ];
    ours.into_iter().chain(drystone_peers::all().into_iter().map(Allocator::from)).collect()
}

/// This thread may use all allocators as long as the result lives.
pub fn enter(allocators: &[Allocator]) -> Vec<Inside> {
    allocators.iter().map(|allocator| allocator.thread.enter()).collect()
}

/// Prints on stderr which allocators the figures are of.
pub fn announce(allocators: &[Allocator]) {
    eprintln!("allocators, and whether each promises to report a double free:");
    for allocator in allocators {
        let promise = if allocator.rejects.is_some() { "yes" } else { "no" };
        eprintln!("  {:<10} {promise:<4} {}", allocator.name, allocator.version);
    }
}

/// Checks that every allocator is the one that it is called, and that its functions do what
/// their names say: a mix-up would yield plausible figures.
///
/// # Panics
///
/// If one is not.
pub fn verify(allocators: &[Allocator]) {
    assert!(
        system::is_the_c_librarys(),
        "`system` would not be the C library's malloc but that of {:?}: unset LD_PRELOAD",
        system::library()
    );
    for allocator in allocators {
        let heap = allocator.heap();
        let blocks = heap.one_from_each_function();
        for (function, block) in blocks {
            for owner in allocators {
                let Some(owns) = owner.owns else { continue };
                assert_eq!(
                    owns(block.expose_provenance()),
                    owner.name == allocator.name,
                    "{}'s {function}: does the block belong to {}?",
                    allocator.name,
                    owner.name
                );
            }
            // SAFETY: each block is live, the allocator's, and not used again.
            unsafe { heap.free(block) };
        }
        allocator.settle();
    }
}
