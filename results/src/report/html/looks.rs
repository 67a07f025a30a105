//! How verdicts look.

use crate::decide::Verdict;

/// The colour of a verdict.
pub fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regressed => "worse",
        Verdict::Inconclusive => "open",
        Verdict::Improved => "better",
        Verdict::Ok => "fine",
    }
}
