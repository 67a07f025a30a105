//! Allocators: allocators under test.
//!
//! | allocator | how it gets into the child | how its heap can be asked |
//! |---|---|---|
//! | linked in (`linked:list` ...) | it is in the binary | [`Own`] |
//! | a shared library | `LD_PRELOAD`; the child proves that it serves `malloc` | not |
//! | `system` | the C library's own, nothing preloaded | not |
//!
//! Whatever it is, workers see an [`OpenAllocator`]: function pointers that the compiler can't see
//! through.

use std::ffi::c_void;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use drystone::{Broken, Misuse};
use drystone_checker::witness::Intrusion;
use drystone_checker::{Alignment, Allocator, Promises};
use drystone_harness::allocators::LINKED;
use drystone_harness::library::{self, LibraryError};
use drystone_workloads::calls::{Calls, MoreCalls};
use thiserror::Error;

/// An allocator does not serve this process.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Something else does.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The binary has none of that name.
    #[error("there is no allocator {0}")]
    Unknown(String),
}

/// An allocator that is linked into the binary, or the C library's own.
#[derive(Clone, Copy, Debug)]
pub struct AllocatorEntry {
    /// As it is written on the command line.
    pub name: &'static str,
    /// One line for `--list`.
    pub about: &'static str,
    /// How to call it.
    pub open: fn() -> Result<OpenAllocator, OpenError>,
}

impl AllocatorEntry {
    /// Whether it has that name, or had it: findings of before say `list` for `linked:list`.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.name.strip_prefix(LINKED) == Some(name)
    }
}

/// An allocator, ready to be called.
#[derive(Clone, Copy, Debug)]
pub struct OpenAllocator {
    /// Its functions.
    pub calls: Calls,
    /// Those that it has besides.
    pub more: MoreCalls,
    /// What a linked heap says of itself.
    pub own: Option<Own>,
    /// Whether it promises to report every double free. An external one that does not is
    /// watched, not judged.
    pub claims_detection: bool,
}

impl OpenAllocator {
    /// As the checker sees it. Ours, linked in or by its claim, is judged by DESIGN section 2, and
    /// not by the standards alone.
    pub fn for_checker(&self) -> Allocator {
        let linked = self.own.is_some();
        let promises = Promises {
            alignment: if linked { Alignment::Sixteen } else { Alignment::BySize },
            aligned_sizes: linked,
            errno: linked || self.claims_detection,
            free_keeps_errno: true,
        };
        // SAFETY: the functions are those of one allocator, linked in or found in this process by
        // C's names; what it returns is for the workers alone.
        unsafe { Allocator::new(self.calls, promises).with_more(self.more) }
    }
}

/// What a linked heap says of itself, beyond C's calls.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Frees a block, or says what is wrong with the pointer.
    pub try_free: unsafe fn(*mut c_void) -> Result<(), Misuse>,
    /// Resizes a block, or says what is wrong with the pointer; null if there is no memory.
    pub try_realloc: unsafe fn(*mut c_void, usize) -> Result<*mut c_void, Misuse>,
    /// Walks the heap, of what threads have for themselves the calling thread's; the first broken
    /// invariant.
    pub check: fn() -> Result<(), Broken>,
    /// What it holds.
    pub held: fn() -> Held,
    /// How many reports of misuses it has deferred beyond their calls, ever.
    pub deferred_reports: fn() -> u64,
    /// Its part of a fork, if it has one: without it a forked child has no use of the heap.
    pub fork: Option<Fork>,
    /// Looks for misuses that no call has found, in what is the calling thread's and nobody's; how
    /// many.
    pub sweep: fn() -> usize,
    /// Gives idle memory back: the calling thread's, nobody's and what all share.
    pub trim: fn() -> usize,
    /// At rest: whether every entry into a critical section had its exit. None: nobody watches
    /// them.
    pub at_rest: Option<fn() -> Result<(), Intrusion>>,
    /// Whether every place where a report may be deferred to must come up, or the test did not
    /// race.
    pub defers_reports: bool,
    /// Whether its OS is [`FaultyOs`](crate::inject::faulty_os::FaultyOs), whose calls can be made
    /// to fail.
    pub os_can_fail: bool,
    /// Whether what it says that it has mapped is every byte that it has of the OS.
    pub accounts: bool,
}

/// A heap's part of a fork, as `pthread_atfork` takes it.
#[derive(Clone, Copy, Debug)]
pub struct Fork {
    /// Before it, in the thread that forks.
    pub prepare: fn(),
    /// After it, in the same thread.
    pub parent: fn(),
    /// After it, in the child's only thread.
    pub child: fn(),
}

/// What a heap holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Blocks allocated and not freed.
    pub live_blocks: usize,
    /// Mappings that hold blocks, or could; the heap's own tables not among them.
    pub mappings: usize,
    /// Bytes mapped from the OS in all.
    pub mapped_bytes: usize,
}

/// The C library's own allocator.
pub const SYSTEM: AllocatorEntry = AllocatorEntry {
    name: "system",
    about: "the C library's own malloc",
    open: || open_process(None),
};

/// What serves this process.
///
/// # Errors
/// As [`library::functions_of_this_process`].
pub fn open_process(library: Option<&Path>) -> Result<OpenAllocator, OpenError> {
    let calls = library::functions_of_this_process(library)?;
    let more = library::more_functions_of_this_process()?;
    let claims_detection = library.is_some_and(claims_detection);
    Ok(OpenAllocator { calls, more, own: None, claims_detection })
}

/// The library, or else the allocator of that name, ready to be called.
///
/// # Errors
/// It does not serve this process.
pub fn open(
    name: &str,
    library: Option<&Path>,
    allocators: &[AllocatorEntry],
) -> Result<OpenAllocator, OpenError> {
    if let Some(library) = library {
        return open_process(Some(library));
    }
    let allocator = allocators.iter().find(|allocator| allocator.is_called(name));
    (allocator.ok_or_else(|| OpenError::Unknown(name.to_owned()))?.open)()
}

/// Whether an allocator, by its name or its library, reports a misuse and goes on if it is asked
/// to.
pub fn reports_and_goes_on(name: &str, library: Option<&Path>) -> bool {
    library.map_or(name != SYSTEM.name, claims_detection)
}

/// Why workload `misuse` is not run on an allocator.
pub fn not_for_misuse(allocator: &str) -> String {
    format!(
        "workload misuse is for allocators that report a misuse and go on, the linked ones and \
         libdrystone.so; {allocator} \
         does not"
    )
}

/// Our own library promises what DESIGN section 2 says.
fn claims_detection(library: &Path) -> bool {
    library.file_name().is_some_and(|name| name.as_bytes().starts_with(b"libdrystone.so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_heap_answers_to_its_name_of_before() {
        let open = || open_process(None);
        let list = AllocatorEntry { name: "linked:list", about: "a heap", open };
        assert!(list.is_called("linked:list") && list.is_called("list"));
        assert!(!list.is_called("lis") && !list.is_called("system"));
        assert!(SYSTEM.is_called("system") && !SYSTEM.is_called("linked:system"));
    }

    #[test]
    fn a_process_without_preload_is_served_by_the_c_library() {
        let allocator = open_process(None).expect("libc has all of malloc's kin");
        assert!(allocator.calls.usable_size.is_some());
        let rejected = open_process(Some(Path::new("/nowhere/libx.so"))).err().unwrap().to_string();
        assert!(
            rejected.contains("/nowhere/libx.so was preloaded, and malloc is still"),
            "{rejected}"
        );
    }
}
