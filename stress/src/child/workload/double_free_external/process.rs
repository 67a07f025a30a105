//! The process in which a block is freed twice: forked while the child has one thread.

use std::ffi::c_void;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::{io, panic, thread};

use drystone_harness::exit;
use drystone_harness::process::preload::all_of;

use crate::allocators::process::OpenAllocator;
use crate::child::crash_handler;
use crate::child::workers::barrier::SpinBarrier;
use crate::child::workload::double_free_external::end::{End, NO_BLOCK, TWO_OWNERS};
use crate::child::workload::double_free_external::rules::{Pattern, Rules};

/// Seconds after which a process that does nothing is ended. To hang is a finding where detection
/// was promised, so that a machine under load must not look like it.
const PATIENCE_BEFORE_JUDGING: u32 = 10;
/// As before, where it is only counted.
const PATIENCE: u32 = 3;

/// The double free in a process of its own, how that ended, and what it printed.
pub(super) fn double_free_in_a_process(allocator: &OpenAllocator, rules: Rules) -> (End, String) {
    let (reader, writer) = io::pipe().expect("the system gives a pipe");
    // SAFETY: this process has one thread (see the folder's `work`), so its copy is whole and may
    // go on as any program may.
    let process = unsafe { libc::fork() };
    assert!(process >= 0, "fork: {}", io::Error::last_os_error());
    if process == 0 {
        // SAFETY: both descriptors are open; standard error's old one is nobody's business here.
        unsafe { libc::dup2(writer.as_raw_fd(), libc::STDERR_FILENO) };
        drop((reader, writer));
        in_the_process(allocator, rules);
    }
    drop(writer);
    let words = String::from_utf8_lossy(&all_of(reader)).into_owned();
    let mut status = 0;
    // SAFETY: the process is this one's child, waited for once; `status` is writable.
    let waited = unsafe { libc::waitpid(process, &raw mut status, 0) };
    assert_eq!(waited, process, "waitpid: {}", io::Error::last_os_error());
    (End::of(status), words)
}

/// A pointer that several threads will free.
#[derive(Clone, Copy)]
struct Doomed(*mut c_void);

// SAFETY: the pointer is passed to the allocator only, from any thread; nobody reads what it points
// to.
unsafe impl Send for Doomed {}

impl Doomed {
    /// # Safety
    /// The process exists to see what comes of it: a second free is undefined.
    unsafe fn free(self, allocator: &OpenAllocator) {
        // SAFETY: this process is there to see what comes of a second free.
        unsafe { (allocator.calls.free)(self.0) };
    }
}

/// Frees a block twice, looks for two owners, and exits.
pub(super) fn in_the_process(allocator: &OpenAllocator, rules: Rules) -> ! {
    crash_handler::uninstall();
    // A panic here is of the broken heap's making: it goes to the words, not to the supervisor.
    panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        exit::now(exit::PANICKED);
    }));
    // SAFETY: both set attributes of this process only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::alarm(if allocator.claims_detection { PATIENCE_BEFORE_JUDGING } else { PATIENCE });
    }
    double_free(allocator, rules);
    if two_owners(allocator, rules.size) {
        exit::now(TWO_OWNERS as u8);
    }
    // Through the exit handlers: what was not reported yet may be now.
    // SAFETY: no other thread exists by now, so none runs while the handlers do.
    unsafe { libc::exit(0) }
}

/// A block that will be freed twice. The process ends if there is none: to free null twice is
/// right.
fn allocate(allocator: &OpenAllocator, size: usize) -> Doomed {
    // SAFETY: malloc takes any size.
    let block = unsafe { (allocator.calls.malloc)(size) };
    if block.is_null() {
        exit::now(NO_BLOCK as u8);
    }
    Doomed(block)
}

fn double_free(allocator: &OpenAllocator, rules: Rules) {
    let new_block = || allocate(allocator, rules.size);
    match rules.pattern {
        Pattern::Immediate => twice(allocator, new_block(), || {}),
        Pattern::Interleaved => {
            let (block, other) = (new_block(), new_block());
            // SAFETY: allocated above, and freed once.
            twice(allocator, block, || unsafe { other.free(allocator) });
        }
        Pattern::AfterOthers => {
            let others: Vec<Doomed> = (0..200).map(|_| new_block()).collect();
            twice(allocator, new_block(), || {
                // SAFETY: allocated above, and freed once each.
                others.into_iter().for_each(|other| unsafe { other.free(allocator) });
            });
        }
        Pattern::OtherThread => by_another_thread(*allocator, new_block()),
        Pattern::OwnerExited => {
            let (allocator, size) = (*allocator, rules.size);
            let owner = thread::spawn(move || allocate(&allocator, size));
            twice(&allocator, owner.join().expect("malloc does not panic"), || {});
        }
        Pattern::Race => race(*allocator, new_block(), rules.threads),
    }
}

/// Frees a block twice, with `between` between.
fn twice(allocator: &OpenAllocator, block: Doomed, between: impl FnOnce()) {
    // SAFETY: the double frees are what this process is for.
    unsafe { block.free(allocator) };
    between();
    // SAFETY: the double frees are what this process is for.
    unsafe { block.free(allocator) };
}

/// The second free is another thread's.
///
/// The thread has come to its work before the first: to start one may allocate, in the new thread
/// too, and a block that is reused in between makes the second free its new owner's, which nobody
/// can tell from a correct one.
fn by_another_thread(allocator: OpenAllocator, block: Doomed) {
    let barriers = Arc::new([SpinBarrier::new(2), SpinBarrier::new(2)]);
    let passed = Arc::clone(&barriers);
    let other = thread::spawn(move || {
        passed.iter().for_each(SpinBarrier::wait);
        free_in_thread(block, &allocator);
    });
    let [started, freed] = &*barriers;
    started.wait();
    free_in_thread(block, &allocator);
    freed.wait();
    join(other);
}

fn race(allocator: OpenAllocator, block: Doomed, threads: usize) {
    let barrier = Arc::new(SpinBarrier::new(threads));
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                barrier.wait();
                free_in_thread(block, &allocator);
            })
        })
        .collect();
    barrier.wait();
    free_in_thread(block, &allocator);
    others.into_iter().for_each(join);
}

/// Takes the whole [`Doomed`], which may be sent, and not its pointer, which may not.
fn free_in_thread(block: Doomed, allocator: &OpenAllocator) {
    // SAFETY: the double frees are what this process is for.
    unsafe { block.free(allocator) };
}

fn join(thread: thread::JoinHandle<()>) {
    thread.join().expect("free does not panic");
}

/// Whether the allocator now gives one block two owners.
fn two_owners(allocator: &OpenAllocator, size: usize) -> bool {
    // More than caches of recent frees hold.
    // SAFETY: malloc takes any size.
    let mut blocks: Vec<usize> =
        (0..256).map(|_| unsafe { (allocator.calls.malloc)(size) }.addr()).collect();
    blocks.retain(|&block| block != 0);
    blocks.sort_unstable();
    blocks.windows(2).any(|pair| pair[0] == pair[1])
}
