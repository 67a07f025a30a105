//! Functions by which a program asks for the heap's figures, and for its idle memory.

use core::ffi::{CStr, c_char, c_int};
use core::fmt::{self, Write};

use engine::internals::errno;
use engine::internals::process::text;

use crate::heap::HEAP;

/// As glibc's `<malloc.h>` has it since 2.33; bytes, unless the comment says otherwise.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Mallinfo2 {
    /// Of spans: live and free blocks, and idle memory.
    arena: usize,
    /// Free blocks, a number.
    ordblks: usize,
    smblks: usize,
    /// Blocks with a mapping of their own, a number.
    hblks: usize,
    /// Of blocks with a mapping of their own.
    hblkhd: usize,
    usmblks: usize,
    fsmblks: usize,
    /// Of live blocks in spans.
    uordblks: usize,
    /// Of the rest of the spans: `arena` less `uordblks`.
    fordblks: usize,
    /// Idle, of the kind that `malloc_trim` gives back.
    keepcost: usize,
}

/// `malloc_trim(3)`. `pad` is of no meaning here: there is no top of the heap.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn malloc_trim(_pad: usize) -> c_int {
    let bytes = errno::kept(|| HEAP.trim());
    HEAP.report_late();
    c_int::from(bytes > 0)
}

/// `mallinfo2(3)`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mallinfo2() -> Mallinfo2 {
    let (stats, layers) = (HEAP.stats(), HEAP.engine().layer_stats());
    let arena = layers.span_bytes + layers.idle_bytes;
    // The two looks are at different moments: other threads may have changed the sums in between.
    let live = stats.live_bytes.saturating_sub(layers.huge_bytes).min(arena);
    Mallinfo2 {
        arena,
        ordblks: stats.free_blocks,
        hblks: stats.huge_blocks,
        hblkhd: layers.huge_bytes,
        uordblks: live,
        fordblks: arena - live,
        keepcost: layers.idle_bytes + layers.kept_bytes,
        ..Mallinfo2::default()
    }
}

/// As glibc's `<malloc.h>` has always had it: [`Mallinfo2`] in numbers of 32 bits.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Mallinfo {
    arena: c_int,
    ordblks: c_int,
    smblks: c_int,
    hblks: c_int,
    hblkhd: c_int,
    usmblks: c_int,
    fsmblks: c_int,
    uordblks: c_int,
    fordblks: c_int,
    keepcost: c_int,
}

/// `mallinfo(3)`. A figure that does not fit is the largest that does; glibc's wraps.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mallinfo() -> Mallinfo {
    let fit = |figure: usize| c_int::try_from(figure).unwrap_or(c_int::MAX);
    let info = mallinfo2();
    Mallinfo {
        arena: fit(info.arena),
        ordblks: fit(info.ordblks),
        hblks: fit(info.hblks),
        hblkhd: fit(info.hblkhd),
        uordblks: fit(info.uordblks),
        fordblks: fit(info.fordblks),
        keepcost: fit(info.keepcost),
        ..Mallinfo::default()
    }
}

/// `mallinfo`, as glibc calls it.
#[unsafe(export_name = "__libc_mallinfo")]
pub(crate) extern "C" fn libc_mallinfo() -> Mallinfo {
    mallinfo()
}

/// `malloc_info(3)`: the figures as XML of glibc's shape, with one heap. Returns 0; `EINVAL` when
/// `options` is not 0; `ENOMEM`; `EIO` when the stream does not take it.
///
/// # Safety
/// `stream` is open for writing.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn malloc_info(options: c_int, stream: *mut libc::FILE) -> c_int {
    if options != 0 {
        return libc::EINVAL;
    }
    let written = errno::kept(|| {
        text::mapped(INFO_BYTES, |text| {
            let bytes = info(text).map(|()| text.bytes()).unwrap_or_default();
            // SAFETY: the bytes are initialised, and the stream is open for writing. It may
            // allocate its buffer: no lock is held here.
            unsafe { libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), stream) == bytes.len() }
        })
    });
    match written {
        Some(true) => 0,
        Some(false) => libc::EIO,
        None => libc::ENOMEM,
    }
}

/// Bytes that hold the figures as XML at their longest: some 700, and 20 for each number.
const INFO_BYTES: usize = 4096;

/// Writes what `malloc_info` gives.
fn info(out: &mut impl Write) -> fmt::Result {
    let Mallinfo2 { arena, ordblks, hblks, hblkhd, fordblks, .. } = mallinfo2();
    let most = arena + hblkhd;
    let sums = |out: &mut dyn Write, mmap: &dyn Fn(&mut dyn Write) -> fmt::Result, all: usize| {
        writeln!(out, "<total type=\"fast\" count=\"0\" size=\"0\"/>")?;
        writeln!(out, "<total type=\"rest\" count=\"{ordblks}\" size=\"{fordblks}\"/>")?;
        mmap(out)?;
        // The most that there ever was is not kept.
        for kind in ["current", "max"] {
            writeln!(out, "<system type=\"{kind}\" size=\"{all}\"/>")?;
        }
        for kind in ["total", "mprotect"] {
            writeln!(out, "<aspace type=\"{kind}\" size=\"{all}\"/>")?;
        }
        Ok(())
    };
    writeln!(out, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n</sizes>")?;
    sums(out, &|_| Ok(()), arena)?;
    writeln!(out, "</heap>")?;
    let mmap = |out: &mut dyn Write| {
        writeln!(out, "<total type=\"mmap\" count=\"{hblks}\" size=\"{hblkhd}\"/>")
    };
    sums(out, &mmap, most)?;
    writeln!(out, "</malloc>")
}

/// `malloc_stats(3)`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn malloc_stats() {
    HEAP.account().print(HEAP.engine());
}

/// Writes the figures as JSON to the `size` bytes at `buffer`, cut to fit, with a null byte at
/// their end; returns the bytes that all of it takes, without the null.
///
/// # Safety
/// `buffer` may be written for `size` bytes; null is fine where `size` is 0.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn drystone_stats(buffer: *mut c_char, size: usize) -> usize {
    // SAFETY: `buffer` may be written for `size` bytes, and `room` is no more.
    let mut out = Cut { buffer: buffer.cast(), room: size.saturating_sub(1), length: 0 };
    // `Cut` does not fail, nor does any figure.
    let _ = HEAP.account().object(HEAP.engine(), &mut out);
    if size > 0 {
        // SAFETY: `buffer` may be written for `size` bytes, and the place is `size - 1` at most.
        unsafe { buffer.add(out.length.min(out.room)).write(0) };
    }
    out.length
}

/// `drystone_version`: the version's number.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn drystone_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version has no null byte"),
        };
    VERSION.as_ptr()
}

/// Somebody's memory; what does not fit is counted.
struct Cut {
    /// May be written for `room` bytes.
    buffer: *mut u8,
    room: usize,
    length: usize,
}

impl Write for Cut {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let fits = part.len().min(self.room.saturating_sub(self.length));
        if fits > 0 {
            // SAFETY: `fits` bytes from `length` on are within `room`; nobody else's text lies
            // there.
            unsafe {
                core::ptr::copy_nonoverlapping(part.as_ptr(), self.buffer.add(self.length), fits);
            }
        }
        self.length += part.len();
        Ok(())
    }
}
