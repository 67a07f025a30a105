//! Who is measured: allocators as tables of function pointers that the compiler cannot see through,
//! so that none is inlined, no pair of calls is elided, and all pay the same for being called.

pub mod drystone;
pub mod list;

use drystone_peers::{mimalloc, system};
use drystone_workloads::calls::Calls;

use drystone_workloads::heap::Heap;

/// An allocator under measurement.
pub struct Subject {
    /// The name in benchmark ids.
    pub name: &'static str,
    /// The version that is linked, for the reader of the figures.
    version: String,
    calls: Calls,
    settle: fn(),
}

impl Subject {
    /// The subject's functions.
    pub fn heap(&self) -> Heap {
        Heap::opaque(self.calls)
    }

    /// Gives idle memory back, so that a benchmark finds the subject as it would in a process of
    /// its own. To be called while no block of a benchmark is live; where the subject can tell, a
    /// block that is still live is a panic.
    pub fn settle(&self) {
        (self.settle)();
    }
}

/// All subjects, in the order in which they are measured.
pub fn all() -> Vec<Subject> {
    vec![
        Subject {
            name: list::NAME,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            calls: list::CALLS,
            settle: list::settle,
        },
        Subject {
            name: drystone::NAME,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            calls: drystone::CALLS,
            settle: drystone::settle,
        },
        Subject {
            name: "system",
            version: format!("glibc {}", system::version()),
            calls: system::CALLS,
            settle: system::settle,
        },
        Subject {
            name: "mimalloc",
            version: mimalloc::version(),
            calls: mimalloc::CALLS,
            settle: mimalloc::settle,
        },
    ]
}

/// Prints on stderr which allocators the figures are of.
pub fn announce(subjects: &[Subject]) {
    let list: Vec<_> = subjects.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
    eprintln!("subjects: {}", list.join(", "));
}

/// Checks that every subject is the allocator that it is called, and that its functions do what
/// their names say: a mix-up would yield plausible figures.
///
/// # Panics
///
/// If one is not.
pub fn verify(subjects: &[Subject]) {
    assert!(
        system::is_the_c_librarys(),
        "`system` would not be the C library's malloc but that of {:?}: unset LD_PRELOAD",
        system::library()
    );
    for subject in subjects {
        let heap = subject.heap();
        let blocks = heap.one_from_each_function();
        for (function, block) in blocks {
            let owners = [
                (list::NAME, list::owns(block)),
                (drystone::NAME, drystone::owns(block)),
                ("mimalloc", mimalloc::owns(block.addr())),
            ];
            for (owner, owns) in owners {
                assert_eq!(
                    owns,
                    owner == subject.name,
                    "{}'s {function}: does the block belong to {owner}?",
                    subject.name
                );
            }
            // SAFETY: each block is live, the subject's, and not used again.
            unsafe { heap.free(block) };
        }
        subject.settle();
    }
}
