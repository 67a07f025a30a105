//! C++'s sized `operator delete`, plain and for arrays, with and without an alignment.
//!
//! The C++ runtime's own forget the size and call the operator without one, which calls `free`;
//! these free at once, and look at the size. Plain `new` and `delete` need nothing here: they reach
//! malloc and free.
//!
//! A program may replace `operator delete(void *)` alone: then the sized ones must call that, as
//! the runtime's would ([new.delete.single] in C++14 and later), for only the program knows what
//! its `operator new` gave it. So each operator is decided once:
//!
//! | state | the operator without a size | a sized delete |
//! |---|---|---|
//! | [`UNDECIDED`] | not looked up yet | decides |
//! | [`DIRECT`] | the runtime's, or there is none | frees |
//! | else, its address | somebody else's | calls it |
//!
//! Nothing of the runtime is linked to: the operators are weak references, null where there is no
//! runtime. A library that is loaded while the program runs, and that replaces
//! `operator delete(void *)` alone and for itself, is not seen: its sized deletes come here, and
//! its blocks are reported as foreign.

use core::ffi::{CStr, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering};

use engine::internals::engine::MIN_ALIGN;
use engine::internals::process::calls::Function;

use crate::heap::HEAP;
use crate::sized::freed;

/// Not looked up yet.
const UNDECIDED: usize = 0;
/// The operator is the runtime's, or there is none: the block is malloc's.
const DIRECT: usize = 1;

/// One of the operators without a size. Relaxed: the value stands alone, and every thread would
/// decide the same.
static PLAIN: AtomicUsize = AtomicUsize::new(UNDECIDED);
static ARRAY: AtomicUsize = AtomicUsize::new(UNDECIDED);
static ALIGNED: AtomicUsize = AtomicUsize::new(UNDECIDED);
static ALIGNED_ARRAY: AtomicUsize = AtomicUsize::new(UNDECIDED);

/// The address that the loader has found for a symbol, or 0: a weak reference.
macro_rules! weak {
    ($symbol:literal) => {{
        let address: usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads the entry that the loader has filled in for the symbol.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $symbol),
                concat!("mov {address}, qword ptr [rip + ", $symbol, "@GOTPCREL]"),
                address = out(reg) address,
                options(readonly, nostack, preserves_flags)
            );
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $symbol),
                concat!("adrp {address}, :got:", $symbol),
                concat!("ldr {address}, [{address}, :got_lo12:", $symbol, "]"),
                address = out(reg) address,
                options(readonly, nostack, preserves_flags)
            );
        }
        address
    }};
}

/// `operator delete(void *, std::size_t)`
///
/// # Safety
/// As [`free`](crate::exports::free).
#[unsafe(export_name = "_ZdlPvm")]
pub unsafe extern "C" fn delete_sized(block: *mut c_void, size: usize) {
    if PLAIN.load(Ordering::Relaxed) != DIRECT {
        // SAFETY: the caller's word.
        return unsafe { undirected(block, size, 0, Which::Plain) };
    }
    // SAFETY: the caller's word.
    unsafe { delete_here(block, size) }
}

/// `operator delete[](void *, std::size_t)`
///
/// # Safety
/// As [`free`](crate::exports::free).
#[unsafe(export_name = "_ZdaPvm")]
pub unsafe extern "C" fn delete_array_sized(block: *mut c_void, size: usize) {
    if ARRAY.load(Ordering::Relaxed) != DIRECT {
        // SAFETY: the caller's word.
        return unsafe { undirected(block, size, 0, Which::Array) };
    }
    // SAFETY: the caller's word.
    unsafe { delete_here(block, size) }
}

/// `operator delete(void *, std::size_t, std::align_val_t)`
///
/// # Safety
/// As [`free`](crate::exports::free).
#[unsafe(export_name = "_ZdlPvmSt11align_val_t")]
pub unsafe extern "C" fn delete_aligned_sized(block: *mut c_void, size: usize, align: usize) {
    // SAFETY: the caller's word.
    unsafe { undirected(block, size, align, Which::Aligned) }
}

