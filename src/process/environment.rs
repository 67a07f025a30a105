//! The variables of the environment: their names, meanings and values.
//!
//! They are read once, when the process starts or the first block is allocated, before there are
//! threads. A program with more rights than its caller takes no orders from the caller's
//! environment: there none of them is set. A name that begins with `DRYSTONE_` and is none of them,
//! and a value that is none of those that a variable takes, are said once on stderr, and count as
//! unset.

// Core's atomics, not `sync`'s: this is the process's state, not a heap's; no block's fate hangs on
// it, and loom has no `static`s.
use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::stderr;
use super::text::Plain;

/// A variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static CStr,
    /// The values that it takes.
    pub values: &'static str,
    /// The effect, a line for each value or more.
    pub meaning: &'static [&'static str],
}

/// Names the effect of a double or an invalid free.
pub const ON_MISUSE: &CStr = c"DRYSTONE_ON_MISUSE";
/// Says how many bytes of freed blocks wait.
pub const QUARANTINE: &CStr = c"DRYSTONE_QUARANTINE";
/// Says how many blocks are guarded.
pub const GUARD: &CStr = c"DRYSTONE_GUARD";
/// Says where figures go at exit.
pub const STATS: &CStr = c"DRYSTONE_STATS";
/// Asks for this list.
pub const HELP: &CStr = c"DRYSTONE_HELP";

/// All of them.
pub static VARIABLES: [Variable; 6] = [
    Variable {
        name: ON_MISUSE,
        values: "abort, report or ignore",
        meaning: &[
            "the effect of a double or invalid free, which frees nothing:",
            "a line on stderr and SIGABRT (the default); the line alone; nothing",
        ],
    },
    Variable {
        name: QUARANTINE,
        values: "a size, such as 16M",
        meaning: &[
            "freed blocks wait, first in first out, until they take that many bytes:",
            "late double frees and writes after free are reported too; off when unset or 0",
        ],
    },
    Variable {
        name: GUARD,
        values: "1/N, such as 1/5000",
        meaning: &[
            "one block in N lies at the edge of pages that nobody can touch: an overflow and a use",
            "after free of it are a SIGSEGV, with lines that say so; off when unset or 0",
        ],
    },
    Variable {
        name: STATS,
        values: "1 or an absolute path",
        meaning: &["at exit, figures: a table on stderr, or a line of JSON at the file's end"],
    },
    Variable { name: HELP, values: "1", meaning: &["prints this list when the program starts"] },
    Variable {
        name: c"DRYSTONE_TRACE",
        values: "a path, %p for the process",
        meaning: &["the recording's file; read by libdrystone_trace.so alone"],
    },
];

unsafe extern "C" {
    /// The C library's, null until it knows the environment.
    safe static environ: AtomicPtr<*const libc::c_char>;
}

/// Whether the C library knows the environment already: a program's `.preinit_array` runs before
/// that.
pub fn is_known() -> bool {
    // Relaxed, here and below: the C library sets it once, before there are threads.
    !environ.load(Ordering::Relaxed).is_null()
}

/// Whether the program has more rights than its caller.
fn is_privileged() -> bool {
    // SAFETY: getauxval takes a number and cannot fail.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The value of the variable `name`, if it is set.
pub fn value(name: &CStr) -> Option<&'static [u8]> {
    if is_privileged() {
        return None;
    }
    // SAFETY: the name is a C string. What getenv returns is null or a C string that lives as long
    // as nobody changes the environment, and is read at once. A program that changes it in another
    // thread meanwhile breaks getenv's own rule.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_bytes())
    }
}

/// Prints the list, if `DRYSTONE_HELP` asks for it, and names variables that do not exist. Once in
/// a process.
pub fn check() {
    match value(HELP).unwrap_or_default() {
        b"" | b"0" => {}
        b"1" => help(),
        _ => is_none(HELP, "1", "no list"),
    }
    each_unknown(|name| {
        let name = Plain(name);
        stderr::say(format_args!(
            "{name} is no variable of Drystone's, and has no effect; DRYSTONE_HELP=1 lists them"
        ));
    });
}

/// Says that the value of `name` is none of those that it takes, and the effect.
pub fn is_none(name: &CStr, takes: &str, effect: &str) {
    let name = Plain(name.to_bytes());
    stderr::say(format_args!("{name} must be {takes}; {effect}"));
}

fn help() {
    let version = env!("CARGO_PKG_VERSION");
    stderr::say(format_args!(
        "the variables of Drystone {version}; sizes take K, M and G, powers of 1,024"
    ));
    for Variable { name, values, meaning } in &VARIABLES {
        stderr::say(format_args!("  {}: {values}", Plain(name.to_bytes())));
        for line in *meaning {
            stderr::say(format_args!("      {line}"));
        }
    }
}

/// Calls `f` with the name of each variable that begins with `DRYSTONE_` and is none of ours.
fn each_unknown(mut f: impl FnMut(&'static [u8])) {
    let mut entry = environ.load(Ordering::Relaxed);
    if entry.is_null() || is_privileged() {
        return;
    }
    // SAFETY: `environ` is an array of C strings with a null pointer at its end (environ(7)). A
    // program that changes it in another thread meanwhile breaks getenv's own rule.
    unsafe {
        while !(*entry).is_null() {
            let text = CStr::from_ptr(*entry).to_bytes();
            let name = text.split(|byte| *byte == b'=').next().unwrap_or_default();
            let known = VARIABLES.iter().any(|variable| variable.name.to_bytes() == name);
            if name.starts_with(b"DRYSTONE_") && !known {
                f(name);
            }
            entry = entry.add(1);
        }
    }
}

/// The bytes that `text` names: digits, and `K`, `M` or `G`, large or small, for 1,024 bytes and
/// its second and third power. `None` for anything else, and above `usize::MAX`.
pub fn size(text: &[u8]) -> Option<usize> {
    let (digits, unit) = match text {
        [digits @ .., b'K' | b'k'] => (digits, 1 << 10),
        [digits @ .., b'M' | b'm'] => (digits, 1 << 20),
        [digits @ .., b'G' | b'g'] => (digits, 1 << 30),
        digits => (digits, 1),
    };
    // Without a sign, which `parse` would take.
    let digits = digits.first().filter(|first| first.is_ascii_digit()).and(Some(digits))?;
    core::str::from_utf8(digits).ok()?.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_units_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("3K", 3 << 10),
            ("16M", 16 << 20),
            ("2g", 2 << 30),
            ("007k", 7 << 10),
        ] {
            assert_eq!(size(text.as_bytes()), Some(bytes), "{text}");
        }
        let too_large = format!("{}K", usize::MAX / 1000);
        for text in ["", "K", "+1", "-1", "1 K", "1KB", "1KiB", "0x10", "1.5M", "lots", &too_large]
        {
            assert_eq!(size(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_list_fits_its_lines() {
        for Variable { name, values, meaning } in &VARIABLES {
            assert!(name.to_bytes().starts_with(b"DRYSTONE_"), "{name:?}");
            assert!(values.len() < 40, "{values}");
            assert!(
                !meaning.is_empty() && meaning.iter().all(|line| line.len() < 90),
                "{meaning:?}"
            );
        }
    }
}
