//! What a process uses of the machine, by its own account.

use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::memory;

/// A process's memory and page faults at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Its number: another one is another process, and begins anew.
    pub process: u32,
    /// Resident bytes, files and what it shares included.
    pub rss: u64,
    /// The most that was resident at once since the program was loaded. Not `ru_maxrss`, which
    /// counts what the parent had resident when it forked.
    pub peak_rss: u64,
    /// Of the resident bytes its own, without files and what it shares.
    pub resident: u64,
    /// Bytes that the harness in it has used for itself, nearly all of them among the resident
    /// ones.
    pub harness: u64,
    /// Page faults that took no input or output, since it began.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
    /// How often the kernel took a processor away from one of its threads.
    #[serde(default)]
    pub involuntary_switches: u64,
}

/// The kernel's account of this process can't be read.
#[derive(Debug, Error)]
pub enum UsageError {
    /// The file can't be read.
    #[error("{0}: {1}")]
    Unreadable(&'static str, std::io::Error),
    /// It lacks a line.
    #[error("{0} has no line {1}")]
    NoLine(&'static str, &'static str),
    /// It does not hold what proc_pid_statm(5) says.
    #[error("{0} does not hold pages of memory")]
    NoPages(&'static str),
}

impl Usage {
    /// The calling process's. Allocates nothing.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub fn of_this_process() -> Result<Self, UsageError> {
        const FILE: &str = "/proc/self/status";
        // The lines on memory are in its first kilobyte.
        let mut text = [0; 4096];
        let text = head(FILE, &mut text)?;
        let line = |key: &'static str| kib(text, key).ok_or(UsageError::NoLine(FILE, key));
        let (rss, peak_rss, resident) = (line("VmRSS:")?, line("VmHWM:")?, line("RssAnon:")?);
        // SAFETY: all zero is a valid rusage.
        let mut usage: libc::rusage = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: RUSAGE_SELF is valid, the struct is writable.
        let done = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
        assert_eq!(done, 0, "getrusage of this process can't fail");
        Ok(Self {
            process: std::process::id(),
            rss,
            peak_rss,
            resident,
            harness: memory::used() as u64,
            minor_faults: usage.ru_minflt.cast_unsigned(),
            major_faults: usage.ru_majflt.cast_unsigned(),
            involuntary_switches: usage.ru_nivcsw.cast_unsigned(),
        })
    }

    /// Resident bytes that are the allocator's, and what little the process had before it.
    pub fn of_the_allocator(self) -> u64 {
        self.resident.saturating_sub(self.harness)
    }
}

/// A process's memory as the kernel counts it (proc_pid_statm(5)), bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statm {
    /// Its address space.
    pub size: u64,
    /// What is resident of it.
    pub resident: u64,
    /// Of that, files and what it shares.
    pub shared: u64,
}

impl Statm {
    /// The calling process's. Allocates nothing: some who ask may not.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub fn of_this_process() -> Result<Self, UsageError> {
        const FILE: &str = "/proc/self/statm";
        // Seven numbers of at most 20 digits.
        let mut text = [0; 256];
        let text = head(FILE, &mut text)?;
        Self::of(text).ok_or(UsageError::NoPages(FILE))
    }

    fn of(text: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
        let mut bytes = || fields.next()?.parse::<u64>().ok()?.checked_mul(page());
        Some(Self { size: bytes()?, resident: bytes()?, shared: bytes()? })
    }
}

/// The beginning of a file, as much of it as there is room for.
fn head<'a>(file: &'static str, room: &'a mut [u8]) -> Result<&'a [u8], UsageError> {
    let read = File::open(file).and_then(|mut file| file.read(room));
    let read = read.map_err(|error| UsageError::Unreadable(file, error))?;
    Ok(&room[..read])
}

/// Bytes in the line of `/proc/PID/status` that begins with `key` (proc_pid_status(5)).
fn kib(status: &[u8], key: &str) -> Option<u64> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let rest = lines.find_map(|line| line.strip_prefix(key.as_bytes()))?;
    let number = std::str::from_utf8(rest).ok()?.trim().strip_suffix("kB")?;
    number.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes of the system's pages.
pub fn page() -> u64 {
    // SAFETY: sysconf takes any name.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(page).expect("POSIX has every system answer this")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_what_it_touches() {
        const TOUCHED: usize = 512 << 20;
        let before = Usage::of_this_process().unwrap();
        // Larger than any class: the harness maps it for itself. Other tests of this process come
        // and go in a few MiB meanwhile.
        let touched = vec![1u8; TOUCHED];
        let after = Usage::of_this_process().unwrap();
        let least = TOUCHED as u64 / 10 * 9;
        assert!(after.resident >= before.resident + least, "{before:?} {after:?}");
        assert!(after.harness >= before.harness + least, "{before:?} {after:?}");
        assert!(after.minor_faults > before.minor_faults);
        assert!(after.rss >= after.resident && after.peak_rss >= before.rss + least, "{after:?}");
        drop(touched);
    }

    #[test]
    fn lines_are_found_by_their_key() {
        let status = b"Name:\tVmHWM\nVmPeak:\t    9 kB\nVmHWM:\t    2080 kB\nVmRSS:\t 17 kB\n";
        assert_eq!(kib(status, "VmHWM:"), Some(2080 << 10));
        assert_eq!(kib(status, "VmRSS:"), Some(17 << 10));
        assert_eq!(kib(b"VmHWM:\t12 pages\n", "VmHWM:"), None);
    }

    #[test]
    fn what_is_no_count_of_pages_is_not_taken_for_none() {
        let page = page();
        let statm = Statm { size: 812 * page, resident: 30 * page, shared: 4 * page };
        assert_eq!(Statm::of(b"812 30 4 1 0 70 0\n"), Some(statm));
        for text in [&b""[..], b"812", b"812 30", b"many 30 4", b"812 -30 4", b"\xff\xfe"] {
            assert_eq!(Statm::of(text), None, "{text:?}");
        }
        let here = Statm::of_this_process().unwrap();
        assert!(here.size >= here.resident && here.resident > 0, "{here:?}");
    }
}
