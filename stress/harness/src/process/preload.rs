//! Child processes under a preloaded allocator: what all of them are started with, how their output
//! is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Has `command` run under `library`, or under the C library's own allocator.
pub fn under<'a>(command: &'a mut Command, library: Option<&Path>) -> &'a mut Command {
    // glibc's reports go to the terminal otherwise.
    command.env("LIBC_FATAL_STDERR_", "1").env_remove("LD_PRELOAD");
    if let Some(library) = library {
        command.env("LD_PRELOAD", library);
    }
    command
}

/// As [`under`], for a child that is listened to while it runs: its output is piped, and it leads a
/// process group.
pub fn prepare<'a>(command: &'a mut Command, library: Option<&Path>) -> &'a mut Command {
    under(command, library)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the terminal goes to the whole group; the child is to be asked instead.
        .process_group(0);
    // SAFETY: the function calls setrlimit only, which is async-signal-safe on Linux, and allocates
    // nothing.
    unsafe { command.pre_exec(without_core_files) }
}

/// What is done in a child before its program is loaded: a crash that was asked for leaves no core
/// file, in whatever process of the run it happens.
///
/// # Errors
/// The OS rejects the limit.
pub fn without_core_files() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: sets this process's own limit, from a valid struct.
    match unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Where a child finds a file that is open here.
pub fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()))
}

/// All that comes of a pipe. What was read before an error is kept: an answer cut short is no
/// answer.
pub fn all_of(mut pipe: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = pipe.read_to_end(&mut all);
    all
}

/// The end of what a child printed, `most` bytes of it.
pub fn tail(printed: &[u8], most: usize) -> String {
    let from = printed.len().saturating_sub(most);
    String::from_utf8_lossy(&printed[from..]).trim().to_owned()
}

/// What a child printed, in a sentence.
pub fn said(words: &str) -> String {
    match words.trim() {
        "" => "it printed nothing".to_owned(),
        words => format!("it printed: {words}"),
    }
}

/// Has this process, a child, be killed when its parent is: a parent that is killed leaves nobody
/// behind.
pub fn die_with_the_parent() {
    // SAFETY: sets this process's own attribute; the argument is a signal's number.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// A signal, as it is printed.
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGKILL => "SIGKILL (by whoever ran out of memory?)",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}
