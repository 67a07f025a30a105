//! From before the first constructor to after the last destructor.

use std::ffi::{CStr, c_char, c_void};
use std::hint::black_box;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::thread;

use drystone_harness::process::child::MARKER;

use crate::checks::exercise::{comes_to_rest, end_with, exercise, exercised};
use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::forks::fork;
use crate::child::heap::Heap;
use crate::child::pthreads::{Pthread, answer, sentence};
use crate::outcome::{Checked, Wrong, expect, fail};
use crate::protocol::job::TOOL;
use crate::row::{Check, Row};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "lifetime/before-constructors",
        about: "it serves the executable's .preinit_array, before any library's constructor has \
                run, and what was allocated there can be resized and freed in main",
        source: "System V ABI, Initialization and Termination Functions; glibc manual, Replacing \
                 malloc",
        check: Check::Judged(|heap| early(heap, &BEFORE_CONSTRUCTORS)),
    },
    Row {
        name: "lifetime/in-constructors",
        about: "it serves constructors, and what was allocated there can be resized and freed in \
                main",
        source: "System V ABI, Initialization and Termination Functions; glibc manual, Replacing \
                 malloc",
        check: Check::Judged(|heap| early(heap, &IN_CONSTRUCTORS)),
    },
    Row {
        name: "lifetime/atexit",
        about: "it serves handlers of atexit, which free what main allocated",
        source: "C23 7.24.4.2; atexit(3)",
        check: Check::Judged(|heap| at_the_end(heap, Step::Handlers)),
    },
    Row {
        name: "lifetime/after-destructors",
        about: "it serves the executable's .fini_array, after the handlers of atexit",
        source: "System V ABI, Initialization and Termination Functions",
        check: Check::Judged(|heap| at_the_end(heap, Step::Destructors)),
    },
    Row {
        name: "lifetime/main-leaves-first",
        about: "it serves a thread that outlives the main thread, which leaves by pthread_exit, \
                and ends the process",
        source: "POSIX.1-2024 pthread_exit",
        check: Check::Judged(main_leaves_first),
    },
    Row {
        name: "lifetime/thread-exits",
        about: "blocks of threads that have exited are sound, and can be resized and freed",
        source: "C23 7.24.3; malloc(3)",
        check: Check::Judged(thread_exits),
    },
    Row {
        name: "lifetime/tls-destructors",
        about: "it serves thread-specific data's destructors in every round, before and after its \
                own",
        source: "POSIX.1-2024 pthread_key_create",
        check: Check::Judged(|heap| tls_destructors(heap, 200)),
    },
    Row {
        name: "lifetime/tls-destructors-growth",
        about: "after 100 threads that allocate and free in destructors, 400 more leave less than \
                2 MiB more resident, or some 400 after those do",
        source: "this suite",
        check: Check::Judged(tls_growth),
    },
    Row {
        name: "lifetime/thread_local-destructors",
        about: "it serves the destructors of C++'s and Rust's thread_local objects",
        source: "Itanium C++ ABI, __cxa_thread_atexit",
        check: Check::Judged(thread_local_destructors),
    },
];

/// What was allocated before main: malloc's, calloc's, realloc's, a large one.
type Early = [AtomicPtr<u8>; 4];
static BEFORE_CONSTRUCTORS: Early = [const { AtomicPtr::new(null_mut()) }; 4];
static IN_CONSTRUCTORS: Early = [const { AtomicPtr::new(null_mut()) }; 4];
/// Bytes of each.
const EARLY: [usize; 4] = [100, 2000, 30_000, 700_000];

/// In the job of a row that looks at them.
const OF_EARLY: &[u8] = b"-constructors\"";

type Start = extern "C" fn(i32, *const *const c_char);

#[used]
#[unsafe(link_section = ".preinit_array")]
static PREINIT: Start = before_constructors;
#[used]
#[unsafe(link_section = ".init_array")]
static INIT: Start = in_constructors;
#[used]
#[unsafe(link_section = ".fini_array")]
static FINI: extern "C" fn() = after_destructors;

extern "C" fn before_constructors(count: i32, arguments: *const *const c_char) {
    allocate_early(count, arguments, &BEFORE_CONSTRUCTORS);
}

extern "C" fn in_constructors(count: i32, arguments: *const *const c_char) {
    allocate_early(count, arguments, &IN_CONSTRUCTORS);
}

