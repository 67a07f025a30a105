//! Which functions there are, and that all of the process uses them.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use drystone_harness::library::resolve;

use crate::checks::sizes::SIZES;
use crate::child::functions::Way;
use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong, expect, fail};
use crate::row::{Check, Row};

const REPLACING: &str = "glibc manual, Replacing malloc";

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "interface/aligned_alloc",
        about: "a replacement of malloc defines aligned_alloc",
        source: REPLACING,
        check: Check::Judged(|heap| defined(heap, Way::AlignedAlloc(64))),
    },
    Row {
        name: "interface/posix_memalign",
        about: "a replacement of malloc defines posix_memalign",
        source: REPLACING,
        check: Check::Judged(|heap| defined(heap, Way::PosixMemalign(64))),
    },
    Row {
        name: "interface/memalign",
        about: "a replacement of malloc defines memalign",
        source: REPLACING,
        check: Check::Judged(|heap| defined(heap, Way::Memalign(64))),
    },
    Row {
        name: "interface/valloc",
        about: "a replacement of malloc defines valloc",
        source: REPLACING,
        check: Check::Judged(|heap| defined(heap, Way::Valloc)),
    },
    Row {
        name: "interface/pvalloc",
        about: "a replacement of malloc defines pvalloc",
        source: REPLACING,
        check: Check::Judged(|heap| defined(heap, Way::Pvalloc)),
    },
    Row {
        name: "interface/malloc_usable_size",
        about: "a replacement of malloc defines malloc_usable_size",
        source: REPLACING,
        check: Check::Judged(|heap| heap.usable_size_of_null().map_err(missing).map(drop)),
    },
    Row {
        name: "interface/libc-blocks",
        about: "what the C library allocates for the program can be freed and resized by it: \
                strdup, getline, asprintf, open_memstream, realpath",
        source: "POSIX.1-2024 strdup, getline, open_memstream, realpath",
        check: Check::Judged(libc_blocks),
    },
    Row {
        name: "interface/operator-new",
        about: "the C++ runtime's new and delete reach the allocator or are its own, and pair",
        source: "C++23 [new.delete]",
        check: Check::Judged(operator_new),
    },
    Row {
        name: "interface/free_sized",
        about: "free_sized and free_aligned_sized, where defined, free what the right size is \
                given for",
        source: "C23 7.24.3.4, 7.24.3.5",
        check: Check::Judged(free_sized),
    },
    Row {
        name: "interface/more-functions",
        about: "which of C23's and glibc's further functions are the allocator's own",
        source: "C23 7.24.3; malloc_trim(3), mallinfo(3), malloc_info(3)",
        check: Check::Recorded(more_functions),
    },
    Row {
        name: "interface/says-nothing",
        about: "a correct program's standard output and error stay its own",
        source: "this suite",
        check: Check::Judged(says_nothing),
    },
];

fn missing(_: Wrong) -> Wrong {
    Wrong::Fail {
        expected: "a definition of malloc_usable_size beside malloc's".to_owned(),
        got: "none".to_owned(),
    }
}

fn defined(heap: &'static Heap, way: Way) -> Checked {
    expect(
        heap.offers(way),
        || format!("a definition of {} beside malloc's", way.name()),
        || "none: programs that call it get the C library's".to_owned(),
    )
}

fn libc_blocks(heap: &'static Heap) -> Checked {
    for round in 0..50 {
        // SAFETY: each function is given valid arguments, and what it returns is wrapped with the
        // size that it was asked for; each is checked for null before it is used.
        unsafe {
            let copy = libc::strdup(c"a string that is copied".as_ptr());
            let name = libc::realpath(c"/proc".as_ptr(), ptr::null_mut());
            let mut text: *mut c_char = ptr::null_mut();
            let mut length = 0;
            let file = libc::open_memstream(&raw mut text, &raw mut length);
            if copy.is_null() || name.is_null() || file.is_null() {
                return fail("blocks from the C library", "null");
            }
            for _ in 0..round * 100 {
                libc::fputs(c"0123456789".as_ptr(), file);
            }
            libc::fclose(file);
            let strings = [(copy, c"a string that is copied"), (name, c"/proc")];
            for (at, wanted) in strings {
                let bytes = wanted.count_bytes() + 1;
                let block = heap.wrap(at.cast(), bytes).resized(bytes + 1000)?;
                let same = CStr::from_ptr(block.pointer().cast()) == wanted;
                block.free();
                expect(same, || format!("{wanted:?} after a realloc"), || "another".to_owned())?;
            }
            expect(
                length == round * 1000,
                || format!("{} bytes in the stream", round * 1000),
                || length.to_string(),
            )?;
            heap.wrap(text.cast(), length + 1).free();
        }
    }
    Ok(())
}

