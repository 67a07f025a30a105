//! Suppressions: faults of an allocator that are counted and reported, and are no findings.
//!
//! What a campaign file suppresses is one check in one function of one allocator, and only such
//! checks as leave the run what it was: the block that they find fault with is the caller's all the
//! same. `--suppress` takes any kind: where it ends its process, the next begins.

use drystone_checker::violation::{Flaw, Kind};
use drystone_harness::text::suggest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// All of them, as a campaign file names them.
const FLAWS: [(&str, Flaw); 5] = [
    ("misaligned", Flaw::Misaligned),
    ("not-zeroed", Flaw::NotZeroed),
    ("usable-size", Flaw::UsableSize),
    ("errno", Flaw::Errno),
    ("result-on-failure", Flaw::ResultOnFailure),
];

/// Where: the functions that return blocks, and those that free them.
const CALLS: [&str; 8] = [
    "malloc",
    "calloc",
    "realloc",
    "aligned_alloc",
    "posix_memalign",
    "memalign",
    "free",
    "free_sized",
];

/// What can't be suppressed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SuppressError {
    /// A check that a campaign file can't name; with a suggestion.
    #[error("{0}: after others nothing is as it was")]
    Finding(String),
    /// No function, or no kind of finding, has that name; with a suggestion.
    #[error("{0}")]
    Unknown(String),
    /// No reason is given.
    #[error("`why` is empty: say why it is no finding")]
    NoReason,
}

/// A fault that is counted, and no finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// The check that fails.
    pub finding: Flaw,
    /// The function whose block it fails for.
    pub call: String,
    /// Why that is so: for people.
    pub why: String,
}

impl Suppression {
    /// Reads one as it is written in a campaign file.
    ///
    /// # Errors
    /// It can't be suppressed, or no reason is given.
    pub fn parse(finding: &str, call: &str, why: &str) -> Result<Self, SuppressError> {
        let names = FLAWS.map(|(name, _)| name);
        let Some((_, finding)) = FLAWS.into_iter().find(|(name, _)| *name == finding) else {
            let unknown = suggest::reject("finding that can be exempt", finding, &names);
            return Err(SuppressError::Finding(unknown));
        };
        if !CALLS.contains(&call) {
            let unknown = suggest::reject("call that can be exempt", call, &CALLS);
            return Err(SuppressError::Unknown(unknown));
        }
        if why.trim().is_empty() {
            return Err(SuppressError::NoReason);
        }
        Ok(Self { finding, call: call.to_owned(), why: why.to_owned() })
    }

    /// Of a finding that was kept, so that the run's later processes look for others.
    pub fn of_found(kind: Kind, call: &str) -> Option<Self> {
        let (_, finding) = FLAWS.into_iter().find(|(_, flaw)| Kind::from(*flaw) == kind)?;
        Some(Self { finding, call: call.to_owned(), why: FOUND_ALREADY.to_owned() })
    }

    /// Whether it is this that was seen.
    pub fn is(&self, finding: Flaw, call: &str) -> bool {
        (self.finding, self.call.as_str()) == (finding, call)
    }

    /// Under what it is counted among a run's notes.
    pub fn note(&self) -> String {
        format!("suppressed: {} in {}", self.finding, self.call)
    }
}

/// Why a flaw is suppressed that the same run has found.
pub const FOUND_ALREADY: &str = "found already in this run";

/// A kind of finding that is counted only, `KIND[:CALL]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// Which.
    pub kind: Kind,
    /// In which call; none for all.
    #[serde(default)]
    pub call: Option<String>,
}

impl Ignored {
    /// Reads one as `--suppress` has it: the kind as reports name it, with hyphens for blanks.
    ///
    /// # Errors
    /// No kind has that name.
    pub fn parse(text: &str) -> Result<Self, SuppressError> {
        let (kind, call) = match text.split_once(':') {
            Some((kind, call)) => (kind, Some(call.replace('-', " ")).filter(|c| !c.is_empty())),
            None => (text, None),
        };
        let names: Vec<String> = Kind::ALL.iter().map(|kind| kind.hyphenated()).collect();
        let found = Kind::ALL.iter().zip(&names).find(|(_, name)| *name == kind);
        let Some((&kind, _)) = found else {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let unknown = suggest::reject("finding that can be suppressed", kind, &names);
            return Err(SuppressError::Unknown(unknown));
        };
        Ok(Self { kind, call })
    }

    /// Whether it is this that was seen.
    pub fn is(&self, kind: Kind, call: Option<&str>) -> bool {
        self.kind == kind && self.call.as_deref().is_none_or(|own| Some(own) == call)
    }

    /// Under what it is counted among a run's notes.
    pub fn note(&self) -> String {
        match &self.call {
            Some(call) => format!("suppressed: {} in {call}", self.kind),
            None => format!("suppressed: {}", self.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_suppressed_is_rejected() {
        let suppression = Suppression::parse("misaligned", "aligned_alloc", "so").unwrap();
        assert!(suppression.is(Flaw::Misaligned, "aligned_alloc"));
        assert!(
            !suppression.is(Flaw::Misaligned, "malloc")
                && !suppression.is(Flaw::NotZeroed, "aligned_alloc")
        );
        let rejected =
            |finding, call, why| Suppression::parse(finding, call, why).unwrap_err().to_string();
        assert!(rejected("overlap", "malloc", "so").contains("after others nothing is as it was"));
        assert!(rejected("misalined", "malloc", "so").contains("Did you mean `misaligned`?"));
        assert!(
            rejected("misaligned", "sbrk", "so").contains("there is no call that can be exempt")
        );
        assert!(rejected("misaligned", "malloc", " ").contains("`why` is empty"));
    }

    #[test]
    fn any_kind_is_ignored_by_its_printed_name() {
        for &kind in Kind::ALL {
            let argument = kind.hyphenated();
            assert_eq!(Ignored::parse(&argument), Ok(Ignored { kind, call: None }), "{argument}");
        }
        let one = Ignored::parse("errno:operator-delete").unwrap();
        assert!(one.is(Kind::Errno, Some("operator delete")) && !one.is(Kind::Errno, None));
        assert!(Ignored::parse("errno").unwrap().is(Kind::Errno, Some("free")));
        assert!(Ignored::parse("erno").unwrap_err().to_string().contains("Did you mean `errno`?"));
    }
}