/// In a child that is to check it only, and with nothing but C's functions: Rust's runtime has not
/// started, and a first call this early is the row's, not every row's.
fn allocate_early(count: i32, arguments: *const *const c_char, early: &Early) {
    if count < 4 {
        return;
    }
    // SAFETY: the loader passes main's arguments: `count` C strings.
    let [first, tool, job] =
        [1, 2, 3].map(|place| unsafe { CStr::from_ptr(*arguments.add(place)) });
    let wanted = job.to_bytes().windows(OF_EARLY.len()).any(|part| part == OF_EARLY);
    let ours = first.to_bytes() == MARKER.as_bytes() && tool.to_bytes() == TOOL.as_bytes();
    if !ours || !wanted {
        return;
    }
    // SAFETY: these functions take any sizes; what is freed and resized was allocated just before.
    let blocks = unsafe {
        libc::free(black_box(libc::malloc(50)));
        [
            libc::malloc(EARLY[0]),
            libc::calloc(1, EARLY[1]),
            libc::realloc(black_box(libc::malloc(10)), EARLY[2]),
            libc::malloc(EARLY[3]),
        ]
    };
    for (place, block) in blocks.into_iter().enumerate() {
        if !block.is_null() {
            // SAFETY: the block is so long.
            unsafe { ptr::write_bytes(block.cast::<u8>(), 0x6b, EARLY[place]) };
        }
        // Relaxed: there is one thread.
        early[place].store(block.cast(), Ordering::Relaxed);
    }
}

fn early(heap: &'static Heap, early: &Early) -> Checked {
    for (place, size) in EARLY.into_iter().enumerate() {
        let at = early[place].load(Ordering::Relaxed);
        expect(!at.is_null(), || format!("{size} bytes before main"), || "null".to_owned())?;
        // SAFETY: the block is so long, was filled, and is nobody's but this check's.
        let bytes = unsafe { std::slice::from_raw_parts(at, size) };
        let kept = bytes.iter().all(|byte| *byte == 0x6b);
        expect(kept, || "what was written before main".to_owned(), || "other bytes".to_owned())?;
        // SAFETY: the block has `size` bytes and is nobody's but this check's.
        unsafe { heap.wrap(at, size) }.resized(size + 5000)?.free();
    }
    exercised(heap, 1)
}

/// Which of the end's steps is to be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Handlers,
    Destructors,
}

/// The heap, for functions that are given none.
static HEAP: AtomicPtr<Heap> = AtomicPtr::new(null_mut());
/// Where a step says that it was there; negative in processes that do not ask.
static SAYS: AtomicI32 = AtomicI32::new(-1);
static WANTED: AtomicU32 = AtomicU32::new(0);
/// A block of main's, which the end frees.
static LEFT: AtomicPtr<u8> = AtomicPtr::new(null_mut());

/// Publishes the heap for functions that are given none. Relaxed throughout: each reads what its
/// own thread, or one that started it, has stored.
fn publish(heap: &'static Heap) {
    HEAP.store(ptr::from_ref(heap).cast_mut(), Ordering::Relaxed);
}

fn published() -> &'static Heap {
    // SAFETY: what is published is a `&'static Heap`; only functions that were asked for after that
    // call this.
    unsafe { &*HEAP.load(Ordering::Relaxed) }
}

extern "C" fn in_a_handler() {
    at(Step::Handlers);
}

extern "C" fn after_destructors() {
    at(Step::Destructors);
}

fn at(step: Step) {
    let says = SAYS.load(Ordering::Relaxed);
    if says < 0 || WANTED.load(Ordering::Relaxed) != step as u32 {
        return;
    }
    let heap = published();
    let left = LEFT.swap(null_mut(), Ordering::Relaxed);
    if !left.is_null() {
        // SAFETY: main left the block to whoever comes first.
        unsafe { heap.free(left) };
    }
    let word: &[u8] = if exercise(heap, 2).is_ok() { b"+" } else { b"-" };
    // SAFETY: the descriptor is the pipe's; the bytes are a constant's.
    unsafe { libc::write(says, word.as_ptr().cast(), 1) };
}

/// In a forked child, whose end can be watched.
fn at_the_end(heap: &'static Heap, step: Step) -> Checked {
    let (mut reader, writer) = pipe()?;
    publish(heap);
    let left = heap.malloc(1000)?.pointer();
    let wanted = if step == Step::Handlers { 3 } else { 1 };
    fork("a process that allocates at its end", || {
        SAYS.store(writer.as_raw_fd(), Ordering::Relaxed);
        WANTED.store(step as u32, Ordering::Relaxed);
        LEFT.store(left, Ordering::Relaxed);
        exercise(heap, 1)?;
        for _ in 0..3 {
            // SAFETY: the handler is a function of the executable.
            unsafe { libc::atexit(in_a_handler) };
        }
        Ok(())
    })?;
    drop(writer);
    let mut words = String::new();
    reader.read_to_string(&mut words).map_err(|error| Wrong::CannotTell(error.to_string()))?;
    expect(words == "+".repeat(wanted), || "+".repeat(wanted), || format!("{words:?}"))
}

