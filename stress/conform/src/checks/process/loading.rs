//! Libraries that come and go while the program runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::checks::exercise::exercised;
use crate::checks::sizes::SIZES;
use crate::child::heap::Heap;
use crate::child::library::Library;
use crate::outcome::{Checked, Wrong, expect};
use crate::row::{Check, Row};

const DLOPEN: &str = "POSIX.1-2024 dlopen, dlclose; dlopen(3)";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "loading/constructors",
        about: "a library that allocates in its constructor and frees in its destructor, loaded \
                100 times, is bound to the same malloc",
        source: DLOPEN,
        check: Check::Judged(constructors),
    },
    Row {
        name: "loading/blocks-outlive",
        about: "blocks of a library that is gone can be used, resized and freed",
        source: DLOPEN,
        check: Check::Judged(blocks_outlive),
    },
    Row {
        name: "loading/thread-memory",
        about: "a library with thread-local memory, used by threads, loaded 20 times",
        source: "dlopen(3); ELF Handling For Thread-Local Storage",
        check: Check::Judged(thread_memory),
    },
    Row {
        name: "loading/while-others-allocate",
        about: "loaded and closed 100 times while other threads allocate",
        source: DLOPEN,
        check: Check::Judged(while_others_allocate),
    },
];

fn sound(library: &Library) -> Checked {
    expect(
        library.sound(),
        || "what a library's constructor allocated".to_owned(),
        || "other bytes, or null".to_owned(),
    )
}

fn constructors(heap: &'static Heap) -> Checked {
    for round in 0..100 {
        let library = Library::load(heap)?;
        sound(&library)?;
        expect(
            library.malloc_address() == heap.malloc_address(),
            || "the allocator's malloc in a library that was loaded".to_owned(),
            || format!("{:#x}", library.malloc_address()),
        )?;
        exercised(heap, round)?;
        sound(&library)?;
        library.close()?;
    }
    Ok(())
}

fn blocks_outlive(heap: &'static Heap) -> Checked {
    for _ in 0..20 {
        let library = Library::load(heap)?;
        let mut blocks = Vec::new();
        for (seed, size) in SIZES.into_iter().enumerate() {
            let at = library.allocate(size);
            expect(!at.is_null(), || format!("{size} bytes"), || "null".to_owned())?;
            // SAFETY: the library allocated it, and left it to the program.
            let mut block = unsafe { heap.wrap(at, size) };
            block.fill(seed as u64);
            blocks.push(block);
        }
        library.close()?;
        for (seed, block) in blocks.into_iter().enumerate() {
            block.holds(seed as u64)?;
            let size = block.size();
            let block = block.resized(size + 100)?;
            block.holds_to(size, seed as u64)?;
            block.free();
        }
    }
    Ok(())
}

fn thread_memory(heap: &'static Heap) -> Checked {
    for round in 0..20 {
        let library = Library::load(heap)?;
        let function = library.in_a_thread();
        let threads: Vec<_> = (0..8)
            .map(|seed| {
                thread::spawn(move || {
                    (0..50).all(|step| function(seed * 7 + step) == 1)
                        && exercised(heap, round).is_ok()
                })
            })
            .collect();
        for thread in threads {
            let sound = thread.join().expect("no check panics");
            expect(sound, || "sound thread-local memory".to_owned(), || "other bytes".to_owned())?;
        }
        library.close()?;
    }
    Ok(())
}

fn while_others_allocate(heap: &'static Heap) -> Checked {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|seed| {
                let over = &over;
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        exercised(heap, seed)?;
                    }
                    Ok::<_, Wrong>(())
                })
            })
            .collect();
        let loading = (0..100).try_for_each(|value| {
            let library = Library::load(heap)?;
            let right = library.in_a_thread()(value) == 1;
            expect(right, || "sound memory".to_owned(), || "other bytes".to_owned())?;
            sound(&library)?;
            library.close()
        });
        over.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().expect("no check panics")?;
        }
        loading
    })
}
