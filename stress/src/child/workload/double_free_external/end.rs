//! How a process in which a block was freed twice ended.

use drystone_checker::counters::Count;

/// Exit status of a process in which one block had two owners.
pub(super) const TWO_OWNERS: i32 = 44;
/// Exit status of a process that got no block.
pub(super) const NO_BLOCK: i32 = 45;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By the allocator's own report.
    OwnReport,
    /// By another signal.
    Crashed,
    /// It did not, and was ended.
    Hung,
    /// By its own exit: one block had two owners.
    TwoOwners,
    /// By its own exit: nothing was noticed.
    Silent,
    /// It got no block to free.
    NoBlock,
}

impl End {
    /// By what `waitpid` says.
    pub(super) fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            return match libc::WTERMSIG(status) {
                libc::SIGABRT | libc::SIGILL | libc::SIGTRAP => End::OwnReport,
                libc::SIGALRM => End::Hung,
                _ => End::Crashed,
            };
        }
        match libc::WEXITSTATUS(status) {
            0 => End::Silent,
            TWO_OWNERS => End::TwoOwners,
            NO_BLOCK => End::NoBlock,
            // An allocator may report and exit.
            _ => End::OwnReport,
        }
    }

    /// Where it is counted; one without a block is nowhere.
    pub(super) fn count(self) -> Option<Count> {
        Some(match self {
            End::OwnReport => Count::OwnReport,
            End::Crashed => Count::Crashed,
            End::Hung => Count::Hung,
            End::TwoOwners => Count::TwoOwners,
            End::Silent => Count::Silent,
            End::NoBlock => return None,
        })
    }

    /// As it is printed.
    pub(super) fn name(self) -> &'static str {
        match self {
            End::OwnReport => "died by its own report",
            End::Crashed => "crashed",
            End::Hung => "hung",
            End::TwoOwners => "silent, then two owners",
            End::Silent => "silent",
            End::NoBlock => "no block",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_apart() {
        // As wait(2) encodes them on Linux: a signal in the low bits, a status above.
        assert_eq!(End::of(libc::SIGABRT), End::OwnReport);
        assert_eq!(End::of(libc::SIGSEGV), End::Crashed);
        assert_eq!(End::of(libc::SIGALRM), End::Hung);
        assert_eq!(End::of(0), End::Silent);
        assert_eq!(End::of(TWO_OWNERS << 8), End::TwoOwners);
        assert_eq!(End::of(1 << 8), End::OwnReport);
        assert_eq!(End::of(NO_BLOCK << 8), End::NoBlock);
    }
}