fn pipe() -> Result<(PipeReader, io::PipeWriter), Wrong> {
    io::pipe().map_err(|error| Wrong::CannotTell(error.to_string()))
}

fn main_leaves_first(heap: &'static Heap) -> Checked {
    let (mut reader, writer) = pipe()?;
    publish(heap);
    let mut block = heap.malloc(5000)?;
    block.fill(5);
    SAYS.store(writer.into_raw_fd(), Ordering::Relaxed);
    LEFT.store(block.pointer(), Ordering::Relaxed);
    WANTED.store(u32::MAX, Ordering::Relaxed);
    let forked = fork("a process whose main thread leaves first", || {
        extern "C" fn outlives(main: *mut c_void) -> *mut c_void {
            // SAFETY: the thread is the process's first, and nobody else joins it.
            unsafe { libc::pthread_join(main.addr() as libc::pthread_t, null_mut()) };
            let sound = (0..50).all(|seed| exercise(published(), seed).is_ok());
            // SAFETY: main left the block.
            unsafe { published().free(LEFT.load(Ordering::Relaxed)) };
            let word: &[u8] = if sound { b"+" } else { b"-" };
            // SAFETY: the descriptor is the pipe's; exit is called by the only thread that is left.
            unsafe {
                libc::write(SAYS.load(Ordering::Relaxed), word.as_ptr().cast(), 1);
                libc::exit(0)
            }
        }
        // SAFETY: the attributes are the default's, the function fits, and `main` is this thread,
        // which is never detached.
        unsafe {
            let mut thread = std::mem::zeroed();
            let main = ptr::without_provenance_mut(libc::pthread_self() as usize);
            if libc::pthread_create(&raw mut thread, ptr::null(), outlives, main) != 0 {
                return Err("no thread");
            }
        }
        leave_by_pthread_exit()
    });
    // SAFETY: the descriptor is this check's own.
    unsafe { libc::close(SAYS.swap(-1, Ordering::Relaxed)) };
    forked?;
    let mut words = String::new();
    reader.read_to_string(&mut words).map_err(|error| Wrong::CannotTell(error.to_string()))?;
    expect(words == "+", || "a thread that works on".to_owned(), || format!("{words:?}"))
}

/// Ends the calling thread by `pthread_exit`, on a stack of its own: what that unwinds, to the
/// stack's first frame, must not be Rust's frames. What this thread's own stack holds is never
/// dropped.
fn leave_by_pthread_exit() -> Result<(), &'static str> {
    extern "C" fn leaves() {
        // SAFETY: it may be called by any thread, and the only frame that it unwinds is this, which
        // holds nothing.
        unsafe { libc::pthread_exit(null_mut()) }
    }
    const STACK: usize = 256 << 10;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
    // SAFETY: a new mapping disturbs nobody. getcontext fills in what makecontext then directs to
    // the mapping, which is the stack of `leaves` alone and is never unmapped; all zero is a valid
    // ucontext_t to be filled.
    unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let stack = libc::mmap(null_mut(), STACK, protection, flags, -1, 0);
        let mut context: libc::ucontext_t = std::mem::zeroed();
        if stack == libc::MAP_FAILED || libc::getcontext(&raw mut context) != 0 {
            return Err("no stack to leave from");
        }
        context.uc_stack.ss_sp = stack;
        context.uc_stack.ss_size = STACK;
        libc::makecontext(&raw mut context, leaves, 0);
        libc::setcontext(&raw const context);
    }
    Err("no way to the other stack")
}

fn thread_exits(heap: &'static Heap) -> Checked {
    for round in 0..20 {
        let made = thread::spawn(move || {
            let mut blocks = Vec::new();
            for size in SIZES {
                let mut block = heap.malloc(size)?;
                block.fill(round);
                blocks.push(block);
            }
            Ok::<_, Wrong>(blocks)
        });
        let blocks: Vec<Block> = made.join().expect("no check panics")?;
        exercised(heap, round)?;
        for block in blocks {
            block.holds(round)?;
            let size = block.size();
            let block = block.resized(size * 2)?;
            block.holds_to(size, round)?;
            block.free();
        }
    }
    Ok(())
}

/// Rounds of destructors that every C library makes (POSIX.1-2024 limits.h).
const ROUNDS: usize = 4;
/// Keys, of which each destructor knows its own.
const KEYS: usize = 3;
static KEY: [AtomicU32; KEYS] = [const { AtomicU32::new(0) }; KEYS];
static DESTROYED: AtomicU32 = AtomicU32::new(0);

