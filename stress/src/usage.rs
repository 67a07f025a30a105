//! What a process uses of the machine, by its own account.

use std::fs;
use std::mem::MaybeUninit;

use serde::{Deserialize, Serialize};

use crate::memory;

/// A process's memory and page faults at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Its number: another one is another process, and begins anew.
    pub process: u32,
    /// Resident bytes of its own, without files and what it shares.
    pub resident: u64,
    /// Bytes that the harness in it has used for itself, nearly all of them among the resident ones.
    pub harness: u64,
    /// Page faults that took no input or output, since it began.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
}

impl Usage {
    /// The calling process's. Calls nothing of a subject's.
    pub fn of_this_process() -> Self {
        // SAFETY: all zero is a valid rusage.
        let mut usage: libc::rusage = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: RUSAGE_SELF is valid, the struct is writable.
        unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
        Self {
            process: std::process::id(),
            resident: resident().unwrap_or(0),
            harness: memory::used() as u64,
            minor_faults: usage.ru_minflt.cast_unsigned(),
            major_faults: usage.ru_majflt.cast_unsigned(),
        }
    }

    /// Resident bytes that are the subject's, and what little the process had before it.
    pub fn of_the_subject(self) -> u64 {
        self.resident.saturating_sub(self.harness)
    }
}

/// proc_pid_statm(5): pages in all, resident, shared.
fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_whitespace().skip(1).map(|field| field.parse::<u64>());
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    // SAFETY: sysconf takes any name.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(resident.saturating_sub(shared) * u64::try_from(page).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_what_it_touches() {
        const TOUCHED: usize = 512 << 20;
        let before = Usage::of_this_process();
        // Larger than any class: the harness maps it for itself. Other tests of this process come and go in
        // a few MiB meanwhile.
        let touched = vec![1u8; TOUCHED];
        let after = Usage::of_this_process();
        let least = TOUCHED as u64 / 10 * 9;
        assert!(after.resident >= before.resident + least, "{before:?} {after:?}");
        assert!(after.harness >= before.harness + least, "{before:?} {after:?}");
        assert!(after.minor_faults > before.minor_faults);
        drop(touched);
    }
}