fn operator_new(heap: &'static Heap) -> Checked {
    type New = unsafe extern "C" fn(usize) -> *mut c_void;
    type Delete = unsafe extern "C" fn(*mut c_void);
    type SizedDelete = unsafe extern "C" fn(*mut c_void, usize);
    type AlignedNew = unsafe extern "C" fn(usize, usize) -> *mut c_void;
    // SAFETY: the C++ runtime is a library like any other; its name is a C string.
    let runtime =
        unsafe { libc::dlopen(c"libstdc++.so.6".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if runtime.is_null() {
        return Err(Wrong::CannotTell("libstdc++.so.6 is not installed".to_owned()));
    }
    let found = |name: &CStr| {
        resolve(name).map(|symbol| symbol.address).map_err(|why| Wrong::Fail {
            expected: "C++'s operators in a process with its runtime".to_owned(),
            got: why.to_string(),
        })
    };
    // SAFETY: the mangled names are those of operator new(size_t), new[](size_t), delete(void *),
    // delete[](void *), delete(void *, size_t), new(size_t, align_val_t) and delete(void *,
    // align_val_t), which have these signatures.
    let (new, new_array, delete, delete_array, sized, aligned_new, aligned_delete) = unsafe {
        (
            std::mem::transmute::<*mut c_void, New>(found(c"_Znwm")?),
            std::mem::transmute::<*mut c_void, New>(found(c"_Znam")?),
            std::mem::transmute::<*mut c_void, Delete>(found(c"_ZdlPv")?),
            std::mem::transmute::<*mut c_void, Delete>(found(c"_ZdaPv")?),
            std::mem::transmute::<*mut c_void, SizedDelete>(found(c"_ZdlPvm")?),
            std::mem::transmute::<*mut c_void, AlignedNew>(found(c"_ZnwmSt11align_val_t")?),
            std::mem::transmute::<*mut c_void, SizedDelete>(found(c"_ZdlPvSt11align_val_t")?),
        )
    };
    for size in SIZES {
        // SAFETY: each block is freed once, by the operator that goes with the one that made it;
        // new throws rather than return null, and these sizes are there.
        unsafe {
            let mut blocks = [new(size), new(size), new_array(size), aligned_new(size, 256)]
                .map(|at| heap.wrap(at.cast(), size));
            for (seed, block) in blocks.iter_mut().enumerate() {
                block.fill(seed as u64);
            }
            for (seed, block) in blocks.iter().enumerate() {
                block.holds(seed as u64)?;
            }
            blocks[3].aligned(256, Way::AlignedAlloc(256))?;
            delete(blocks[0].pointer().cast());
            sized(blocks[1].pointer().cast(), size);
            delete_array(blocks[2].pointer().cast());
            aligned_delete(blocks[3].pointer().cast(), 256);
        }
    }
    Ok(())
}

fn free_sized(heap: &'static Heap) -> Checked {
    for size in SIZES {
        heap.malloc(size)?.free_sized()?;
        heap.get(Way::Calloc, size)?.free_sized()?;
        heap.malloc(size / 2 + 1)?.resized(size)?.free_sized()?;
        for align in [16, 64, 4096] {
            let block = heap.get(Way::AlignedAlloc(align), size.next_multiple_of(align))?;
            block.free_aligned_sized(align)?;
        }
    }
    Ok(())
}

fn more_functions(heap: &'static Heap) -> Result<String, Wrong> {
    let names = [
        c"reallocarray",
        c"free_sized",
        c"free_aligned_sized",
        c"malloc_trim",
        c"malloc_stats",
        c"mallinfo2",
        c"malloc_info",
        c"mallopt",
        c"_ZdlPvm",
    ];
    let own = |name: &&CStr| resolve(name).is_ok_and(|symbol| symbol.object == heap.served_by);
    let own: Vec<_> =
        names.iter().filter(|name| own(name)).map(|name| name.to_string_lossy()).collect();
    Ok(if own.is_empty() { "none".to_owned() } else { own.join(" ") })
}

/// What is written meanwhile to a pipe in the place of both is the allocator's.
fn says_nothing(heap: &'static Heap) -> Checked {
    let mut pipe = [0; 2];
    // SAFETY: the array is writable, and each descriptor is one that is open; the old ones are
    // restored.
    let (said, kept) = unsafe {
        if libc::pipe2(pipe.as_mut_ptr(), libc::O_NONBLOCK) != 0 {
            return Err(Wrong::CannotTell("no pipe".to_owned()));
        }
        let kept = [libc::dup(1), libc::dup(2)];
        libc::dup2(pipe[1], 1);
        libc::dup2(pipe[1], 2);
        let worked = work(heap);
        libc::dup2(kept[0], 1);
        libc::dup2(kept[1], 2);
        let mut said = [0u8; 512];
        let length = libc::read(pipe[0], said.as_mut_ptr().cast(), said.len());
        let said = String::from_utf8_lossy(&said[..length.max(0) as usize]).into_owned();
        (said, worked)
    };
    kept?;
    expect(said.is_empty(), || "no output".to_owned(), || format!("{said:?}"))
}

fn work(heap: &'static Heap) -> Checked {
    for size in SIZES {
        heap.malloc(size)?.resized(size * 2)?.free();
        if heap.try_malloc(usize::MAX / 2 + size).is_some() {
            return fail("null for more than PTRDIFF_MAX bytes", "a block");
        }
    }
    Ok(())
}