/// The value is a block: freed, and for as long as there are rounds replaced by another.
fn destroy(key: usize, value: *mut c_void) {
    let heap = published();
    // SAFETY: the value is a block that this key's thread was given; its first byte counts the
    // rounds.
    let round = unsafe { *value.cast::<u8>() };
    // SAFETY: nobody else has it.
    unsafe { heap.free(value.cast()) };
    if let Err(sentence) = exercise(heap, u64::from(round)) {
        end_with("a heap that works in a thread's destructors", sentence);
    }
    DESTROYED.fetch_add(1, Ordering::Relaxed);
    if usize::from(round) + 1 < ROUNDS
        && let Some(block) = heap.try_malloc(200)
    {
        // SAFETY: the block is long enough; the key is one that was created.
        unsafe {
            block.pointer().write(round + 1);
            libc::pthread_setspecific(KEY[key].load(Ordering::Relaxed), block.pointer().cast());
        }
    }
}

fn tls_destructors(heap: &'static Heap, threads: u32) -> Checked {
    extern "C" fn first(value: *mut c_void) {
        destroy(0, value);
    }
    extern "C" fn second(value: *mut c_void) {
        destroy(1, value);
    }
    extern "C" fn third(value: *mut c_void) {
        destroy(2, value);
    }
    publish(heap);
    let destructors = [first as extern "C" fn(*mut c_void), second, third];
    if KEY[KEYS - 1].load(Ordering::Relaxed) == 0 {
        for (key, destructor) in KEY.iter().zip(destructors) {
            let mut number = 0;
            // SAFETY: `number` is writable, the destructor a function of the executable.
            let answer = unsafe { libc::pthread_key_create(&raw mut number, Some(destructor)) };
            expect(answer == 0, || "a key".to_owned(), || format!("error {answer}"))?;
            key.store(number, Ordering::Relaxed);
        }
    }
    let before = DESTROYED.load(Ordering::Relaxed);
    extern "C" fn main(_: *mut c_void) -> *mut c_void {
        for key in &KEY {
            let Some(block) = published().try_malloc(200) else { return answer(Err(&"null")) };
            // SAFETY: the block is long enough; the key was created.
            unsafe {
                block.pointer().write(0);
                libc::pthread_setspecific(key.load(Ordering::Relaxed), block.pointer().cast());
            }
        }
        match exercise(published(), 9) {
            Ok(()) => answer(Ok(())),
            Err(_) => answer(Err(&"a heap that does not work in a thread")),
        }
    }
    for _ in 0..threads {
        // SAFETY: the function does not look at its argument.
        let end = unsafe { Pthread::start(main, null_mut()) }?.join();
        sentence(end).or_else(|sentence| fail("a thread that allocates", sentence))?;
    }
    let ran = DESTROYED.load(Ordering::Relaxed) - before;
    let all = threads * (KEYS * ROUNDS) as u32;
    expect(ran == all, || format!("{all} destructors"), || format!("{ran}"))
}

fn tls_growth(heap: &'static Heap) -> Checked {
    tls_destructors(heap, 100)?;
    comes_to_rest(2 << 10, || tls_destructors(heap, 400))
}

fn thread_local_destructors(heap: &'static Heap) -> Checked {
    unsafe extern "C" {
        fn __cxa_thread_atexit_impl(
            destructor: extern "C" fn(*mut c_void),
            object: *mut c_void,
            library: *mut c_void,
        ) -> i32;
        static __dso_handle: u8;
    }
    extern "C" fn gone(object: *mut c_void) {
        // SAFETY: the object is a block that nobody else has.
        unsafe { published().free(object.cast()) };
        if let Err(sentence) = exercise(published(), 3) {
            end_with("a heap that works in a thread's destructors", sentence);
        }
        DESTROYED.fetch_add(1, Ordering::Relaxed);
    }
    publish(heap);
    for _ in 0..100 {
        thread::spawn(move || {
            for size in [10, 500, 50_000] {
                let object = heap.malloc(size)?.pointer().cast();
                // SAFETY: the destructor is a function of the executable, whose handle it is.
                unsafe {
                    let library = (&raw const __dso_handle).cast_mut().cast();
                    __cxa_thread_atexit_impl(gone, object, library);
                }
            }
            Ok::<_, Wrong>(())
        })
        .join()
        .expect("no check panics")?;
    }
    match DESTROYED.load(Ordering::Relaxed) {
        300 => Ok(()),
        ran => fail("300 destructors", ran.to_string()),
    }
}
