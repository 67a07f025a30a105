//! What came of a row.

use serde::{Deserialize, Serialize};

/// Why a check has not passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The allocator's answer is not what the source of the row asks for.
    Fail {
        /// What the source asks for.
        expected: String,
        /// What the allocator did.
        got: String,
    },
    /// The sources leave this open, and what the allocator does, said here, leaves nothing to
    /// judge.
    LeftOpen(String),
    /// The allocator does not define this function, and nothing obliges it to.
    NotOffered(&'static str),
    /// The check can't be made on this machine.
    CannotTell(String),
}

/// What a check returns.
pub type Checked = Result<(), Wrong>;

/// An answer that is not what was expected.
pub fn fail<T>(expected: impl Into<String>, got: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Fail { expected: expected.into(), got: got.into() })
}

/// Fails unless `holds`; the texts are made only then.
pub fn expect(
    holds: bool,
    expected: impl FnOnce() -> String,
    got: impl FnOnce() -> String,
) -> Checked {
    if holds { Ok(()) } else { fail(expected(), got()) }
}

/// What a child says of its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// As the source asks.
    Pass,
    /// Not so.
    Fail {
        /// What the source asks for.
        expected: String,
        /// What the allocator did.
        got: String,
    },
    /// The sources leave it open: this is what the allocator does.
    Behaviour {
        /// What it does.
        does: String,
    },
    /// The allocator does not define the function.
    NotOffered {
        /// The function.
        what: String,
    },
    /// The check can't be made here.
    CannotTell {
        /// Why.
        why: String,
    },
}

impl From<Result<Option<String>, Wrong>> for Verdict {
    fn from(result: Result<Option<String>, Wrong>) -> Self {
        match result {
            Ok(None) => Verdict::Pass,
            Ok(Some(does)) | Err(Wrong::LeftOpen(does)) => Verdict::Behaviour { does },
            Err(Wrong::Fail { expected, got }) => Verdict::Fail { expected, got },
            Err(Wrong::NotOffered(what)) => Verdict::NotOffered { what: what.to_owned() },
            Err(Wrong::CannotTell(why)) => Verdict::CannotTell { why },
        }
    }
}

/// What the tool says of a row with an allocator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The child came to its end and said this.
    Said(Verdict),
    /// The child was ended by a signal, or with a status that no check has.
    Crash {
        /// How.
        how: String,
        /// The end of what it printed on standard error.
        words: String,
    },
    /// The child was not done when its time was up.
    Hang {
        /// Seconds.
        after: u64,
    },
    /// Stopped before its end.
    Stopped,
}

impl Outcome {
    /// Whether it is a finding by itself, whoever the allocator is.
    pub fn is_wrong(&self) -> bool {
        matches!(
            self,
            Outcome::Said(Verdict::Fail { .. }) | Outcome::Crash { .. } | Outcome::Hang { .. }
        )
    }

    /// Why it can't be checked here, if so.
    pub fn untold(&self) -> Option<&str> {
        match self {
            Outcome::Said(Verdict::CannotTell { why }) => Some(why),
            _ => None,
        }
    }

    /// One or two words for a table's cell.
    pub fn word(&self) -> String {
        match self {
            Outcome::Said(Verdict::Pass) => "pass".to_owned(),
            Outcome::Said(Verdict::Fail { .. }) => "FAIL".to_owned(),
            Outcome::Said(Verdict::Behaviour { does }) => does.clone(),
            Outcome::Said(Verdict::NotOffered { .. }) => "not offered".to_owned(),
            Outcome::Said(Verdict::CannotTell { .. }) => "cannot tell".to_owned(),
            Outcome::Crash { .. } => "CRASH".to_owned(),
            Outcome::Hang { .. } => "HANG".to_owned(),
            Outcome::Stopped => "stopped".to_owned(),
        }
    }

    /// A sentence on what was seen, where there is more to say than a word.
    pub fn detail(&self) -> Option<String> {
        match self {
            Outcome::Said(Verdict::Fail { expected, got }) => {
                Some(format!("expected {expected}; got {got}"))
            }
            Outcome::Said(Verdict::CannotTell { why }) => Some(why.clone()),
            Outcome::Crash { how, words } if words.is_empty() => Some(how.clone()),
            Outcome::Crash { how, words } => Some(format!("{how}; it printed: {words}")),
            Outcome::Hang { after } => Some(format!("not done after {after} s")),
            _ => None,
        }
    }
}
