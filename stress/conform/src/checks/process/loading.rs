//! Libraries that come and go while the program runs.

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::checks::exercise::exercised;
use crate::checks::sizes::SIZES;
use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong, expect, fail};
use crate::row::{Check, Row};

const DLOPEN: &str = "POSIX.1-2024 dlopen, dlclose; dlopen(3)";

pub const ROWS: &[Row] = &[
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

/// A library that is loaded.
pub struct Library {
    handle: *mut c_void,
}

impl Library {
    /// Loads the library that checks load.
    ///
    /// # Errors
    /// There is no C compiler, or the loader refuses it.
    pub fn load(heap: &Heap) -> Result<Library, Wrong> {
        let Some(path) = &heap.fixture else {
            return Err(Wrong::CannotTell("there is no C compiler: install one".to_owned()));
        };
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path has no zero byte");
        // SAFETY: the path is a C string; the library's constructor only allocates.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            // SAFETY: after a failure dlerror returns a C string.
            let why = unsafe { CStr::from_ptr(libc::dlerror()) };
            return fail("a library loaded", why.to_string_lossy());
        }
        Ok(Library { handle })
    }

    fn address(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle is open, the name a C string.
        let address = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        assert!(!address.is_null(), "loaded.c defines {name:?}");
        address
    }

    fn sound(&self) -> bool {
        // SAFETY: `int loaded_sound(void)`
        unsafe {
            let function = std::mem::transmute::<*mut c_void, extern "C" fn() -> i32>(
                self.address(c"loaded_sound"),
            );
            function() == 1
        }
    }

    fn malloc_address(&self) -> usize {
        // SAFETY: `void *loaded_malloc_address(void)`
        unsafe {
            let function = std::mem::transmute::<*mut c_void, extern "C" fn() -> *mut c_void>(
                self.address(c"loaded_malloc_address"),
            );
            function().addr()
        }
    }

    fn allocate(&self, size: usize) -> *mut u8 {
        // SAFETY: `void *loaded_allocate(size_t)`
        unsafe {
            let function = std::mem::transmute::<*mut c_void, extern "C" fn(usize) -> *mut u8>(
                self.address(c"loaded_allocate"),
            );
            function(size)
        }
    }

    fn in_a_thread(&self) -> extern "C" fn(i32) -> i32 {
        // SAFETY: `int loaded_in_a_thread(int)`, which any thread may call while the library is
        // loaded.
        unsafe {
            std::mem::transmute::<*mut c_void, extern "C" fn(i32) -> i32>(
                self.address(c"loaded_in_a_thread"),
            )
        }
    }

    /// The exit status of a program that is started by `vfork` and `execve`.
    pub fn vfork(&self, program: &CStr) -> i32 {
        // SAFETY: `int loaded_vfork(const char *)`
        unsafe {
            let function = std::mem::transmute::<*mut c_void, extern "C" fn(*const c_char) -> i32>(
                self.address(c"loaded_vfork"),
            );
            function(program.as_ptr())
        }
    }

    fn close(self) -> Checked {
        // SAFETY: nothing of the library is used afterwards.
        let answer = unsafe { libc::dlclose(self.handle) };
        expect(answer == 0, || "a library closed".to_owned(), || format!("{answer}"))
    }
}

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
            // SAFETY: the library issued it, and left it to the program.
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
