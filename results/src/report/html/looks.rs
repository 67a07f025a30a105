//! What all pages have in common.

use crate::decide::Verdict;

/// The style, in light and dark, on desks and phones.
pub const STYLE: &str = include_str!("style.css");

/// The colour of a verdict.
pub fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regressed => "worse",
        Verdict::Inconclusive => "open",
        Verdict::Improved => "better",
        Verdict::Ok => "fine",
    }
}
