//! What a worker does besides its calls, each part with a switch of its own: so that `cargo stress
//! cost` can say what it costs. A run has them all.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! checks {
    ($(
        $(#[$doc:meta])*
        $variant:ident = $name:literal, about $about:literal, needs $needs:expr;
    )*) => {
        /// One part of what is done around a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Check { $($(#[$doc])* $variant,)* }

        impl Check {
            /// All of them, in the order in which they are printed.
            pub const ALL: &'static [Check] = &[$(Check::$variant,)*];

            /// As it is printed.
            pub fn name(self) -> &'static str {
                match self { $(Check::$variant => $name,)* }
            }

            /// What it does, in one line.
            pub fn about(self) -> &'static str {
                match self { $(Check::$variant => $about,)* }
            }

            /// What it can't do without: its cost is what it adds to these.
            pub fn needs(self) -> Checks {
                match self { $(Check::$variant => $needs,)* }
            }
        }
    };
}

checks! {
    /// Every byte is written, and read again.
    Identity = "identity",
        about "every byte is written when a block is allocated, and compared whenever it is used",
        needs Checks::NONE;
    /// No two live blocks share a byte.
    Overlap = "overlap",
        about "every block's bytes are entered in the map of what is live, and taken out",
        // Without the usable size a block may end anywhere, and the map has another way for that.
        needs Checks::NONE.with(Check::Usable);
    /// `malloc_usable_size`.
    Usable = "usable size",
        about "malloc_usable_size is asked, and is no less than what was asked for",
        needs Checks::NONE;
    /// Alignment.
    Alignment = "alignment",
        about "addresses are aligned as asked for, and as their size demands",
        needs Checks::NONE;
    /// `calloc`'s zeroes.
    Zero = "zeroes",
        about "every byte of calloc is read and is zero",
        needs Checks::NONE;
    /// `errno`.
    Errno = "errno",
        about "errno is set before a free and an impossible request, and looked at after",
        needs Checks::NONE;
    /// The journal.
    #[serde(alias = "log")]
    Journal = "journal",
        about "every call is written down, with its time and what it returned",
        needs Checks::NONE;
    /// The counters.
    Counts = "counts",
        about "operations and bytes are counted, and what a worker is at is shown",
        needs Checks::NONE;
    /// How long calls take, and which combinations come up.
    Latency = "latency",
        about "every call is timed, and counted by its size, alignment and thread",
        needs Checks::NONE;
    /// Disturbances.
    Schedule = "schedule",
        about "whether to disturb the worker is drawn, and it yields or sleeps",
        needs Checks::NONE;
}

/// A set of them.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checks(u16);

impl Checks {
    /// None.
    pub const NONE: Self = Self(0);
    /// What a run has.
    pub const ALL: Self = Self((1 << Check::ALL.len()) - 1);

    /// These and one more.
    #[must_use]
    pub const fn with(self, check: Check) -> Self {
        Self(self.0 | 1 << check as u16)
    }

    /// Whether it is one of them.
    #[inline(always)]
    pub const fn has(self, check: Check) -> bool {
        self.0 & 1 << check as u16 != 0
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Check::ALL.iter().filter(|check| self.has(**check))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        for &check in Check::ALL {
            let alone = Checks::NONE.with(check);
            assert!(Checks::ALL.has(check) && !Checks::NONE.has(check));
            for &other in Check::ALL {
                assert_eq!(alone.has(other), other == check);
            }
            assert!(!check.needs().has(check));
        }
    }
}
