//! Suppressions: faults of an allocator that are counted and reported, and are no findings.
//!
//! What is suppressed is one check in one function of one allocator, and only such checks as leave
//! the run what it was: the block that they find fault with is the caller's all the same.

use drystone_checker::violation::Flaw;
use drystone_harness::text::suggest;
use serde::{Deserialize, Serialize};

/// All of them, as a campaign file names them.
const FLAWS: [(&str, Flaw); 3] = [
    ("misaligned", Flaw::Misaligned),
    ("not-zeroed", Flaw::NotZeroed),
    ("usable-size", Flaw::UsableSize),
];

/// Where: the functions that return blocks.
const CALLS: [&str; 4] = ["malloc", "calloc", "realloc", "aligned_alloc"];

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
    /// A sentence that names what to change.
    pub fn parse(finding: &str, call: &str, why: &str) -> Result<Self, String> {
        let names = FLAWS.map(|(name, _)| name);
        let Some((_, finding)) = FLAWS.into_iter().find(|(name, _)| *name == finding) else {
            return Err(suggest::reject("finding that can be exempt", finding, &names)
                + ": after others nothing is as it was");
        };
        if !CALLS.contains(&call) {
            return Err(suggest::reject("call that can be exempt", call, &CALLS));
        }
        if why.trim().is_empty() {
            return Err("`why` is empty: say why it is no finding".to_owned());
        }
        Ok(Self { finding, call: call.to_owned(), why: why.to_owned() })
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
        let rejected = |finding, call, why| Suppression::parse(finding, call, why).unwrap_err();
        assert!(rejected("overlap", "malloc", "so").contains("after others nothing is as it was"));
        assert!(rejected("misalined", "malloc", "so").contains("Did you mean `misaligned`?"));
        assert!(
            rejected("misaligned", "free", "so").contains("there is no call that can be exempt")
        );
        assert!(rejected("misaligned", "malloc", " ").contains("`why` is empty"));
    }
}
