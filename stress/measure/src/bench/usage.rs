//! What the kernel says of this process: its largest resident set, and its faults.

use std::mem::MaybeUninit;

/// What was used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The largest resident set since the program was loaded, in KiB.
    pub peak: u64,
    /// The resident set now, in KiB.
    pub resident: u64,
    /// Page faults that needed no reading.
    pub minor_faults: u64,
}

impl Usage {
    /// What this process has used.
    ///
    /// The peak is `VmHWM` and not `ru_maxrss`, which counts what the parent had resident when it forked.
    ///
    /// # Errors
    /// A sentence: the kernel does not say.
    pub fn now() -> Result<Self, String> {
        let status = std::fs::read_to_string("/proc/self/status")
            .map_err(|error| format!("/proc/self/status: {error}"))?;
        let line = |key: &str| {
            kib(&status, key).ok_or_else(|| format!("/proc/self/status has no line {key}"))
        };
        Ok(Self { peak: line("VmHWM:")?, resident: line("VmRSS:")?, minor_faults: minor_faults() })
    }
}

fn kib(status: &str, key: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(key))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn minor_faults() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is writable; all zero is a valid rusage, so it is initialised either way.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    usage.ru_minflt as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_key() {
        let status = "Name:\tVmHWM\nVmPeak:\t    9 kB\nVmHWM:\t    2080 kB\nVmRSS:\t 17 kB\n";
        assert_eq!((kib(status, "VmHWM:"), kib(status, "VmRSS:")), (Some(2080), Some(17)));
        assert_eq!(kib("VmHWM:\t12 pages\n", "VmHWM:"), None);
    }

    #[test]
    fn touching_memory_is_seen() {
        let before = Usage::now().unwrap();
        let pages = std::hint::black_box(vec![1_u8; 32 << 20]);
        let after = Usage::now().unwrap();
        drop(pages);
        assert!(after.peak >= before.resident + (31 << 10), "{before:?}, then {after:?}");
        assert!(after.minor_faults > before.minor_faults, "{before:?}, then {after:?}");
    }
}