/// `operator delete[](void *, std::size_t, std::align_val_t)`
///
/// # Safety
/// As [`free`](crate::exports::free).
#[unsafe(export_name = "_ZdaPvmSt11align_val_t")]
pub unsafe extern "C" fn delete_array_aligned_sized(block: *mut c_void, size: usize, align: usize) {
    // SAFETY: the caller's word.
    unsafe { undirected(block, size, align, Which::AlignedArray) }
}

/// The operators, as an argument.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Which {
    Plain,
    Array,
    Aligned,
    AlignedArray,
}

/// A sized delete that may have to call another operator.
///
/// # Safety
/// As [`free`](crate::exports::free).
#[inline(never)]
unsafe extern "C" fn undirected(block: *mut c_void, size: usize, align: usize, which: Which) {
    let aligned = matches!(which, Which::Aligned | Which::AlignedArray);
    let state = match which {
        Which::Plain => &PLAIN,
        Which::Array => &ARRAY,
        Which::Aligned => &ALIGNED,
        Which::AlignedArray => &ALIGNED_ARRAY,
    };
    if state.load(Ordering::Relaxed) == UNDECIDED {
        decide();
    }
    // SAFETY: as the caller promises; an address that is neither mark is that of the operator,
    // which takes the block, and the alignment where it has one.
    unsafe {
        match (state.load(Ordering::Relaxed), aligned) {
            (DIRECT, false) => {
                delete_here(block, size);
            }
            (DIRECT, true) => {
                let fast = HEAP.free_aligned_sized_fast(block.cast(), size, align);
                freed(fast, block, size, align, Function::DeleteAlignedSized);
            }
            (address, false) => {
                let operator: unsafe extern "C" fn(*mut c_void) = core::mem::transmute(address);
                operator(block);
            }
            (address, true) => {
                let operator: unsafe extern "C" fn(*mut c_void, usize) =
                    core::mem::transmute(address);
                operator(block, align);
            }
        }
    }
}

/// The sized delete of a program that has no operators of its own.
///
/// # Safety
/// As [`free`](crate::exports::free).
#[inline(always)]
unsafe fn delete_here(block: *mut c_void, size: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        let fast = HEAP.free_sized_fast(block.cast(), size);
        freed(fast, block, size, MIN_ALIGN, Function::DeleteSized);
    }
}

/// Looks at the operators without a size. Before `main`, or in the first sized delete, should that
/// come before.
#[cold]
pub fn decide() {
    for (plain, of_plain, array, of_array) in [
        (&PLAIN, weak!("_ZdlPv"), &ARRAY, weak!("_ZdaPv")),
        (&ALIGNED, weak!("_ZdlPvSt11align_val_t"), &ALIGNED_ARRAY, weak!("_ZdaPvSt11align_val_t")),
    ] {
        let runtimes = [of_plain, of_array].map(|operator| operator == 0 || is_runtimes(operator));
        plain.store(if runtimes[0] { DIRECT } else { of_plain }, Ordering::Relaxed);
        // The runtime's operator for arrays calls the plain one.
        let direct = runtimes == [true, true];
        let operator = if of_array == 0 { of_plain } else { of_array };
        array.store(if direct { DIRECT } else { operator }, Ordering::Relaxed);
    }
}

/// Whether the function is of a C++ runtime that is a shared library. One that is linked in can't
/// be told from the program's own, and is called.
fn is_runtimes(function: usize) -> bool {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: the place is a `Dl_info`'s, which a success fills; the name is a C string of the
    // loader's, of an object that is loaded.
    unsafe {
        let address = core::ptr::with_exposed_provenance(function);
        if libc::dladdr(address, info.as_mut_ptr()) == 0 {
            return false;
        }
        let name = info.assume_init().dli_fname;
        if name.is_null() {
            return false;
        }
        let path = CStr::from_ptr(name).to_bytes();
        let file = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        [&b"libstdc++.so"[..], b"libc++.so", b"libc++abi.so"]
            .iter()
            .any(|name| file.starts_with(name))
    }
}
